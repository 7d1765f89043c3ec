import asyncio
import dataclasses
import hashlib
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import postgresql
import pytest
from registry_players import follow_witness, one_message, play, round_issuers, witnessed
from required_tools import report_missing

from covey_consent.access.roles import Caller, Role
from covey_consent.app import create_app
from covey_consent.settings import Settings
from covey_consent.storage.models import Base
from covey_consent.storage.store import Store
from covey_privacy import checkpoint, evidence, manifest, merkle, tickets, wire
from covey_privacy.checkpoint import Checkpoint
from covey_privacy.errors import ServerError
from covey_privacy.evidence import CommitteeEvidence, ComplaintCount, Evidence, SignedSets
from covey_privacy.manifest import Manifest, Windows
from covey_privacy.registry_messages import (
    DECISION,
    ENROLMENT,
    GRANTED,
    NOTICE,
    SYNC,
    TICKETS,
    WITHDRAWN,
    Batch,
    BlindSignatures,
    Decision,
    Enrolment,
    Entries,
    Issuer,
    Notice,
    Notices,
    Sync,
    Synced,
    TicketRequest,
)
from covey_privacy.sealed_figures import Annex
from covey_privacy.secagg.log_entries import open_head
from covey_privacy.secagg.messages import FINAL, INCLUDED, ROSTER, RosterHead, SetHead
from covey_privacy.secagg.notary_messages import RoundEntries
from covey_privacy.secagg.shape import standing_shape
from covey_privacy.secagg.terms import RoundTerms
from covey_privacy.signatures import SigningKey, digest_of, open_signed, sign
from covey_privacy.tickets import RoundKey

with warnings.catch_warnings():
    # Starlette's test client asks for httpx2, where Covey speaks httpx, and uses a name that anyio changed.
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

__all__ = ["follow_witness", "one_message", "play", "round_issuers", "witnessed"]
"""Fixtures of rounds in one message."""

DAY = 86400
ORIGIN = "covey.test/log"
CBOR = {"content-type": "application/cbor"}
RELEASE = b"a signed release"
ORGANISATIONS = tuple(SigningKey(bytes([place]) * 32) for place in range(1, 5))
"""Of the standing committee that `Shop.manifest` names."""


@dataclass
class Clock:
    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

    @property
    def ms(self) -> int:
        return int(self.now * 1000)

    @property
    def epoch(self) -> int:
        return int(self.now) // DAY


@dataclass
class Phone:
    clock: Clock
    key: SigningKey

    @property
    def device(self) -> bytes:
        return self.key.public

    def enrolment(self, **changes) -> bytes:
        plain = Enrolment(self.device, self.clock.ms)
        return sign(ENROLMENT, dataclasses.replace(plain, **changes), self.key)

    def decision(self, notice: Notice, state: str = GRANTED, language: str = "en", **changes) -> bytes:
        digest = next(text.digest for text in notice.texts if text.language == language)
        said = Decision(
            self.device, notice.purpose, state, notice.version, language, digest, "toggle", self.clock.ms
        )
        return sign(DECISION, dataclasses.replace(said, **changes), self.key)

    def batch(self, *signed: bytes) -> bytes:
        return wire.encode(Batch(signed, (self.device,) * len(signed)))

    def sync(self, log_size: int = 0, **changes) -> bytes:
        plain = Sync(self.device, self.clock.ms, log_size)
        return sign(SYNC, dataclasses.replace(plain, **changes), self.key)

    def request(self, issuer: Issuer, pending, **changes) -> bytes:
        blinded = tuple(one.blinded for one in pending)
        asked = TicketRequest(self.device, self.clock.ms, issuer.keys.purposes, issuer.keys.epoch, blinded)
        return sign(TICKETS, dataclasses.replace(asked, **changes), self.key)


