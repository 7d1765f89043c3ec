"""The crash drill: a registry is killed while phones decide, started again, and asked for what it promised.

Each time, with all that was said since the drill began: every acknowledged decision is there; of each batch
everything is there or nothing; the choice that stands is the last decision's; the log opens and goes on from
the last head that was seen. The machine stays up: what a power cut does is for `synchronous` and the disk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
from sqlalchemy import select
from sqlalchemy.orm import Session

from covey_consent.errors import DamageError
from covey_consent.storage import key_file, models
from covey_consent.storage.models import Device, StandingChoice
from covey_consent.storage.store import Store
from covey_privacy import checkpoint, wire
from covey_privacy.checkpoint import Checkpoint
from covey_privacy.errors import PeerError, ServerError
from covey_privacy.merkle import verify_consistency
from covey_privacy.registry_messages import ConsistencyProof
from covey_privacy.signatures import SigningKey
from covey_simulations.drills.deciding_phones import Acknowledged, Phone, fetch_notices
from covey_simulations.drills.registry_process import RegistryProcess

PHONES = 16
ORIGIN = "covey.drill/log"

Event = tuple[bytes, str, int]
"""A decision: device, purpose, time."""


@dataclass(frozen=True, slots=True)
class Crash:
    """One crash: how long phones decided before it, what they were told, and what was found after it.

    `lost` are acknowledged decisions that are missing, `halves` what is there in part; both should be 0.
    """

    seconds: float
    acknowledged: int
    unanswered: int
    lost: int
    halves: int
    log: int
    restart_seconds: float


class Drill:
    """A registry over one database, its phones so far, and the last head that anybody saw."""

    def __init__(
        self, url: str, folder: Path, clock: Callable[[], float], random_bytes: Callable[[int], bytes]
    ) -> None:
        self._url, self._folder = url, folder
        self._clock, self._random_bytes = clock, random_bytes
        self._key = key_file.load_or_create(folder / "registry.key").public
        self._phones: list[Phone] = []
        self._seen: Checkpoint | None = None
        self._process = self._start()
        self._process.wait()

    def close(self) -> None:
        """Stop the registry."""
        self._process.stop()

    def crash(self, after_seconds: float) -> Crash:
        """Let new phones decide, kill the registry after so long, and start it again. Raises DamageError."""
        phones = [Phone(SigningKey(self._random_bytes(32)), self._clock) for _ in range(PHONES)]
        self._phones += phones
        asyncio.run(self._load(phones, after_seconds))
        self._process = self._start()
        seconds = self._process.wait()
        size = asyncio.run(self._follow())
        batches = [said for phone in phones for said in phone.said]
        told = sum(phone.acknowledged for phone in phones)
        unanswered = sum(not said.acknowledged for said in batches)
        return Crash(after_seconds, told, unanswered, *asyncio.run(self._search()), size, seconds)

    def _start(self) -> RegistryProcess:
        settings = {"DATABASE_URL": self._url, "KEY_FILE": str(self._folder / "registry.key")}
        return RegistryProcess(self._folder, {**settings, "ORIGIN": ORIGIN})

    async def _load(self, phones: list[Phone], seconds: float) -> None:
        async with httpx.AsyncClient(base_url=self._process.url, timeout=30) as http:
            notices = await fetch_notices(http, self._key)
            deciding = [asyncio.create_task(phone.decide(http, notices)) for phone in phones]
            watching = asyncio.create_task(self._watch(http))
            await _answered(phones, deciding)
            await asyncio.sleep(seconds)
            await asyncio.to_thread(self._process.kill)
            await asyncio.gather(*deciding, watching)

    async def _watch(self, http: httpx.AsyncClient) -> None:
        with suppress(httpx.TransportError):
            while True:
                self._seen = await self._head(http)
                await asyncio.sleep(0.02)

    async def _head(self, http: httpx.AsyncClient) -> Checkpoint:
        return checkpoint.open_note((await http.get("/v1/log/checkpoint")).text, self._key)

    async def _follow(self) -> int:
        """Return the log's size, which continues the last head that was seen. Raises DamageError."""
        async with httpx.AsyncClient(base_url=self._process.url) as http:
            old, new = self._seen, await self._head(http)
            if old is not None:
                asked = {"old": old.size, "size": new.size}
                answer = await http.get("/v1/log/consistency", params=asked)
                try:
                    proof = wire.decode(ConsistencyProof, answer.content).proof
                    verify_consistency(old.size, old.root, new.size, new.root, proof)
                except (PeerError, ServerError) as error:
                    raise DamageError(f"the log does not continue what it showed before: {error}") from None
        return new.size

    async def _search(self) -> tuple[int, int]:
        """Return how many decisions are lost and how many things are there by half."""
        store = Store.open(self._url)
        try:
            events, standing = await store.read(_kept)
        finally:
            await store.close()
        said = [each for phone in self._phones for each in phone.said]
        return _lost(said, events), _halves(said, events, standing)


async def _answered(phones: list[Phone], deciding: list[asyncio.Task[None]]) -> None:
    """Return once a decision is acknowledged, or none will be."""
    while not any(phone.acknowledged for phone in phones) and not all(task.done() for task in deciding):
        await asyncio.sleep(0.01)


def _kept(session: Session) -> tuple[set[Event], set[Event]]:
    """Return every event that is kept, and every choice that stands, by the device of the person."""
    events, choices = (
        session.execute(
            select(Device.key, table.purpose, table.at).join(Device, Device.subject == table.subject)
        )
        for table in (models.Event, StandingChoice)
    )
    return {(key, purpose, at) for key, purpose, at in events}, {
        (key, purpose, at) for key, purpose, at in choices
    }


def _lost(said: list[Acknowledged], events: set[Event]) -> int:
    return sum(len(each.events - events) for each in said if each.acknowledged)


def _halves(said: list[Acknowledged], events: set[Event], standing: set[Event]) -> int:
    """Count the batches that are kept in part, and the choices that are not their last decision's."""
    batches = sum(0 < len(each.events & events) < len(each.events) for each in said)
    last: dict[tuple[bytes, str], int] = {}
    for device, purpose, at in events:
        last[device, purpose] = max(at, last.get((device, purpose), 0))
    return batches + len({(*key, at) for key, at in last.items()} ^ standing)
