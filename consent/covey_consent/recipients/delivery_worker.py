"""The courier: sends what the outbox holds, again and again until a recipient has it.

A message is sent at least once, under one id that never changes: a registry that stops between sending and
noting it sends it again, and the recipient knows it by that id.

What fails at one letter is noted at that letter; what fails at one recipient makes that recipient wait.
Neither holds up anyone else.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from ssl import SSLContext
from typing import Any

import httpx
from httpx import URL

from covey_consent.errors import ConsentRegistryError, RequestError, UnavailableError
from covey_consent.operations.supervision import Done, backoff, nothing
from covey_consent.recipients import addresses
from covey_consent.recipients.outbox import Letter, Outbox, Outcome
from covey_consent.settings import Settings
from covey_consent.storage.store import Store

BATCH = 32
"""Letters under way at once to one recipient."""

ANSWER_CHARACTERS = 200
"""What is noted of an answer."""

CONNECTED = "connection.connect_tcp.complete"
"""How httpcore calls the event that a TCP connection was made, in its `trace` extension."""

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

    async def run(self, done: Done = nothing) -> None:
        """Send until cancelled, to each recipient in its own time: a silent one delays nobody else."""
        lanes: dict[str, _Lane] = {}
        async with self._transport() as transport:
            try:
                while True:
                    for recipient in await self.store.read(self.outbox.awaited):
                        lane = lanes.setdefault(recipient, _Lane())
                        if lane.is_free:
                            lane.task = asyncio.create_task(self._keep(transport, recipient, lane))
                    done()
                    await asyncio.sleep(self.every)
            finally:
                await _end([lane.task for lane in lanes.values() if lane.task is not None])

    def _transport(self) -> httpx.AsyncHTTPTransport:
        # Not a client: that reads redirects, which are not followed, and raises at some of them; and it sends
        # one recipient's cookies to another. No proxy of the environment's, which would resolve names on its
        # own; and no connection is used twice, because one to an address may have shown the certificate of
        # another recipient there.
        alone = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        return httpx.AsyncHTTPTransport(verify=self.trust, trust_env=False, limits=alone)

    async def _keep(self, transport: httpx.AsyncHTTPTransport, recipient: str, lane: _Lane) -> None:
        try:
            await self._serve(transport, recipient)
            lane.failures = 0
        except Exception as error:
            # Whatever it is: one recipient's failure must not end the others' deliveries.
            lane.failures += 1
            wait = backoff(lane.failures)
            lane.rests_until = time.monotonic() + wait
            place = None if isinstance(error, UnavailableError) else error
            log.warning(
                "deliveries to a recipient failed (%s); they go on in %.1f s", type(error).__name__, wait,
                exc_info=place,
            )  # fmt: skip

    async def _serve(self, transport: httpx.AsyncHTTPTransport, recipient: str) -> None:
        while letters := await self.store.read(self.outbox.due, recipient, BATCH):
            outcomes = await asyncio.gather(*(self._attempt(transport, letter) for letter in letters))
            await self._settle(outcomes)

    async def _settle(self, outcomes: Sequence[Outcome]) -> None:
        """Note how attempts went: all at once or, where one cannot be noted, each alone.

        Raises what one of them raised that could not be noted, so that it is not sent again at once.
        """
        drawn = [_DRAW.random() for _ in outcomes]
        try:
            await self.store.write(self.outbox.settle, outcomes, drawn)
        except UnavailableError:
            raise
        except Exception as error:
            if len(outcomes) == 1:
                raise
            log.warning("letters are noted one by one: %s", type(error).__name__)
            alone = (self._settle([outcome]) for outcome in outcomes)
            found = await asyncio.gather(*alone, return_exceptions=True)
            for failed in filter(None, found):
                raise failed from None

    async def _attempt(self, transport: httpx.AsyncHTTPTransport, letter: Letter) -> Outcome:
        try:
            async with asyncio.timeout(self.seconds):
                status = await self._post(transport, letter)
        except TimeoutError:
            return Outcome(letter.id, 0, f"no answer within {self.seconds:g} s")
        except Exception as error:
            # Whatever an address or an answer raises is noted at its letter.
            if not isinstance(error, httpx.HTTPError | httpx.InvalidURL | ConsentRegistryError):
                log.warning("a letter could not be sent (%s)", type(error).__name__, exc_info=error)
            return Outcome(letter.id, 0, _line(error))
        return Outcome(letter.id, status, f"HTTP {status}")

    async def _post(self, transport: httpx.AsyncHTTPTransport, letter: Letter) -> int:
        url = URL(letter.url)
        now = self.outbox.calendar.now
        headers = self.outbox.signer.headers(letter.recipient, letter.id, now, letter.body)
        headers |= {"content-type": "application/json", "host": url.netloc.decode()}
        at = url.copy_with(host=await addresses.resolve(url, private=self.private))
        extensions = {"sni_hostname": url.host, "trace": self._require_public}
        request = httpx.Request("POST", at, content=letter.body, headers=headers, extensions=extensions)
        # Of the answer only the status is read, so that its length does not matter.
        answer = await transport.handle_async_request(request)
        await answer.aclose()
        return answer.status_code

    async def _require_public(self, event: str, information: dict[str, Any]) -> None:
        """Close a new connection that is to no public address, before anything is sent over it."""
        if self.private or event != CONNECTED:
            return
        stream = information["return_value"]
        peer = stream.get_extra_info("server_addr")
        if peer is None or not addresses.public(str(peer[0])):
            await stream.aclose()
            raise RequestError("the connection is to an address that is not public")


@dataclass(slots=True)
class _Lane:
    """Deliveries to one recipient: the task that sends, failures in a row, and until when it waits."""

    task: asyncio.Task[None] | None = None
    failures: int = 0
    rests_until: float = 0.0

    @property
    def is_free(self) -> bool:
        return (self.task is None or self.task.done()) and time.monotonic() >= self.rests_until


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)


def _line(error: Exception) -> str:
    """Return an error as a line of printable ASCII: it may quote what a recipient sent."""
    text = f"{type(error).__name__}: {error}".encode("ascii", "backslashreplace").decode()
    return "".join(one for one in text if one.isprintable())[:ANSWER_CHARACTERS]