@dataclass
class Shop:
    """A running registry with its operator, and what a well-behaved phone does with it."""

    http: httpx.Client
    clock: Clock
    operator: SigningKey
    registry: SigningKey
    phones: list[Phone] = field(default_factory=list)

    def post(self, path: str, body: bytes, **headers: str) -> httpx.Response:
        return self.http.post(path, content=body, headers={**CBOR, **headers})

    def stranger(self) -> Phone:
        """A phone that is not enrolled."""
        phone = Phone(self.clock, SigningKey(hashlib.sha256(b"%d" % len(self.phones)).digest()))
        self.phones.append(phone)
        return phone

    def phone(self) -> Phone:
        phone = self.stranger()
        assert self.post("/v1/enrolments", phone.batch(phone.enrolment())).status_code == 204
        return phone

    def as_(
        self, role: Role, name: str = "someone", subject: str | None = None, reason: str | None = "a test"
    ) -> dict[str, str]:
        """Return the headers by which the role is known, with an officer's reason."""
        caller = Caller(role, name, subject)
        token = self.http.app.state.registry.tokens.mint(caller, int(self.clock.now), 3600)
        why = {"covey-reason": reason} if role is Role.OFFICER and reason is not None else {}
        return {"authorization": f"Bearer {token}", **why}

    def match(self, path: str, headers: dict[str, str]) -> dict[str, str]:
        """Return the headers, with the version of the thing at the path that whoever sends them reads."""
        read = self.http.get(path, headers=headers)
        assert read.status_code == 200, read.text
        return headers | {"if-match": read.headers["etag"]}

    def publish(self, file: dict, role: Role = Role.ADMIN) -> httpx.Response:
        """Have two people send a notice; return the last answer."""
        for name in ("author", "someone"):
            answer = self.http.post("/v1/notices", json=file, headers=self.as_(role, name))
            if answer.status_code != 202:
                break
        return answer

    def notices(self) -> dict[str, Notice]:
        signed = wire.decode(Notices, self.http.get("/v1/notices").content).notices
        opened = [open_signed(Notice, NOTICE, data, self.registry.public) for data in signed]
        return {notice.purpose: notice for notice in opened}

    def decide(self, phone: Phone, purpose: str, state: str = GRANTED, **changes) -> httpx.Response:
        signed = phone.decision(self.notices()[purpose], state, **changes)
        return self.post("/v1/decisions", phone.batch(signed))

    def grant(self, phone: Phone, *purposes: str) -> None:
        for purpose in purposes:
            assert self.decide(phone, purpose).status_code == 204

    def withdraw(self, phone: Phone, purpose: str) -> None:
        assert self.decide(phone, purpose, WITHDRAWN).status_code == 204

    def sync(self, phone: Phone, log_size: int = 0) -> Synced:
        answer = self.post("/v1/sync", phone.sync(log_size))
        assert answer.status_code == 200
        return wire.decode(Synced, answer.content)

    def choices(self, phone: Phone) -> dict[str, str]:
        return {choice.purpose: choice.state for choice in self.sync(phone).choices}

    def checkpoint(self) -> Checkpoint:
        return checkpoint.open_note(self.http.get("/v1/log/checkpoint").text, self.registry.public)

    def issuer(self, *purposes: str) -> Issuer:
        answer = self.http.get(f"/v1/issuers/{self.clock.epoch}/{'+'.join(purposes)}")
        assert answer.status_code == 200, answer.text
        return wire.decode(Issuer, answer.content)

    def issued(self, *purposes: str, epoch: int | None = None, key: SigningKey | None = None, **query: str):
        """Ask for an epoch's counts, as the operator does."""
        epoch = self.clock.epoch if epoch is None else epoch
        signature = (key or self.operator).sign(tickets.to_count(purposes, epoch)).hex()
        params = {"purposes": "+".join(purposes)} | query
        path = f"/v1/epochs/{epoch}/issued"
        return self.http.get(path, params=params, headers={"covey-signature": signature})

    def tickets(self, phone: Phone, issuer: Issuer) -> tuple[RoundKey, ...]:
        pending = tickets.request(issuer.keys)
        answer = self.post("/v1/tickets", phone.request(issuer, pending))
        assert answer.status_code == 200, answer.text
        return tickets.receive(issuer.keys, pending, wire.decode(BlindSignatures, answer.content).signatures)

    def manifest(self, issuer: Issuer, **changes) -> Manifest:
        plain = Manifest(
            round_id="round-1", query="q1", purpose="analytics", purposes=issuer.keys.purposes,
            epoch=issuer.keys.epoch, profile="test", issuer=issuer.keys.digest, model=bytes(32), length=8,
            norm=1.0, scale=64.0, sigma=10.0, epsilon=0.5, delta=1e-6, bits=20, gamma=0.05,
            honest=1, least_issued=2, least_cell=50,
        )  # fmt: skip
        return self.fit(plain, **changes)

    def fit(self, plain: Manifest, **changes) -> Manifest:
        """Return a manifest with changes, and with terms and windows that fit them where none are given."""
        new = dataclasses.replace(plain, **changes)
        terms = RoundTerms(
            new.length, 0, new.sigma * new.scale, new.honest, 40, new.gamma, 0.3, 1000,
            tuple(key.public for key in ORGANISATIONS), standing_shape(), (), bytes(32),
        )  # fmt: skip
        now = int(self.clock.now)
        fitting = {"terms": terms, "windows": Windows(now + 600, now + 1200, now + 1800, now + 2400)}
        return dataclasses.replace(new, **{**fitting, **changes})

    def announce(self, terms: Manifest) -> bytes:
        """Log the manifest and return its digest."""
        signed = manifest.sign_manifest(terms, self.operator)
        answer = self.post("/v1/rounds", signed)
        assert answer.status_code == 200, answer.text
        return digest_of(signed)

    def signed_sets(self, round_id: str) -> SignedSets:
        """Return what the registry signed in a round, as its public answer has it."""
        answer = self.http.get(f"/v1/rounds/{round_id}")
        assert answer.status_code == 200, answer.text
        heads = {}
        for entry in wire.decode(RoundEntries, answer.content).entries:
            for cls, context in ((RosterHead, ROSTER), (SetHead, INCLUDED), (SetHead, FINAL)):
                with suppress(ServerError):
                    heads[context] = open_head(cls, context, entry.signed, self.registry.public)
        volunteers = heads[ROSTER].size if ROSTER in heads else 0
        return SignedSets(heads.get(INCLUDED), heads.get(FINAL), volunteers)

    def annex(self, terms: Manifest) -> Annex:
        """Return a round's exact figures; the salt is the test's."""
        salt = hashlib.sha256(terms.round_id.encode()).digest()
        return Annex(terms.round_id, 0, 6, 6, 0, 0, 0, 1.5, salt)

    def evidence(self, terms: Manifest, digest: bytes, outcome: str, **changes) -> bytes:
        """Return signed evidence that fits the round's manifest and signed sets, but for `changes`."""
        sets = self.signed_sets(terms.round_id)
        included, final = sets.included, sets.final
        ended = outcome.partition(":")[0]
        summed = ended in (evidence.RELEASED, evidence.WITHHELD)
        leaf = Evidence(
            round_id=terms.round_id, query=terms.query, purposes=terms.purposes, profile=terms.profile,
            manifest=digest, model=terms.model,
            included=included.root if included else merkle.EMPTY, final=final.root if final else merkle.EMPTY,
            cohort=evidence.tens(included.size) if included else 0,
            excluded=evidence.tens(included.size - final.size) if included and final else 0,
            denials="bad <10, spent <10",
            committees=tuple(
                CommitteeEvidence(kind, shape.members, shape.threshold, shape.members if summed else 0)
                for kind, shape in (evidence.shapes(terms, sets.volunteers) if included else {}).items()
            ),
            complaints=(ComplaintCount(2, 1),) if summed and terms.terms.standing else (),
            integrity_proved=summed,
            norm=terms.norm, sigma=terms.sigma, epsilon=terms.epsilon, epsilon_so_far=terms.epsilon,
            delta=terms.delta, honest=terms.honest, least_issued=terms.least_issued,
            outcome=outcome, code_version="0.1.0", shared_operator=True,
            annex=self.annex(terms).digest,
            proofs=hashlib.sha256(b"proofs").digest() if final else evidence.NO_PROOFS,
            release=(
                hashlib.sha256(RELEASE).digest() if ended == evidence.RELEASED else evidence.NO_RELEASE
            ),
        )  # fmt: skip
        return sign(evidence.CONTEXT, dataclasses.replace(leaf, **changes), self.operator)

    def conclude(self, terms: Manifest, digest: bytes, outcome: str, **changes) -> httpx.Response:
        """Send evidence that fits, but for `changes`."""
        signed = self.evidence(terms, digest, outcome, **changes)
        return self.post(f"/v1/rounds/{terms.round_id}/evidence", signed)

    def entries(self) -> tuple[bytes, ...]:
        size = self.checkpoint().size
        answer = self.http.get("/v1/log/entries", params={"start": 0, "end": size})
        return wire.decode(Entries, answer.content).entries

    def root_of_entries(self) -> bytes:
        return merkle.Tree([merkle.leaf_hash(entry) for entry in self.entries()]).root()


