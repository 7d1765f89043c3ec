"""Backoff: how long to wait before trying again, longer each time and never all at once."""

from __future__ import annotations

FIRST = 5
"""Seconds before the second attempt, at most."""

MOST = 12 * 3600
"""Seconds between two attempts, at most."""


def seconds(tries: int, drawn: float) -> int:
    """Return the wait after `tries` failures: doubled each time, its second half by lot (0 <= drawn < 1)."""
    whole = min(FIRST << min(tries - 1, 32), MOST)
    return max(1, round(whole * (1 + drawn) / 2))
