"""Simulated phones: real devices whose keys and stores lie in a folder, opened for as long as one is asked.

One machine plays every phone. What real phones would each do for themselves and with the same outcome, these
share: the registry's public downloads, and signatures that were found good. A real phone waits for the disk
before anything leaves it; these do not, because the simulation ends with the machine anyway.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import httpx

from covey_privacy.floors import profile
from covey_privacy.secagg.keys import verify
from covey_sdk import Device
from covey_sdk.decryptor_duty import DecryptorDuty
from covey_sdk.errors import StoreError
from covey_sdk.registry_client import RegistryClient
from covey_sdk.round_client import RoundClient
from covey_sdk.store import Store
from covey_simulations.data.orders import CURRENCY, ZONE
from covey_simulations.scenarios.clock import Clock
from covey_simulations.scenarios.shared_settings import SharedSettings

T = TypeVar("T")

AT_ONCE = 4
"""How many phones may wait for the registry at the same time."""


class _Store(Store):
    """A store that does not wait for the disk, rolls back from memory, and is this process's alone.

    When the machine goes down, the simulation is over.
    """

    settings = ("locking_mode = EXCLUSIVE", "journal_mode = MEMORY", "synchronous = OFF", "cache_size = -16")
    foreign_changes = (0, 0)


class Remembering:
    """A signature check that remembers what it has found good; what is bad it checks again."""

    def __init__(self) -> None:
        self._good: set[bytes] = set()

    def __call__(self, key: bytes, message: bytes, signature: bytes) -> bool:
        """Say whether the signature is good."""
        known = hashlib.sha256(len(key).to_bytes(2) + key + signature + message).digest()
        if known not in self._good:
            if not verify(key, message, signature):
                return False
            self._good.add(known)
        return True


class Phones:
    """The phones of some households of a world."""

    def __init__(self, world: SharedSettings, households: tuple[int, ...]) -> None:
        self.world, self.households = world, households
        self.verify = Remembering()
        self._client = httpx.Client(base_url=world.registry_url)
        self.registry = RegistryClient(self._client, world.trust, self.verify)
        self.clock = Clock(world.folder)
        self._met: dict[int, Device] = {}
        world.phones.mkdir(mode=0o700, parents=True, exist_ok=True)

    def __enter__(self) -> Phones:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every device and the line to the registry."""
        while self._met:
            self._met.popitem()[1].close()
        self._client.close()

    @property
    def epoch(self) -> int:
        """The current epoch."""
        return int(self.clock.seconds()) // self.world.epoch_seconds

    def each(self, act: Callable[[int], T], households: Sequence[int]) -> list[T]:
        """Return what `act` gives for each; while one phone waits for the registry, another goes on."""
        with ThreadPoolExecutor(AT_ONCE) as threads:
            return list(threads.map(act, households))

    @contextmanager
    def open(self, household: int) -> Iterator[Device]:
        """Yield a household's device. It keeps what it works out; its file is closed when nobody asks."""
        device = self._met.pop(household, None) or self._opened(household)
        with ExitStack() as at_the_end:
            at_the_end.callback(self._keep, household, device)
            try:
                yield device
            except StoreError:
                at_the_end.pop_all()
                device.close()
                raise

    def _keep(self, household: int, device: Device) -> None:
        device.store.pause()
        self._met[household] = device

    def _opened(self, household: int) -> Device:
        store = _Store(
            self.world.phones / f"{household}.db", _keystore(self.world.phones / f"{household}.key")
        )
        clock = partial(self.clock.moment, ZONE)
        return Device(store, self.world.trust, self.registry, profile(self.world.profile), clock, CURRENCY)

    def client(self, device: Device) -> RoundClient:
        """Return a device's part in rounds."""
        return device.round_client(verify=self.verify)

    def duty(self, device: Device) -> DecryptorDuty:
        """Return a device's part as a decryptor."""
        return device.decryptor_duty(verify=self.verify)


def _keystore(path: Path) -> bytes:
    """Return the key that the platform's keystore would hold, made at first use."""
    if not path.exists():
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(os.urandom(32))
    return path.read_bytes()