Opened = Callable[..., AbstractContextManager[Shop]]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str | None]:
    """The URL of a server on which databases can be made, None where there is none to be had."""
    folder = tmp_path_factory.getbasetemp()
    with postgresql.server(folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) as url:
        yield url


@pytest.fixture(scope="session")
def worked_on(postgres: str | None) -> Iterator[str]:
    """The URL of a database on that server that has the registry's tables; one test after another uses it."""
    if postgres is None:
        report_missing(postgresql.INSTALL)
    with postgresql.database(postgres) as url:
        asyncio.run(Store.open(url).close())
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without a row; the test runs once on each kind."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("new_file"), tmp_path / "registry.db")
        return f"sqlite:///{tmp_path}/registry.db"
    url = request.getfixturevalue("worked_on")
    postgresql.empty(url, Base.metadata.tables)
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without a table; the test runs once on each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/new.db"
        return
    server = request.getfixturevalue("postgres")
    if server is None:
        report_missing(postgresql.INSTALL)
    with postgresql.database(server) as url:
        yield url


@pytest.fixture
def stored(database_url: str, tmp_path: Path) -> Callable[[], bytes]:
    """Return every byte that the database holds now: SQLite's whole files, PostgreSQL's rows."""

    def stored() -> bytes:
        files = tmp_path.glob("registry.db*")
        rows = [] if database_url.startswith("sqlite") else postgresql.cells(database_url)
        return b"".join([*(file.read_bytes() for file in files), *rows])

    return stored


