"""The ground of Covey: protocol and maths as pure functions of bytes and arrays.

Nothing here opens a socket or a file or asks for the time. Randomness, clocks, signature checks and
stores are arguments.
"""
