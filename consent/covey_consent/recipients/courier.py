"""The courier: sends what the outbox holds, again and again until a recipient has it.

A message is sent at least once, under one id that never changes: a registry that stops between sending and
noting it sends it again, and the recipient knows it by that id.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from ssl import SSLContext

import httpx
from httpx import URL
from sqlalchemy.exc import SQLAlchemyError

from covey_consent.errors import RequestError
from covey_consent.recipients import addresses
from covey_consent.recipients.outbox import Letter, Outbox, Outcome
from covey_consent.settings import Settings
from covey_consent.store import Store

BATCH = 32
"""Letters under way at once to one recipient."""

_DRAW = secrets.SystemRandom()

log = logging.getLogger("covey.registry")


@dataclass(frozen=True, slots=True)
class Courier:
    """Sends letters: `seconds` for an attempt, a look into the outbox `every` so many.

    `private` allows addresses of networks of one's own; `trust` replaces the system's certificates.
    """

    store: Store
    outbox: Outbox
    seconds: float
    every: float
    private: bool
    trust: SSLContext | bool = True

    @classmethod
    def of(cls, store: Store, outbox: Outbox, settings: Settings) -> Courier:
        """Return the courier that the settings ask for."""
        seconds, every = settings.recipient_seconds, settings.recipient_every_seconds
        return cls(store, outbox, seconds, every, settings.private_recipients)

    async def run(self) -> None:
        """Send until cancelled, to each recipient in its own time: a silent one delays nobody else."""
        sending: dict[str, asyncio.Task[None]] = {}
        async with self._client() as client, asyncio.TaskGroup() as tasks:
            while True:
                for recipient in await self._awaited():
                    if recipient not in sending or sending[recipient].done():
                        sending[recipient] = tasks.create_task(self._serve(client, recipient))
                await asyncio.sleep(self.every)

    def _client(self) -> httpx.AsyncClient:
        # No proxy of the environment's, which would resolve names on its own; and no connection is used
        # twice, because one to an address may have shown the certificate of another recipient there.
        alone = httpx.Limits(max_keepalive_connections=0)
        return httpx.AsyncClient(follow_redirects=False, trust_env=False, verify=self.trust, limits=alone)

    async def _awaited(self) -> Sequence[str]:
        try:
            return await self.store.read(self.outbox.awaited)
        except SQLAlchemyError as error:
            log.warning("the outbox could not be read: %s", type(error).__name__)
            return ()

    async def _serve(self, client: httpx.AsyncClient, recipient: str) -> None:
        try:
            while letters := await self.store.read(self.outbox.due, recipient, BATCH):
                outcomes = await asyncio.gather(*(self._attempt(client, letter) for letter in letters))
                drawn = [_DRAW.random() for _ in outcomes]
                await self.store.write(self.outbox.settle, outcomes, drawn)
        except SQLAlchemyError as error:
            log.warning("the outbox could not be used: %s", type(error).__name__)

    async def _attempt(self, client: httpx.AsyncClient, letter: Letter) -> Outcome:
        try:
            async with asyncio.timeout(self.seconds):
                status = await self._post(client, letter)
        except TimeoutError:
            return Outcome(letter.id, 0, f"no answer within {self.seconds:g} s")
        except (httpx.HTTPError, RequestError) as error:
            return Outcome(letter.id, 0, f"{type(error).__name__}: {error}"[:200])
        return Outcome(letter.id, status, f"HTTP {status}")

    async def _post(self, client: httpx.AsyncClient, letter: Letter) -> int:
        url = URL(letter.url)
        now = self.outbox.calendar.now
        headers = self.outbox.signer.headers(letter.recipient, letter.id, now, letter.body)
        headers |= {"content-type": "application/json", "host": url.netloc.decode()}
        at = url.copy_with(host=await addresses.resolve(url, private=self.private))
        # Of the answer only the status is read, so that its length does not matter.
        async with client.stream(
            "POST", at, content=letter.body, headers=headers, extensions={"sni_hostname": url.host}
        ) as answer:
            return answer.status_code
