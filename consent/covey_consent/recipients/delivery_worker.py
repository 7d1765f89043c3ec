"""The delivery worker: sends what the outbox holds, again and again until a recipient has it.

- A notification is sent at least once, under one id that never changes: a registry that stops between sending
  and recording it sends it again, and the recipient knows it by that id.
- A failure of one notification is recorded with it; a failure of one recipient makes that recipient wait.
  Neither delays the others.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from httpx import URL

from covey_consent.errors import ConsentRegistryError, RequestError, UnavailableError
from covey_consent.operations.supervision import Done, backoff, nothing
from covey_consent.recipients import addresses
from covey_consent.recipients.outbox import Delivery, DeliveryAttempt, Outbox
from covey_consent.settings import Settings
from covey_consent.storage.store import Store

BATCH = 32
"""Notifications under way at once to one recipient."""

ANSWER_CHARACTERS = 200
"""The length at which the recorded description of an answer is cut."""

CONNECTED = "connection.connect_tcp.complete"
"""The event of httpcore's `trace` extension for a TCP connection that was made."""

log = logging.getLogger("covey.registry")


@dataclass(frozen=True, slots=True)
class DeliveryWorker:
    """Sends notifications, as often and for as long as the settings say."""

    store: Store
    outbox: Outbox
    settings: Settings

    async def run(self, done: Done = nothing) -> None:
        """Send until cancelled, with a task for each recipient: a silent one delays nobody else."""
        # Not a client: that reads redirects, which are not followed, and raises at some of them; and it sends
        # one recipient's cookies to another. No proxy of the environment's, which would resolve names on its
        # own; and no connection is used twice, because one to an address may have shown the certificate of
        # another recipient there.
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        tasks: dict[str, asyncio.Task[None]] = {}
        async with httpx.AsyncHTTPTransport(trust_env=False, limits=limits) as transport:
            try:
                while True:
                    for recipient in await self.store.read(self.outbox.awaited):
                        if recipient not in tasks or tasks[recipient].done():
                            tasks[recipient] = asyncio.create_task(self._serve(transport, recipient))
                    done()
                    await asyncio.sleep(self.settings.recipient_every_seconds)
            finally:
                for task in tasks.values():
                    task.cancel()
                await asyncio.gather(*tasks.values(), return_exceptions=True)

    async def _serve(self, transport: httpx.AsyncHTTPTransport, recipient: str) -> None:
        """Send what is due to the recipient; where that fails, wait and try again, longer each time."""
        failures = 0
        while True:
            try:
                while due := await self.store.read(self.outbox.due, recipient, BATCH):
                    await self._record(await asyncio.gather(*(self._attempt(transport, one) for one in due)))
            except Exception as error:
                # Whatever it is: one recipient's failure must not end the others' deliveries.
                failures += 1
                wait = backoff(failures)
                log.warning(
                    "deliveries to a recipient failed (%s); they go on in %.1f s", type(error).__name__, wait,
                    exc_info=None if isinstance(error, UnavailableError) else error,
                )  # fmt: skip
                await asyncio.sleep(wait)
            else:
                return

    async def _record(self, attempts: Sequence[DeliveryAttempt]) -> None:
        """Record the results of attempts: all at once or, where one cannot be recorded, each alone.

        Raises the error of one that could not be recorded, so that it is not sent again at once.
        """
        try:
            await self.store.write(self.outbox.record_attempts, attempts)
        except UnavailableError:
            raise
        except Exception as error:
            if len(attempts) == 1:
                raise
            log.warning("delivery attempts are recorded one by one: %s", type(error).__name__)
            alone = (self._record([attempt]) for attempt in attempts)
            for failed in await asyncio.gather(*alone, return_exceptions=True):
                if failed is not None:
                    raise failed from None

    async def _attempt(self, transport: httpx.AsyncHTTPTransport, delivery: Delivery) -> DeliveryAttempt:
        seconds = self.settings.recipient_seconds
        try:
            async with asyncio.timeout(seconds):
                status = await self._post(transport, delivery)
        except TimeoutError:
            return DeliveryAttempt(delivery.id, 0, f"no answer within {seconds:g} s")
        except Exception as error:
            # Whatever an address or an answer raises is recorded with its notification.
            if not isinstance(error, httpx.HTTPError | httpx.InvalidURL | ConsentRegistryError):
                log.warning("a notification could not be sent (%s)", type(error).__name__, exc_info=error)
            # As printable ASCII: the error may quote what a recipient sent.
            line = f"{type(error).__name__}: {error}".encode("ascii", "backslashreplace").decode()
            line = "".join(one for one in line if one.isprintable())
            return DeliveryAttempt(delivery.id, 0, line[:ANSWER_CHARACTERS])
        return DeliveryAttempt(delivery.id, status, f"HTTP {status}")

    async def _post(self, transport: httpx.AsyncHTTPTransport, delivery: Delivery) -> int:
        url = URL(delivery.url)
        now = self.outbox.calendar.now
        headers = self.outbox.signer.headers(delivery.recipient, delivery.id, now, delivery.body)
        headers |= {"content-type": "application/json", "host": url.netloc.decode()}
        private = self.settings.private_recipients
        address = url.copy_with(host=await addresses.resolve(url, private=private))
        extensions = {"sni_hostname": url.host, "trace": self._require_public}
        request = httpx.Request(
            "POST", address, content=delivery.body, headers=headers, extensions=extensions
        )
        # Of the answer only the status is read, so that its length does not matter.
        answer = await transport.handle_async_request(request)
        await answer.aclose()
        return answer.status_code

    async def _require_public(self, event: str, information: dict[str, Any]) -> None:
        """Close a new connection that is to no public address, before anything is sent over it."""
        if self.settings.private_recipients or event != CONNECTED:
            return
        stream = information["return_value"]
        peer = stream.get_extra_info("server_addr")
        if peer is None or not addresses.is_public(str(peer[0])):
            await stream.aclose()
            raise RequestError("the connection is to an address that is not public")
