"""A round in one message whose notary is the registry over HTTP, with a real witness beside it."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import hashlib
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy.orm import Session

from covey_consent.rounds.records import DatabaseRecords, require_nothing
from covey_consent.storage.key_file import load_or_create
from covey_consent.storage.models import HOUR, Issuance, IssuerSecret, Subject
from covey_consent.witness import witness as witness_app
from covey_privacy import wire
from covey_privacy.manifest import Manifest, Windows, sign_manifest
from covey_privacy.note import COSIGNATURE, VerifierKey
from covey_privacy.registry_messages import Issuer as IssuerAnswer
from covey_privacy.secagg import keys
from covey_privacy.secagg.log_entries import LogView
from covey_privacy.secagg.messages import (
    FINAL,
    INCLUDED,
    ROSTER,
    DrawnCommittee,
    Logged,
    RosterHead,
    SetHead,
)
from covey_privacy.secagg.notary import RefusedMembersError
from covey_privacy.secagg.notary_messages import (
    DRAW_REQUEST,
    EXCLUSION_REQUEST,
    GRANT_REQUEST,
    INCLUSION_REQUEST,
    ROSTER_REQUEST,
    DrawAnswer,
    DrawRequest,
    ExclusionRequest,
    GrantRequest,
    InclusionAnswer,
    InclusionRequest,
    LoggedHead,
    RosterRequest,
    request_statement,
)
from covey_privacy.secagg.shape import Band, choose_shape, standing_shape
from covey_privacy.secagg.terms import RoundTerms
from covey_privacy.signatures import SigningKey, digest_of, sign
from covey_privacy.tickets import IssuerKeys
from covey_privacy.witness import Witness, WitnessPolicy
from covey_simulations.scenarios.in_process_round import NOW, Issuer, Players, Setting, new_issuers

Shop = Any
"""The `Shop` of conftest.py, which no module can import by its name."""
ORIGIN = "covey.test/log"
PURPOSES = ("analytics",)
WITNESS = SigningKey(b"\7" * 32)
WITNESS_KEY = VerifierKey("witness.test/1", COSIGNATURE, WITNESS.public)
WITNESS_SETTING = {"vkey": WITNESS_KEY.vkey, "url": "http://witness.test"}

STANDING = standing_shape()
DRAWN = choose_shape(40, 2, 0.1)
"""Of 40 volunteers, 2 of which may be corrupt."""
VERIFY = functools.lru_cache(2**16)(keys.verify)
"""Remembers what it has checked: the players share a process, and check the same tickets."""
SETTINGS = {
    "standing": Setting(phones=6, length=10, standing=STANDING, issued=40),
    "drawn": Setting(phones=6, length=10, drawn=DRAWN, volunteers=40, lost=0.1, issued=40, gamma=0.05),
    "both": Setting(
        phones=6, length=10, standing=STANDING, drawn=DRAWN, volunteers=40, lost=0.1, issued=40, gamma=0.05
    ),
}
CONTEXTS = {
    RosterRequest: ("roster", ROSTER_REQUEST),
    DrawRequest: ("draw", DRAW_REQUEST),
    InclusionRequest: ("included", INCLUSION_REQUEST),
    GrantRequest: ("disputes", GRANT_REQUEST),
    ExclusionRequest: ("final", EXCLUSION_REQUEST),
}


def follow(monkeypatch, registry: SigningKey, folder: Path, clock) -> None:
    """Have a real witness, which keeps `folder`, answer whatever registries ask from now on."""
    folder.mkdir(exist_ok=True)
    app = witness_app.create_app(Witness(WITNESS_KEY.name, WITNESS, {ORIGIN: registry.public}), folder, clock)
    transport = httpx.ASGITransport(app)
    through = functools.partial(httpx.AsyncClient, transport=transport)
    monkeypatch.setattr(httpx, "AsyncClient", through)


def wait_until_cosigned(shop: Shop) -> None:
    """Wait until the witness cosigned the newest head, so that the registry waits for it from now on."""
    end = time.monotonic() + 20
    while WITNESS_KEY.name not in shop.http.get("/v1/log/checkpoint").text:
        assert time.monotonic() < end, "no cosignature came"
        time.sleep(0.01)


@dataclass
class HttpNotary:
    """What `Notary` answers, asked over HTTP; `logged` has the places of what was signed."""

    shop: Shop
    manifest: Manifest
    digest: bytes
    logged: dict[bytes, LoggedHead] = field(default_factory=dict)

    def at(self, window: str) -> None:
        """Let the clock be just behind a window, if it is not yet."""
        ends = getattr(self.manifest.windows, window) + 1
        self.shop.clock.now = max(self.shop.clock.now, ends)

    def path(self, name: str) -> str:
        return f"/v1/rounds/{self.manifest.round_id}/{name}"

    def ask(self, message, signer: SigningKey | None = None) -> httpx.Response:
        """Send a request that the operator signs."""
        name, context = CONTEXTS[type(message)]
        body = wire.encode(message)
        signature = (signer or self.shop.operator).sign(request_statement(context, body))
        return self.shop.post(self.path(name), body, **{"covey-signature": signature.hex()})

    def volunteer(self, offer: bytes) -> None:
        answer = self.shop.post(self.path("volunteers"), offer)
        assert answer.status_code == 204, answer.text

    def retract(self, retraction) -> httpx.Response:
        return self.shop.post(self.path("retractions"), wire.encode(retraction))

    def roster(self) -> bytes:
        self.at("volunteer")
        return self._keep(self._answer(LoggedHead, RosterRequest(self.digest)))

    def draw(self, nonce: bytes) -> DrawnCommittee:
        answer = self._answer(DrawAnswer, DrawRequest(self.digest, nonce))
        assert self._keep(answer.head) == answer.drawn.draw
        return answer.drawn

    def include(self, committees: bytes, request: bytes) -> bytes:
        self.at("contribute")
        answer = self._answer(InclusionAnswer, InclusionRequest(self.digest, committees, request))
        if answer.head is None:
            raise RefusedMembersError({each.round_key: each.rule for each in answer.refused})
        return self._keep(answer.head)

    def dispute(self, complaints: bytes, member: int) -> bytes:
        return self._keep(self._answer(LoggedHead, GrantRequest(self.digest, complaints, member)))

    def final(self, request: bytes) -> bytes:
        return self._keep(self._answer(LoggedHead, ExclusionRequest(self.digest, request)))

    def _answer(self, cls, message):
        answer = self.ask(message)
        assert answer.status_code == 200, answer.text
        return wire.decode(cls, answer.content)

    def _keep(self, head: LoggedHead) -> bytes:
        self.logged[head.signed] = head
        return head.signed


@dataclass
class HttpLog:
    """The registry's log, as its answers show it."""

    notary: HttpNotary
    view: LogView

    def append(self, signed: bytes) -> Logged:
        """Return the place that the registry's answer gave."""
        return self.notary.logged[signed].logged


