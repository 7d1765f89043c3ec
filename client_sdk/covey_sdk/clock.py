"""The clock: the time with its zone, and whether it ran backwards since the store last saw it.

The days of events are those of the clock's zone, so the zone should be one of the IANA database, which knows
summer and winter time. A clock that gives a fixed offset only is taken too: then the offset counts that each
event tells. Apps on phones pass a clock of their own, in the zone that their system names:

    Device.open(..., clock=lambda: datetime.now(ZoneInfo("Europe/Berlin")))
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from covey_sdk.errors import ClockError
from covey_sdk.store import Store
from covey_sdk.stored_value import StoredValue

BACKWARDS = timedelta(minutes=2)

ReadClock = Callable[[], datetime]

_LINK = Path("/etc/localtime")
_NAME = Path("/etc/timezone")
_LONGEST_NAME = 128
_DAY_MS = 86_400_000
_MINUTE_MS = 60_000
_FIRST_DAY = date(1970, 1, 1).toordinal()


def system() -> datetime:
    """Return the system's time in its IANA zone, or with its offset of now where no zone is found.

    The zone is looked for in the environment variable TZ, in the link /etc/localtime and in /etc/timezone.
    """
    for name in _zone_names():
        zone = _zone(name)
        if zone is not None:
            return datetime.now(zone)
    return datetime.now().astimezone()


def milliseconds(moment: datetime) -> int:
    """Return UTC milliseconds since 1970."""
    return int(moment.timestamp() * 1000)


def moment(at_ms: int) -> datetime:
    """Return the UTC time of `milliseconds`."""
    return datetime.fromtimestamp(at_ms / 1000, UTC)


def milliseconds_after(now: datetime, span: timedelta) -> int:
    """Return the UTC milliseconds at which `span` has passed since `now`, or will have; it may be negative.

    `now + span` would be what a clock on the wall shows then: an hour off where summer time begins or ends.
    """
    return milliseconds(now) + span // timedelta(milliseconds=1)


def day(at_ms: int, tz_offset_min: int, zone: tzinfo | None) -> date:
    """Return the calendar day of an event, in the device's zone at the time of the event.

    A zone wins over the offset that the event tells, so that one event has one day whoever tells of it. The
    offset counts where the device's clock has no zone but a fixed offset (`datetime.timezone`): that one is
    of now, and may be another than at the event.

    Args:
        at_ms: the event's UTC milliseconds.
        tz_offset_min: the offset that the event tells, in minutes east of UTC.
        zone: the zone of the device's clock.
    """
    if zone is None or isinstance(zone, timezone):
        return date.fromordinal(_FIRST_DAY + (at_ms + tz_offset_min * _MINUTE_MS) // _DAY_MS)
    return datetime.fromtimestamp(at_ms / 1000, zone).date()


class Clock:
    """A reading function, checked against the latest reading that the store keeps."""

    def __init__(self, store: Store, read: ReadClock) -> None:
        self._read = read
        self._latest = StoredValue[datetime | None](
            store, "clock", None, lambda data: moment(int.from_bytes(data)), _encoded
        )

    def now(self) -> datetime:
        """Return the time. Raises ClockError when it has no zone or lies before the last kept reading."""
        now = self._read()
        if now.tzinfo is None:
            raise ClockError(
                "the clock gives a time without a zone; give it the device's IANA zone, as "
                'datetime.now(ZoneInfo("Europe/Berlin")) does'
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
            # In UTC: two times of one zone are compared by what clocks on the wall show.
            self._latest.write(now.astimezone(UTC))


def _encoded(latest: datetime | None) -> bytes:
    return milliseconds(latest).to_bytes(8) if latest else b""


def _zone_names() -> Iterator[str]:
    """Yield what may be the name of the system's zone, the best source first.

    TZ, where it is set, is the only source: it may name a zone that the files do not.
    """
    told = os.environ.get("TZ")
    if told is not None:
        yield _below_database(told.removeprefix(":"))
        return
    for read in (_linked, _written):
        try:
            yield read()
        except (OSError, ValueError):
            continue


def _linked() -> str:
    return _below_database(os.readlink(_LINK))


def _written() -> str:
    with _NAME.open(encoding="ascii") as file:
        return file.read(_LONGEST_NAME + 1).strip()


def _below_database(path: str) -> str:
    """Return the zone's name in a path of the time zone database, such as /usr/share/zoneinfo/Asia/Tokyo."""
    _, found, name = path.rpartition("zoneinfo")
    name = name.partition("/")[2] if found else path
    return name.removeprefix("posix/")


def _zone(name: str) -> ZoneInfo | None:
    if not 0 < len(name) <= _LONGEST_NAME:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError, ValueError):
        return None
