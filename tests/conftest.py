"""A round played in one process, phase by phase, with whoever is to drop out; and the marks of the law."""

from __future__ import annotations

import asyncio
import functools
import gc
import os
import threading
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from httpx._transports import default as httpx_transports
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.util import LRUCache

from covey_consent import database, issuers
from covey_consent.law import articles
from covey_consent.store import Store
from covey_privacy import tickets, wire
from covey_privacy.errors import PrivacyError
from covey_privacy.five_phases import Aggregator, Blames, Participant, Sum, Terms
from covey_privacy.five_phases.aggregator import Sharing, Total
from covey_privacy.five_phases.messages import Survivors, sender
from covey_privacy.manifest import Manifest
from covey_privacy.signatures import SigningKey, verify
from covey_privacy.ticket_signer import TicketSigner, generate_private_keys
from covey_privacy.tickets import Role, RoundKey

# What collecting makes stays: to search it for garbage, again and again, took a quarter of the time.
gc.disable()


def pytest_collection_finish() -> None:
    """Search for garbage from now on, in what tests make alone."""
    gc.collect()
    gc.freeze()
    gc.enable()


def _is_on_postgresql(item: pytest.Item) -> bool:
    params = item.callspec.params if hasattr(item, "callspec") else {}
    return any(isinstance(value, str) and value == "postgresql" for value in params.values())