@dataclass
class RegistryPlayers(Players):
    """Players of a round whose manifest the registry logged. `changes` are the manifest's."""

    shop: Shop | None = None
    changes: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        shop, setting = self.shop, self.setting
        self.registry = shop.registry
        seed = hashlib.sha256(self.changes.get("round_id", "round-1").encode()).digest()
        members = setting.standing.members if setting.standing else 0
        self.organisations = [SigningKey(bytes([place]) * 32) for place in range(1, members + 1)]
        self._nonce = seed
        self.manifest = one_message_manifest(shop, setting, self.organisations, seed, self.keys)
        self.manifest = dataclasses.replace(self.manifest, **self.changes)
        signed = sign_manifest(self.manifest, shop.operator)
        answer = shop.post("/v1/rounds", signed)
        assert answer.status_code == 200, answer.text
        self.info = self.manifest.info(digest_of(signed), shop.registry.public, self.keys)
        self.notary = HttpNotary(shop, self.manifest, self.info.digest)
        self.log = HttpLog(
            self.notary, LogView(ORIGIN, shop.registry.public, WitnessPolicy((WITNESS_KEY,), 1, 3600))
        )

    @property
    def keys(self) -> IssuerKeys:
        return issuer_keys(self.issuers, self.shop.clock.epoch)

    def include_request(self) -> InclusionRequest:
        """Close the collection; return what asks for its inclusion."""
        self.notary.at("contribute")
        return InclusionRequest(self.info.digest, self.file, self.close())


def issuer_keys(issuers: tuple[Issuer, Issuer], epoch: int) -> IssuerKeys:
    contribute, volunteer = (issuer.key.key for issuer in issuers)
    return IssuerKeys(PURPOSES, epoch, (contribute,), (volunteer,))


