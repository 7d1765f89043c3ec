"""The ground of Covey: protocol and maths as pure functions of bytes and arrays.

Nothing here but `commands` opens a file, and nothing a socket or asks for the time. Randomness, clocks,
signature checks and stores are arguments.
"""
