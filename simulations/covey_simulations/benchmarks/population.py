"""A registry with many people, each of whom decided once: recorded by the registry's own code."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence

from sqlalchemy import text
from sqlalchemy.orm import Session

from covey_consent.decisions.consent_event import ConsentEvent
from covey_consent.registry import Registry
from covey_consent.settings import Settings
from covey_privacy.registry_messages import GRANTED, REFUSED

PURPOSE = "train"
AT_ONCE = 5000


def settle(settings: Settings, count: int, tell: Callable[[int], None]) -> list[str]:
    """Return the pseudonyms of `count` new people in a registry's database, half of whom said yes."""
    return asyncio.run(_settle(settings, count, tell))


async def _settle(settings: Settings, count: int, tell: Callable[[int], None]) -> list[str]:
    registry = await Registry.open(settings, time.time, durable=False)
    try:
        people: list[str] = []
        for size in _pages(count):
            people += await registry.store.write(_page, registry, size)
            tell(size)
        # What a start would have to log first is not what the loads are to measure.
        while await registry.promises.publish():
            pass
        await registry.store.write(_analyze)
        return people
    finally:
        await registry.close()


def _analyze(session: Session) -> None:
    """Let PostgreSQL's planner know how large the tables are, which autovacuum does within a minute."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("ANALYZE"))


def _pages(count: int) -> Iterator[int]:
    whole, rest = divmod(count, AT_ONCE)
    yield from [AT_ONCE] * whole + [rest] * bool(rest)


def _page(session: Session, registry: Registry, size: int) -> Sequence[str]:
    people = registry.subjects.create_many(session, size)
    notice, now = registry.notices[PURPOSE], registry.calendar.milliseconds
    shown = notice.text("en")
    acts = [
        ConsentEvent(
            person, PURPOSE, REFUSED if place % 2 else GRANTED, "service", "toggle", now,
            notice=notice.semver, version=notice.version, language=shown.language, text=shown.digest,
        )
        for place, person in enumerate(people)
    ]  # fmt: skip
    registry.choices.record(session, acts)
    return people
