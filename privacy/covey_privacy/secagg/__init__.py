"""Secure aggregation in one message: see docs/one-message.md.

Every module takes and returns bytes or arrays. Nothing here opens a socket or asks for the time.
"""
