"""Simulated phones behind a node: what `covey_server.round_node` asks of its devices.

What a phone is in the middle of stands in that phone's own store, so that any process may answer the next
exchange.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from flwr.app import Context

from covey_privacy import wire
from covey_privacy.errors import PrivacyError
from covey_privacy.manifest import Manifest
from covey_privacy.round_files import RoundFiles
from covey_privacy.signatures import Signed
from covey_sdk import Device
from covey_sdk.errors import CoveyError
from covey_server.config import state_folder
from covey_server.round_node import Pinned, RoundNode
from covey_simulations.devices.phone import Phones
from covey_simulations.scenarios import random_choices
from covey_simulations.scenarios.shared_settings import SharedSettings

T = TypeVar("T")

AT_A_TIME = 32
"""Phones whose messages are made before the node keeps them."""


@contextmanager
def build_fleet(context: Context) -> Iterator[RoundNode[int]]:
    """Yield the rounds of a Flower node: its phones are its share of the households of the run's world."""
    world = SharedSettings.load(state_folder(context.run_config, context.run_id))
    shard = int(context.node_config.get("partition-id", 0))
    shards = int(context.node_config.get("num-partitions", 1))
    with Phones(world, world.households[shard::shards]) as phones:
        yield PhonesBehindNode(phones, shard).node()


class PhonesBehindNode:
    """Some households' phones. Why a phone stays silent, nobody is told but the simulation."""

    def __init__(self, phones: Phones, number: int) -> None:
        self._phones, self._number = phones, number
        self._seats: dict[bytes, Mapping[int, int]] = {}
        self._refused: list[str] = []

    @property
    def refusals(self) -> Counter[str]:
        """Why phones stayed silent, and how often."""
        return Counter(self._refused)

    def node(self) -> RoundNode[int]:
        """Return the node whose phones these are."""
        trust = self._phones.world.trust
        folder = self._phones.world.folder / f"node-{self._number}"
        pinned = Pinned(trust.operator, trust.registry)
        phones = self._phones
        return RoundNode(
            folder, self, pinned, verify=phones.verify, durable=False, clock=phones.clock.seconds
        )

    def volunteer(self, files: RoundFiles) -> None:
        """Let the phones offer themselves to the registry as decryptors."""

        def volunteer(device: Device) -> None:
            self._phones.duty(device).volunteer(files.manifest)

        self._phones.each(lambda household: self._let(household, volunteer), self._phones.households)

    def contribute(self, files: RoundFiles) -> Iterator[tuple[int, bytes]]:
        """Yield the households whose phones contribute, with their messages."""
        query = _manifest(files).query

        def contribute(device: Device) -> bytes:
            return self._phones.client(device).contribute(files)

        everyone = self._phones.households
        for start in range(0, len(everyone), AT_A_TIME):
            some = everyone[start : start + AT_A_TIME]
            awake = [household for household in some if not self._is_dark(household, query, "contribute")]
            messages = self._phones.each(lambda household: self._let(household, contribute), awake)
            for household, message in zip(awake, messages, strict=True):
                if message is not None:
                    yield household, message

    def acknowledge(self, phone: int, round_id: str) -> None:
        """Tell a phone that its message is on the node's disk."""
        self._let(phone, lambda device: self._phones.client(device).acknowledge(round_id))

    def seats(self, files: RoundFiles) -> Mapping[int, int]:
        """Return the households that the draw named, by number."""
        if files.digest not in self._seats:
            round_id = _manifest(files).round_id

            def take_seat(device: Device) -> int:
                return self._phones.duty(device).take_seat(round_id, files.committee)

            numbers = {each: self._let(each, take_seat) for each in self._phones.households}
            self._seats[files.digest] = {number: each for each, number in numbers.items() if number}
        return self._seats[files.digest]

    def check(self, phone: int, round_id: str, request: bytes) -> bytes | None:
        """Return a decryptor's complaints."""
        return self._let(phone, lambda device: self._phones.duty(device).check(round_id, request))

    def dispute(self, phone: int, round_id: str, request: bytes) -> bytes | None:
        """Return a decryptor's proof that a dealer is at fault."""
        return self._let(phone, lambda device: self._phones.duty(device).dispute(round_id, request))

    def open(self, phone: int, round_id: str, request: bytes) -> bytes | None:
        """Return a decryptor's sum of shares."""
        if self._is_dark(phone, round_id.rsplit("-", 2)[0], "open"):
            return None
        return self._let(phone, lambda device: self._phones.duty(device).open(round_id, request))

    def _is_dark(self, household: int, query: str, exchange: str) -> bool:
        return random_choices.goes_dark(self._phones.world.seed, household, query) == exchange

    def _let(self, household: int, act: Callable[[Device], T]) -> T | None:
        """Return what comes of a phone's act; a phone that refuses says nothing."""
        try:
            with self._phones.open(household) as device:
                return act(device)
        except (CoveyError, PrivacyError) as error:
            self._refused.append(str(error))
            return None


def _manifest(files: RoundFiles) -> Manifest:
    return wire.decode(Manifest, wire.decode(Signed, files.manifest).body)
