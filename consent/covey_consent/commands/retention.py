"""`covey registry retention run`: delete what is over, as a registry that serves does by itself."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Mapping

from covey_consent.commands.client import read_key
from covey_consent.errors import RequestError
from covey_consent.operations.clock_monitor import ClockMonitor
from covey_consent.policy.epoch_calendar import Calendar
from covey_consent.recipients.outbox import Outbox
from covey_consent.recipients.webhook import WebhookSigner
from covey_consent.rights.retention import DAY, PEOPLE, Retention
from covey_consent.settings import Settings
from covey_consent.storage.store import Store

LATER = re.compile(r"\+(\d{1,5})d", re.ASCII)


def run(
    later: str | None = None, *, dry: bool = False, as_json: bool = False, settings: Settings | None = None
) -> int:
    """Delete what is over now, or will be `later` ("+400d"); `dry`, only count it. Print how much, return 0.

    Raises RequestError for another `later`; UnavailableError where a registry serves the same database, or
    the database shows that the clock is not to be trusted: start the registry then, and confirm the time.
    """
    settings = Settings() if settings is None else settings
    now = time.time()
    counts = asyncio.run(_run(settings, int(now) + _seconds(later), now, dry))
    print(json.dumps(counts) if as_json else _describe(counts, dry))
    return 0


async def _run(settings: Settings, at: int, now: float, dry: bool) -> Mapping[str, int]:
    signer = WebhookSigner(read_key(settings))
    calendar = Calendar(lambda: now, settings.epoch_seconds, settings.tolerance_seconds)
    store = Store.open(settings.database_url)
    try:
        outbox = Outbox(signer, calendar, settings.recipient_tries)
        retention = Retention(store, outbox, settings, lambda _session, _people: None)
        if dry:
            return await retention.due(at)
        monitor = ClockMonitor(lambda: now, None)
        await store.read(monitor.open)
        monitor.require()
        return await retention.run(at)
    finally:
        await store.close()


def _seconds(later: str | None) -> int:
    if later is None:
        return 0
    found = LATER.fullmatch(later)
    if found is None:
        raise RequestError(f"--now is {later[:20]!r}; days from now were expected, such as +400d")
    return int(found[1]) * DAY


def _describe(counts: Mapping[str, int], dry: bool) -> str:
    rows = [f"{count} rows of {name}" for name, count in sorted(counts.items()) if count and name != PEOPLE]
    people = counts.get(PEOPLE, 0)
    said = ", ".join([*([f"{people} people with everything of theirs"] if people else []), *rows])
    if not said:
        return "nothing was kept for too long"
    return f"{'to be deleted' if dry else 'deleted'}: {said}"
