"""Makers of the test vectors in tests/vectors."""
