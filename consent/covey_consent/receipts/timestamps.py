"""Moments as receipts write them."""

from __future__ import annotations

from datetime import UTC, datetime


def time(milliseconds: int) -> str:
    """Return a moment (Unix milliseconds) as RFC 3339 writes it."""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:03d}Z"