@pytest.fixture
def opened(database_url: str, tmp_path: Path, clock: Clock, lent_keys: None) -> Opened:
    """Open a registry on the same files as often as asked, each time with other settings.

    Its clock is judged by `monotonic`, where that is given.
    """
    operator = SigningKey(bytes(32))

    @contextmanager
    def opened(monotonic: Callable[[], float] | None = None, **settings) -> Iterator[Shop]:
        plain = {
            "database_url": database_url,
            "key_file": tmp_path / "registry.key",
            "origin": ORIGIN,
            "slots": 2,
            "operator": operator.public.hex(),
            "public_url": "http://testserver",
        }
        app = create_app(Settings(**{**plain, **settings}), clock=clock, monotonic=monotonic)
        with TestClient(app, raise_server_exceptions=False) as http:
            yield Shop(http, clock, operator, app.state.registry.key)

    return opened


@pytest.fixture
def shop(opened: Opened) -> Iterator[Shop]:
    with opened() as shop:
        yield shop


@pytest.fixture
def problem() -> Callable[[httpx.Response, int], str]:
    """Assert that an answer is the problem expected and return its one line."""

    def problem(answer: httpx.Response, status: int) -> str:
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == status
        detail = answer.json()["detail"]
        assert detail
        assert "\n" not in detail
        return detail

    return problem
