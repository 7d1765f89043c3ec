"""Secure aggregation in one message: see docs/protocol.md.

Every module takes and returns bytes or arrays. Nothing here opens a socket or asks for the time.
"""
