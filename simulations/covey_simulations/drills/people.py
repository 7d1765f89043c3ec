"""The drill's people: each has a phone, on a line to the registry that can be cut."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx

from covey_privacy.floors import TEST
from covey_sdk import Device, RegistryClient, Trust
from covey_sdk.round_client import RoundClient
from covey_sdk.ticket_fetcher import TicketFetcher
from covey_sdk.ticket_store import TicketStore
from covey_simulations.drills.registry_staff import RegistryStaff
from covey_simulations.scenarios.clock import Clock

ZONE = ZoneInfo("UTC")
AT_ONCE = 4
"""How many people may enrol at the same time."""


class Line(httpx.HTTPTransport):
    """A line to the registry. While it is cut, nothing gets through, and that is noticed at once."""

    is_cut = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Carry the request. Raises ConnectError while the line is cut."""
        if self.is_cut:
            raise httpx.ConnectError("no network", request=request)
        return super().handle_request(request)

    @contextmanager
    def cut(self) -> Iterator[None]:
        """Cut the line while the block runs."""
        self.is_cut = True
        try:
            yield
        finally:
            self.is_cut = False


@dataclass(frozen=True, slots=True)
class Person:
    """A person: the pseudonym that the registry knows them by, and their phone."""

    subject: str
    device: Device

    @property
    def client(self) -> RoundClient:
        """The phone's part in rounds."""
        return self.device.round_client()

    @property
    def fetcher(self) -> TicketFetcher:
        """What gets the phone's tickets."""
        return self.device.ticket_fetcher()

    @property
    def wallet(self) -> TicketStore:
        """The tickets in the phone's store."""
        return self.device.tickets


class People:
    """Makes people, whose phones' stores lie in `folder` and are closed while nobody asks them."""

    def __init__(self, folder: Path, url: str, trust: Trust, desk: RegistryStaff, clock: Clock) -> None:
        self._folder, self._trust, self._desk, self._clock = folder, trust, desk, clock
        self.line = Line()
        self._client = httpx.Client(base_url=url, transport=self.line)
        self._registry = RegistryClient(self._client, trust)

    def close(self) -> None:
        """Hang up."""
        self._client.close()

    def settle(self, count: int, settled: Callable[[Person], None]) -> list[Person]:
        """Return this many people, who are enrolled; `settled` is called with each."""

        def one(_: int) -> Person:
            person = self._person()
            settled(person)
            person.device.store.pause()
            return person

        with ThreadPoolExecutor(AT_ONCE) as threads:
            return list(threads.map(one, range(count)))

    def _person(self) -> Person:
        key = os.urandom(32)
        clock = partial(self._clock.moment, ZONE)
        path = self._folder / f"{os.urandom(8).hex()}.db"
        device = Device.open(path, key, trust=self._trust, registry=self._registry, floors=TEST, clock=clock)
        subject = self._desk.enrol(device.key.public)
        device.enrol()
        return Person(subject, device)