def one_message_manifest(
    shop: Shop, setting: Setting, organisations: list[SigningKey], nonce: bytes, keys: IssuerKeys
) -> Manifest:
    """Return the manifest of a round in one message that begins now."""
    now = int(shop.clock.now)
    old = shop.manifest(IssuerAnswer(keys, 0))
    bands = (Band(1, 2**32 - 1, setting.drawn),) if setting.drawn else ()
    terms = RoundTerms(
        setting.length, setting.drop, old.sigma * old.scale, setting.honest, setting.issued, setting.gamma,
        setting.lost, max(setting.phones, 1), tuple(key.public for key in organisations),
        setting.standing, bands, hashlib.sha256(nonce).digest(), setting.sample,
    )  # fmt: skip
    return dataclasses.replace(
        old, issuer=keys.digest, length=setting.length, honest=setting.honest, gamma=setting.gamma,
        terms=terms, windows=Windows(now + 600, now + 1200, now + 1800, now + 2400),
    )  # fmt: skip


def prepare(shop: Shop, issuers: tuple[Issuer, Issuer], issued: int = 4) -> None:
    """Give the registry issuer keys by role and slot, and batches that were issued."""
    keys = issuer_keys(issuers, shop.clock.epoch)
    write(shop, functools.partial(_add_keys, keys))
    add_issued(shop, range(issued))


def _add_keys(keys: IssuerKeys, session: Session) -> None:
    session.add(
        IssuerSecret(
            epoch=keys.epoch, purposes="+".join(keys.purposes), keys=wire.encode(keys), index=0, secret=None
        )
    )


def sign_sets(
    shop: Shop, manifest: Manifest, digest: bytes, included: int, final: int = 0, volunteers: int = 0
) -> None:
    """Have the registry sign and log sets of so many members, and a roster, as if they had been asked for.

    Nobody contributed: the roots stand for no leaves.
    """
    context = hashlib.sha256(digest).digest()
    roots = [hashlib.sha256(bytes([place]) + digest).digest() for place in range(3)]
    heads: dict[str, Any] = {}
    if volunteers:
        heads[ROSTER] = RosterHead(digest, volunteers, roots[0])
    if included:
        heads[INCLUDED] = SetHead(digest, context, included, roots[1], bytes(32))
    if final:
        root = roots[1] if final == included else roots[2]
        heads[FINAL] = SetHead(digest, context, final, root, roots[1])
    registry = shop.http.app.state.registry
    for step, head in heads.items():
        now = int(shop.clock.now)
        records = DatabaseRecords(registry.store, registry.log, manifest.round_id, step, now, require_nothing)
        signed = sign(step, head, shop.registry)
        assert records.keep(step.encode() + digest, signed, (), b"") == (signed, ())


def add_issued(shop: Shop, people: range) -> None:
    """Book a batch of this epoch for each of so many new people."""
    now = {"hour": int(shop.clock.now) // HOUR, "epoch": shop.clock.epoch}

    def add(session: Session) -> None:
        names = [f"{number:032x}" for number in people]
        session.add_all([Subject(subject=name, enrolled_hour=now["hour"], country="") for name in names])
        session.flush()
        session.add_all(
            [Issuance(purposes="+".join(PURPOSES), subject=name, request=bytes(32), **now) for name in names]
        )

    write(shop, add)


def write(shop: Shop, work) -> None:
    store = shop.http.app.state.registry.store
    asyncio.run(store.write(work))


def start_clock(clock) -> None:
    """Let the registry's clock show the time at which in-process players ask decryptors."""
    clock.now = float(NOW)


@pytest.fixture(scope="session")
def round_issuers() -> tuple[Issuer, Issuer]:
    """The issuers of tickets to contribute and to volunteer, with the round keys that they certified."""
    return new_issuers()


@pytest.fixture
def one_message(opened, round_issuers, clock):
    """A registry with issuer keys by role, without witnesses."""
    start_clock(clock)
    with opened() as shop:
        prepare(shop, round_issuers)
        yield shop


@pytest.fixture
def follow_witness(clock, tmp_path, monkeypatch):
    """Start a real witness of the registry whose key file is in `tmp_path`; return a registry's setting."""
    start_clock(clock)
    follow(monkeypatch, load_or_create(tmp_path / "registry.key"), tmp_path / "witness", clock)
    return {"witnesses": [WITNESS_SETTING]}


@pytest.fixture
def witnessed(opened, round_issuers, follow_witness):
    """The same registry with a real witness."""
    with opened(**follow_witness) as shop:
        prepare(shop, round_issuers)
        wait_until_cosigned(shop)
        yield shop


@pytest.fixture
def play(round_issuers):
    """`play(shop, kind, changes, **setting)`: the players of a round that is logged at the registry."""

    def play(shop, kind, changes=None, **setting) -> RegistryPlayers:
        changed = dataclasses.replace(SETTINGS[kind], **setting)
        return RegistryPlayers(changed, round_issuers, verify=VERIFY, shop=shop, changes=changes or {})

    return play
