"""A registry in a process of its own, and rounds that its phones may contribute to."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import select
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
from round_site import ORIGIN, PURPOSES, QUESTION, SMALL

from covey_consent.app import create_app
from covey_consent.settings import Settings
from covey_consent.storage.key_file import load_or_create
from covey_privacy import wire
from covey_privacy.dp import epsilon
from covey_privacy.manifest import Manifest, Windows, model_digest, sign_manifest
from covey_privacy.round_files import RoundFiles
from covey_privacy.secagg.messages import CommitteeFile
from covey_privacy.secagg.shape import standing_shape
from covey_privacy.secagg.terms import RoundTerms
from covey_privacy.secagg.volunteer import offer_seat
from covey_privacy.signatures import SigningKey, digest_of
from covey_privacy.tickets import IssuerKeys
from covey_sdk import Trust
from covey_server.registry_client import RegistryClient
from covey_simulations.scenarios import loopback
from covey_simulations.scenarios.clock import Clock

OPERATOR = SigningKey(b"o" * 32)
DECRYPTORS = [SigningKey(bytes([number]) * 32) for number in range(1, 5)]
ROUNDS = 2
DEADLINE_SECONDS = 30
WINDOW_SECONDS = 3 * 3600


@dataclass(frozen=True)
class RegistryProcess:
    """Where the registry answers, and the files of rounds that are open for hours."""

    url: str
    key: bytes
    clock: Clock
    rounds: tuple[RoundFiles, ...] = ()

    @property
    def trust(self) -> Trust:
        organisations = frozenset(key.public for key in DECRYPTORS)
        return Trust(OPERATOR.public, self.key, ORIGIN, None, organisations)

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url)

    @property
    def epoch(self) -> int:
        return int(self.clock.seconds()) // 86_400


@contextmanager
def registry_process(folder: Path) -> Iterator[RegistryProcess]:
    """Start a registry in a forked process, so that tests may fork without threads; log its rounds."""
    clock = Clock.starting(folder, datetime(2027, 3, 1, 12, tzinfo=ZoneInfo("Asia/Shanghai")))
    key_file = folder / "registry.key"
    key = load_or_create(key_file).public
    settings = Settings(
        database_url=f"sqlite:///{folder}/registry.db", key_file=key_file, origin=ORIGIN, slots=ROUNDS,
        operator=OPERATOR.public.hex(), epsilon={"analytics": 80.0}, epsilon_total=80.0, rate_enrolments=None,
        rate_address=None, rate_caller=None,
    )  # fmt: skip
    (told, tell), (ended, end) = os.pipe(), os.pipe()
    pid = os.fork()
    if not pid:
        os.close(end)
        with loopback.serve_in_thread(create_app(settings, clock=clock.seconds), "registry") as url:
            os.write(tell, url.encode())
            os.read(ended, 1)
        os._exit(0)
    os.close(ended)
    try:
        assert select.select([told], [], [], DEADLINE_SECONDS)[0], "the registry does not start"
        registry = RegistryProcess(os.read(told, 100).decode(), key, clock)
        yield dataclasses.replace(registry, rounds=logged_rounds(registry))
    finally:
        os.close(end)
        os.waitpid(pid, 0)


def logged_rounds(registry: RegistryProcess) -> tuple[RoundFiles, ...]:
    """Log a round for each slot, and return its files: four organisations have seats."""
    with registry.client() as client:
        operator = RegistryClient(client, OPERATOR)
        keys = operator.issuer(PURPOSES, registry.epoch).keys
        found = []
        for slot in range(1, ROUNDS + 1):
            signed = sign_manifest(manifest(slot, keys, registry), OPERATOR)
            operator.log_manifest(signed)
            seats = tuple(offer_seat(digest_of(signed), key.secret)[1] for key in DECRYPTORS)
            found.append(RoundFiles(signed, keys, wire.encode(CommitteeFile(seats, None))))
    return tuple(found)


def manifest(slot: int, keys: IssuerKeys, registry: RegistryProcess) -> Manifest:
    """Return a round's manifest."""
    length, sigma, scale = 1 << (QUESTION.length - 1).bit_length(), 30.0, 16.0
    terms = RoundTerms(
        length, 0, sigma * scale, 2, 10_000, 0.0, 0.0, 100, tuple(key.public for key in DECRYPTORS),
        standing_shape(), (), hashlib.sha256(bytes(32)).digest(),
    )  # fmt: skip
    now = int(registry.clock.seconds())
    plain = Manifest(
        round_id=f"r{slot}", query=QUESTION.id, purpose=QUESTION.purpose, purposes=PURPOSES, epoch=keys.epoch,
        profile=SMALL.name, issuer=keys.digest, model=model_digest(QUESTION.digest()), length=length,
        norm=QUESTION.norm, scale=scale, sigma=sigma, epsilon=1.0, delta=1e-6, bits=30, gamma=0.0,
        honest=2, least_issued=3, least_cell=1, terms=terms,
        slot=slot,
        windows=Windows(*(now + (step + 1) * WINDOW_SECONDS for step in range(4))),
    )  # fmt: skip
    return dataclasses.replace(plain, epsilon=epsilon([plain.as_step.mechanism], plain.delta))
