"""Cosigners: the witnesses that are asked to cosign every head of the log (C2SP tlog-witness).

Each is asked by a task of its own: a silent one delays neither the others nor any phone. A head is served at
once, and its cosignatures are added as they arrive.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress

import httpx

from covey_consent.operations.supervision import Done, nothing
from covey_consent.settings import WitnessAt
from covey_consent.transparency.log import Head, Log
from covey_privacy.errors import ServerError
from covey_privacy.note import parse
from covey_privacy.protocol_rules import Rule
from covey_privacy.witness import AddCheckpoint, cosigned_at

RETRY_SECONDS = 60.0
"""After how long a witness that gave no cosignature is asked again, if there is no new head before."""

ANSWER_BYTES = 2**14

log = logging.getLogger("covey.registry")


class Cosigners:
    """The witnesses of a log.

    Each request may take `deadline` seconds; an unchanged head is cosigned anew after `every` seconds.
    """

    def __init__(
        self, registry_log: Log, witnesses: Sequence[WitnessAt], deadline: float, every: float
    ) -> None:
        self._log, self._witnesses = registry_log, witnesses
        self._deadline, self._every = deadline, every
        self._all: list[Cosigner] = []

    async def gather(self, done: Done = nothing) -> None:
        """Have every witness cosign each head as it is published, until cancelled; at once without any."""
        if not self._witnesses:
            return
        plain = {"Accept-Encoding": "identity"}
        async with (
            httpx.AsyncClient(timeout=self._deadline, headers=plain) as client,
            asyncio.TaskGroup() as tasks,
        ):
            self._all = [Cosigner(witness, self._log, client) for witness in self._witnesses]
            for cosigner in self._all:
                tasks.create_task(cosigner.follow(self._deadline, self._every, done))

    async def settle(self) -> int:
        """Wait until the newest head is cosigned, and return its size.

        Who gave no cosignature last time is not waited for. A newer head may have been published meanwhile.
        """
        head = self._log.head
        for cosigner in self._all:
            await cosigner.settle(head)
        return head.size

    def missing(self, shown: str) -> tuple[str, ...]:
        """Return the names of the witnesses whose cosignature a note lacks."""
        note = parse(shown)
        return tuple(each.key.name for each in self._witnesses if not note.signatures(each.key))


class Cosigner:
    """One witness, and the size of the log as it cosigned it last."""

    def __init__(self, witness: WitnessAt, registry_log: Log, client: httpx.AsyncClient) -> None:
        self._url = f"{witness.url.rstrip('/')}/add-checkpoint"
        self._key, self._log, self._client = witness.key, registry_log, client
        self._size = 0
        self._silent = True
        self._answered = asyncio.Condition()

    async def follow(self, deadline: float, every: float, done: Done = nothing) -> None:
        """Ask for a cosignature on each head as it is published, and again as time goes by."""
        published = asyncio.Event()
        loop = asyncio.get_running_loop()
        self._log.when_published(lambda: loop.call_soon_threadsafe(published.set))
        while True:
            published.clear()
            self._silent = not await self._try(deadline)
            done()
            async with self._answered:
                self._answered.notify_all()
            with suppress(TimeoutError):
                wait = min(every, RETRY_SECONDS) if self._silent else every
                await asyncio.wait_for(published.wait(), wait)

    async def settle(self, head: Head) -> None:
        """Wait until a head is cosigned, or the witness is silent."""
        async with self._answered:
            await self._answered.wait_for(lambda: self._silent or self._size >= head.size)

    async def _try(self, deadline: float) -> bool:
        try:
            async with asyncio.timeout(deadline):
                await self.cosign()
        except Exception as error:  # noqa: BLE001  what one witness's answer, or keeping it, raises ends no other
            log.warning("no cosignature of %s: %s", self._key.name, str(error) or type(error).__name__)
            return False
        return True

    async def cosign(self) -> None:
        """Have the newest head cosigned, and show the cosignature. Raises ServerError when none comes."""
        head = self._log.head
        status, body = await self._ask(head)
        if status == httpx.codes.CONFLICT:
            self._size = self._known(body, head)
            status, body = await self._ask(head)
        if status != httpx.codes.OK:
            raise ServerError(f"it answered {status}: {body[:200]!r}", rule=Rule.COSIGNATURE)
        note = parse(head.note + body)
        if cosigned_at(note, self._key) is None:
            raise ServerError(
                "its answer holds no signature of the key that is configured for it", rule=Rule.COSIGNATURE
            )
        await self._log.cosign(head, self._key, max(note.signatures(self._key)))
        self._size = head.size

    async def _ask(self, head: Head) -> tuple[int, str]:
        body = AddCheckpoint(self._size, self._log.proof(self._size, head.size), head.note).body
        async with self._client.stream("POST", self._url, content=body) as response:
            answer = bytearray()
            async for chunk in response.aiter_bytes():
                answer += chunk
                if len(answer) > ANSWER_BYTES:
                    raise ServerError(
                        f"its answer is longer than {ANSWER_BYTES} bytes", rule=Rule.COSIGNATURE
                    )
        return response.status_code, answer.decode("utf-8", "replace")

    def _known(self, body: str, head: Head) -> int:
        """Return the size that the witness cosigned last, as its conflict says."""
        size = int(body) if body.strip().isdecimal() and len(body) <= 20 and body.isascii() else -1
        if not 0 <= size <= head.size:
            raise ServerError(
                f"it cosigned {body[:20]!r} before, and the log has {head.size} entries: was an old backup "
                "of the database restored?",
                rule=Rule.COSIGNATURE,
            )
        return size