def _needs_sqlite_alone(item: pytest.Item) -> bool:
    return bool(getattr(getattr(item, "module", None), "SQLITE_ALONE", False))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what runs on PostgreSQL, and let reports say which article a test shows.

    An article that is not in the table stops the run. A module that says `SQLITE_ALONE` tests what does not
    rest on the database, and is not run on PostgreSQL a second time.
    """
    items[:] = [item for item in items if not (_is_on_postgresql(item) and _needs_sqlite_alone(item))]
    for item in items:
        if _is_on_postgresql(item):
            item.add_marker("postgresql")
        for mark in item.iter_markers("compliance"):
            if mark.args[0] not in articles.load().shows:
                raise pytest.UsageError(
                    f"{item.nodeid}: law.toml has no article {mark.args[0]!r}; add its row"
                )
            item.user_properties += [("compliance", mark.args[0]), ("test", item.nodeid.partition("[")[0])]


PURPOSES = ("analytics", "personalize")
SIGNER = TicketSigner.of(PURPOSES, 17_504, generate_private_keys(slots=1))
ISSUER_KEY = SIGNER.keys.of(Role.CONTRIBUTE, 1)
REGISTRY = SigningKey(b"\x07" * 32)


def manifest_of(length: int, **changes) -> Manifest:
    fields = {
        "round_id": "round-1",
        "query": "q1",
        "purpose": "analytics",
        "purposes": PURPOSES,
        "epoch": SIGNER.keys.epoch,
        "profile": "test",
        "issuer": SIGNER.keys.digest,
        "model": bytes(32),
        "length": length,
        "norm": 1.0,
        "scale": 64.0,
        "sigma": 4.0,
        "epsilon": 1.0,
        "delta": 1e-6,
        "bits": 20,
        "gamma": 0.0,
        "dropout": 0.0,
        "least_cohort": 2,
        "most_cohort": 10_000,
        "honest": 1,
        "least_issued": 0,
        "least_cell": 50,
    }
    return Manifest(**{**fields, **changes})


def terms_of(manifest: Manifest) -> Terms:
    return Terms(manifest, b"\x01" * 32, SIGNER.keys, REGISTRY.public)


def round_keys(count: int, random: Callable[[int], bytes] = os.urandom) -> list[RoundKey]:
    issuers = [ISSUER_KEY] * count
    pending = tickets.request(issuers, random)
    signatures = [SIGNER.sign_one(ISSUER_KEY, each.blinded) for each in pending]
    return list(tickets.receive(issuers, pending, signatures))


@dataclass
class Play:
    """Plays all phases; `absent[phase]` names the vectors' owners who fall silent from that phase on.

    What arrives together arrives in the order of `shuffled`. `added_up` is what nodes make of masked vectors.
    With `refusing`, a device that refuses is silent, as it would be; else its error is raised.
    """

    terms: Terms
    vectors: Sequence[np.ndarray]
    keys: Sequence[RoundKey]
    absent: dict[str, set[int]] = field(default_factory=dict)
    nodes: int = 2
    verify: Callable[[bytes, bytes, bytes], bool] = verify
    random: Callable[[int], bytes] = os.urandom
    shuffled: Callable[[list[bytes]], list[bytes]] = list
    added_up: Callable[[Callable[[], Sum], list[bytes]], list[bytes]] | None = None
    refusing: bool = False
    forge: dict[str, Callable[[list[bytes]], list[bytes]]] = field(default_factory=dict)
    blames: Blames = field(default_factory=Blames)
    transcript: list[bytes] = field(default_factory=list)
    graph: Sharing | None = None

    def run(self) -> Total:
        gone: set[int] = set()

        def here(phase: str) -> list[int]:
            gone.update(self.absent.get(phase, set()))
            return [who for who in range(len(self.vectors)) if who not in gone]

        self.aggregator = aggregator = Aggregator(self.terms, blames=self.blames)
        self.people = {
            who: Participant(self.terms, self.keys[who], verify=self.verify, random=self.random)
            for who in here("advertise")
        }
        roster = aggregator.freeze(self.said("advertise", dict.fromkeys(self.people, ())))
        directory = aggregator.countersigned(roster.head().countersign(REGISTRY))
        self.graph = aggregator.state
        index = self.index = {who: directory.index(self.keys[who].ticket.round_key) for who in self.people}

        def among(phase: str, places: Container[int | None]) -> list[int]:
            return [who for who in here(phase) if index[who] in places]

        shown = {who: (directory.view(index[who]),) for who in among("share", self.graph.near)}
        self.inboxes = aggregator.deliver(self.said("share", shown))
        told = {who: (self.inboxes[index[who]], self.vectors[who]) for who in among("mask", self.inboxes)}
        survivors = aggregator.survive(self.forged("sum", self.sums(self.said("mask", told))))
        staying = wire.decode(Survivors, survivors).devices
        agreed = self.said("agree", dict.fromkeys(among("agree", staying), (survivors,)))
        agreements = aggregator.gather(agreed)
        told = {who: (agreements[index[who]],) for who in among("open", agreements)}
        return aggregator.total(self.said("open", told))

    def said(self, step: str, told: dict[int, tuple]) -> list[bytes]:
        """What arrives of the messages that a step makes."""
        said = []
        for who, message in told.items():
            try:
                said.append(getattr(self.people[who], step)(*message))
            except PrivacyError:
                if not self.refusing:
                    raise
        self.transcript += said
        return self.forged(step, self.shuffled(said))

    def sums(self, masked: list[bytes]) -> list[bytes]:
        if self.added_up:
            return self.added_up(self.node, masked)
        nodes = [self.node() for _ in range(self.nodes)]
        for number, message in enumerate(masked):
            self.blames.sift([message], nodes[number % self.nodes].add, sender)
        return [node.message() for node in nodes]

    def node(self) -> Sum:
        manifest = self.terms.manifest
        return Sum(len(self.graph.near), manifest.length, manifest.bits, self.inboxes.keys())

    def forged(self, phase: str, said: list[bytes]) -> list[bytes]:
        return self.forge.get(phase, list)(said)


@pytest.fixture(scope="session", autouse=True)
def made_once() -> Iterator[None]:
    """Let all registries of a process share what each would make alike: compiled statements, trusted roots.

    SQLAlchemy keeps a compiled statement by its text's structure and its dialect, of which each engine has
    one. All of SQLite's are made alike. httpx reads the roots anew for each transport.
    """
    create_engine, compiled = database.create_engine, LRUCache(5_000)

    def shared_engine(url, **options):
        if url.get_backend_name() == "sqlite":
            options["execution_options"] = {"compiled_cache": compiled}
        return create_engine(url, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SQLiteDialect_pysqlite, "__hash__", lambda dialect: hash(type(dialect)))
        patch.setattr(SQLiteDialect_pysqlite, "__eq__", lambda one, other: type(one) is type(other))
        patch.setattr(database, "create_engine", shared_engine)
        cached = functools.cache(httpx_transports.create_ssl_context)
        patch.setattr(httpx_transports, "create_ssl_context", cached)
        yield


class PrivateKeys:
    """Hands registries of this process RSA keys that another test had, since one takes 80 ms of a core.

    Within the outermost `lent` no key is handed out twice, whatever registries, sets and epochs ask.
    """

    def __init__(self) -> None:
        self._made: list[rsa.RSAPrivateKey] = []
        self._handed = self._lent = 0
        self._lock = threading.Lock()

    @contextmanager
    def lent(self) -> Iterator[None]:
        if not self._lent:
            self._handed = 0
        self._lent += 1
        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(issuers, "generate_private_keys", self._next)
                yield
        finally:
            self._lent -= 1

    def _next(self, slots: int) -> tuple[rsa.RSAPrivateKey, ...]:
        with self._lock:
            start = self._handed
            self._handed += 2 * slots
            while len(self._made) < self._handed:
                self._made += generate_private_keys(1)
            return tuple(self._made[start : self._handed])


@pytest.fixture(scope="session")
def private_keys() -> PrivateKeys:
    return PrivateKeys()


@pytest.fixture
def lent_keys(private_keys: PrivateKeys) -> Iterator[None]:
    """Let the registries of a test have private keys that are made already."""
    with private_keys.lent():
        yield


@pytest.fixture
def own_keys(lent_keys: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the registries of a test make their private keys, as in production."""
    monkeypatch.setattr(issuers, "generate_private_keys", generate_private_keys)


@pytest.fixture(scope="session")
def new_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite database with the registry's tables and without a row; tests work on copies of it."""
    file = tmp_path_factory.mktemp("registry") / "new.db"
    asyncio.run(Store.open(f"sqlite:///{file}").close())
    return file


@pytest.fixture(scope="session")
def many_keys() -> list[RoundKey]:
    return round_keys(60)


@pytest.fixture(scope="session")
def makers(many_keys):
    """The makers above, for tests that hypothesis calls many times."""

    class Makers:
        manifest_of = staticmethod(manifest_of)
        terms_of = staticmethod(terms_of)
        round_keys = staticmethod(round_keys)

        @staticmethod
        def make(vectors, absent=None, terms=None, **more) -> Play:
            return Play(
                terms or terms_of(manifest_of(len(vectors[0]))), vectors, many_keys, absent or {}, **more
            )

    return Makers


@pytest.fixture
def play(makers):
    return makers.make
