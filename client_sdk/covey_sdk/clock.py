"""The clock: the time with its zone, and whether it ran backwards since the store last saw it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, tzinfo

from covey_sdk.errors import ClockError
from covey_sdk.store import Store
from covey_sdk.stored_value import StoredValue

BACKWARDS = timedelta(minutes=2)

Read = Callable[[], datetime]


def system() -> datetime:
    """Return the system's time in its zone."""
    return datetime.now().astimezone()


def milliseconds(moment: datetime) -> int:
    """Return UTC milliseconds since 1970."""
    return int(moment.timestamp() * 1000)


def moment(at_ms: int) -> datetime:
    """Return the UTC time of `milliseconds`."""
    return datetime.fromtimestamp(at_ms / 1000, UTC)


def day(at_ms: int, zone: tzinfo | None) -> date:
    """Return the calendar day of UTC milliseconds in a zone."""
    return datetime.fromtimestamp(at_ms / 1000, zone).date()


class Clock:
    """A reading function, checked against the latest reading that the store keeps."""

    def __init__(self, store: Store, read: Read) -> None:
        self._read = read
        self._latest = StoredValue[datetime | None](
            store, "clock", None, lambda data: moment(int.from_bytes(data)), _encoded
        )

    def now(self) -> datetime:
        """Return the time. Raises ClockError when it has no zone or lies before the last kept reading."""
        now = self._read()
        if now.tzinfo is None:
            raise ClockError(
                "the clock gives a time without a zone; give it one, as datetime.now().astimezone() does"
            )
        latest = self._latest.read()
        if latest and now < latest - BACKWARDS:
            raise ClockError(
                f"the clock says {now:%Y-%m-%d %H:%M}, before {latest:%Y-%m-%d %H:%M} UTC: set it right"
            )
        return now

    def unchecked(self) -> datetime:
        """Return the time as it reads, for what no clock may hinder."""
        return self._read().astimezone()

    def keep(self, now: datetime) -> None:
        """Write `now` down as a reading, in the caller's transaction, unless a later one is."""
        latest = self._latest.read()
        if latest is None or now > latest:
            self._latest.write(now)


def _encoded(latest: datetime | None) -> bytes:
    return milliseconds(latest).to_bytes(8) if latest else b""
