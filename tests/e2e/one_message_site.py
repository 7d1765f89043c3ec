"""A site of rounds in one message: real phones, registry with a witness, nodes on disk, four decryptors.

Everything is the real thing but the network, which is ASGI in this process, and the clock, which is moved.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import time
import warnings
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import numpy as np
from registry_players import ORIGIN, WITNESS_KEY, WITNESS_SETTING, follow

from covey_consent.app import create_app
from covey_consent.settings import Settings
from covey_consent.storage.key_file import load_or_create
from covey_models import QUERIES
from covey_privacy import wire
from covey_privacy.dp import epsilon
from covey_privacy.errors import PrivacyError
from covey_privacy.floors import FloorProfile
from covey_privacy.manifest import Manifest, Windows, model_digest, sign_manifest
from covey_privacy.round_files import RoundFiles
from covey_privacy.secagg import keys as secagg_keys
from covey_privacy.secagg.field import centred
from covey_privacy.secagg.shape import Band, choose_shape, standing_shape
from covey_privacy.secagg.terms import RoundTerms
from covey_privacy.signatures import Signed, SigningKey, digest_of
from covey_privacy.site_document import Organisation, SiteDocument, sign_site
from covey_sdk import Device, RegistryClient, Trust, rule_bundle
from covey_sdk.errors import CoveyError
from covey_sdk.rule_bundle import BASE
from covey_sdk.store import Store
from covey_server import operator_keys
from covey_server import registry_client as coordinator_registry
from covey_server.decryptor.app import create_app as create_decryptor
from covey_server.decryptor.service import DecryptorService
from covey_server.decryptor.sites import read_sites
from covey_server.decryptor.state import State, mark_unused
from covey_server.errors import NodesError
from covey_server.organisations import Organisations
from covey_server.round_node import Pinned, RoundNode
from covey_server.round_registry import RoundRegistry
from covey_server.round_state import RunningRound
from covey_server.round_steps import CHARGED
from covey_server.secure_sum import SecureSum

with warnings.catch_warnings():
    # Starlette's test client asks for httpx2, where Covey speaks httpx, and uses a name that anyio changed.
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

PURPOSES = ("analytics", "personalize")
QUESTION = next(iter(QUERIES.values()))
SMALL = FloorProfile("test", 3, {}, least_cell=1, least_pool=0)
VERIFY = functools.lru_cache(2**16)(secagg_keys.verify)
"""Remembers what it has checked: all phones are in this process, and check the same committee."""
BOOT = b"b" * 32
NONCE = b"n" * 32
FLOORS = "least_set = 3\nmost_epsilon = 10\n"
SLOTS = 3


class Clock:
    """One clock for all; it moves when a coordinator waits for a window, and by `forward`."""

    def __init__(self) -> None:
        self.now = datetime(2027, 3, 1, 12, tzinfo=ZoneInfo("Asia/Shanghai"))

    def __call__(self) -> datetime:
        return self.now

    def seconds(self) -> float:
        return self.now.timestamp()

    def wait_until(self, at: int) -> None:
        self.forward(max(0.0, at + 1 - self.seconds()))

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class MemorySteps(dict):
    """What a coordinator wrote down of a round; `stop_after` ends it once a step is durable."""

    stop_after = ""

    def put(self, name, outcome):
        assert name not in self
        self[name] = outcome
        if name == self.stop_after:
            raise KeyboardInterrupt


class Gone:
    """A node that answers nothing, or what cannot be read."""

    def __init__(self, answer: bytes | None = None) -> None:
        self.answer = answer

    def handle(self, exchange, body):
        if self.answer is None:
            raise NodesError("gone")
        return self.answer


class Household:
    """Phones behind a node: real devices, each with its own store."""

    def __init__(self, devices):
        self.devices = devices
        self.refusals = []

    def client(self, device):
        return device.round_client(verify=VERIFY, boot_id=BOOT)

    def duty(self, device):
        return device.decryptor_duty(verify=VERIFY, boot_id=BOOT)

    def volunteer(self, files):
        for device in self.devices:
            self._let(lambda device=device: self.duty(device).volunteer(files.manifest))

    def contribute(self, files):
        for device in self.devices:
            message = self._let(lambda device=device: self.client(device).contribute(files))
            if message:
                yield device, message

    def acknowledge(self, device, round_id):
        self.client(device).acknowledge(round_id)

    def seats(self, files):
        seats = {}
        round_id = wire.decode(Manifest, wire.decode(Signed, files.manifest).body).round_id
        for device in self.devices:
            number = self._let(lambda d=device: self.duty(d).take_seat(round_id, files.committee))
            if number:
                seats[number] = device
        return seats

    def check(self, device, round_id, request):
        return self._let(lambda: self.duty(device).check(round_id, request))

    def dispute(self, device, round_id, request):
        return self._let(lambda: self.duty(device).dispute(round_id, request))

    def open(self, device, round_id, request):
        return self._let(lambda: self.duty(device).open(round_id, request))

    def _let(self, act):
        try:
            return act()
        except (CoveyError, PrivacyError) as error:
            self.refusals.append(error)
            return None


class Site:
    """A shop: registry and witness, four decryptors of two organisations, phones behind two nodes."""

    def __init__(self, folder: Path, stack: ExitStack, monkeypatch, phones: int) -> None:
        self.folder, self.clock, self.stack = folder, Clock(), stack
        self.operator = SigningKey(b"o" * 32)
        key_file = folder / "registry.key"
        self.registry_key = load_or_create(key_file)
        follow(monkeypatch, self.registry_key, folder / "witness", self.clock.seconds)
        settings = Settings(
            database_url=f"sqlite:///{folder}/registry.db", key_file=key_file, origin=ORIGIN, slots=SLOTS,
            operator=self.operator.public.hex(), witnesses=[WITNESS_SETTING],
            epsilon={"analytics": 9.0}, epsilon_total=20.0,
        )  # fmt: skip
        self.http = stack.enter_context(TestClient(create_app(settings, clock=self.clock.seconds)))
        end = time.monotonic() + 20
        while WITNESS_KEY.name not in self.http.get("/v1/log/checkpoint").text:
            assert time.monotonic() < end, "no cosignature came"
        self._decryptors()
        self.trust = Trust.of_site(self.operator.public, self.signed)
        self.devices = [self._device(number) for number in range(phones)]
        half = phones // 2
        self.households = {1: Household(self.devices[:half]), 2: Household(self.devices[half:])}
        self.asked = []

    def _decryptors(self) -> None:
        files = [self.folder / f"decryptor-{number}.key" for number in range(4)]
        made = [operator_keys.make(path) for path in files]
        for path in files:
            mark_unused(path)
        self.organisation_keys = [key.public for key in made]
        names = ("consumers.example", "trustee.example")
        pairs = [self.organisation_keys[:2], self.organisation_keys[2:]]
        self.document = SiteDocument(
            1, "shop.example", "test", self.registry_key.public, "http://registry", ORIGIN,
            (WITNESS_KEY.vkey,), 1, 3600, (),
            tuple(
                Organisation(name, tuple(pair), tuple(f"http://{key.hex()[:8]}" for key in pair))
                for name, pair in zip(names, pairs, strict=True)
            ),
        )  # fmt: skip
        self.signed = sign_site(self.document, self.operator)
        sites = self.folder / "sites"
        sites.mkdir()
        (sites / "shop.site").write_bytes(self.signed)
        (sites / "shop.toml").write_text(
            f'operator = "{self.operator.public.hex()}"\ndocument = "shop.site"\n[floors]\n{FLOORS}'
        )
        self.decryptors = {}
        for number, (path, key) in enumerate(zip(files, made, strict=True), 1):
            state = State(self.folder / f"state-{number}", path, key.public, int(self.clock.seconds()))
            service = DecryptorService(key, read_sites(sites, key.public), state, self.clock.seconds)
            app = TestClient(create_decryptor(service))
            self.decryptors[number] = self.stack.enter_context(app)
        self.down: set[int] = set()

    def organisations(self) -> Organisations:
        def carry(request: httpx.Request) -> httpx.Response:
            number = int(request.url.host.removeprefix("d"))
            if number in self.down:
                raise httpx.ConnectError("down", request=request)
            answer = self.decryptors[number].request(
                request.method, request.url.path, content=request.content, headers=request.headers
            )
            return httpx.Response(answer.status_code, content=answer.content)

        client = httpx.Client(transport=httpx.MockTransport(carry))
        return Organisations(
            {number: f"http://d{number}" for number in self.decryptors}, self.operator, client
        )

    def _carry(self, request: httpx.Request) -> httpx.Response:
        answer = self.http.request(
            request.method, request.url.raw_path.decode(), content=request.content, headers=request.headers
        )
        return httpx.Response(answer.status_code, content=answer.content)

    def _client(self) -> httpx.Client:
        return httpx.Client(transport=httpx.MockTransport(self._carry), base_url="http://registry")

    def _device(self, number: int) -> Device:
        path = self.folder / f"phone-{number}.db"
        store = Store(path, bytes(32))
        store.put("rules", rule_bundle.sign_rules(BASE, self.operator))
        store.close()
        device = Device.open(
            path, bytes(32), trust=self.trust, registry=RegistryClient(self._client(), self.trust, VERIFY),
            floors=SMALL, clock=self.clock,
        )  # fmt: skip
        self.stack.callback(device.close)
        device.enrol()
        for purpose in PURPOSES:
            device.grant(purpose)
        device.ticket_fetcher().fetch(self.epoch, PURPOSES)
        return device

    @property
    def epoch(self) -> int:
        return int(self.clock.seconds()) // 86_400

    @functools.cached_property
    def registry(self) -> coordinator_registry.RegistryClient:
        return coordinator_registry.RegistryClient(self._client(), self.operator)

    def manifest(self, number: int, *, drawn: bool, standing: bool) -> tuple[Manifest, object]:
        keys = self.registry.issuer(PURPOSES, self.epoch).keys
        now, length = int(self.clock.seconds()), 1 << (QUESTION.length - 1).bit_length()
        people, sigma, scale = len(self.devices), 30.0, 16.0
        bands = (Band(1, 2**32 - 1, choose_shape(people, 0, 0.0)),) if drawn else ()
        terms = RoundTerms(
            length, 0, sigma * scale, 2, people, 0.05, 0.0, 100,
            tuple(self.organisation_keys) if standing else (), standing_shape() if standing else None, bands,
            hashlib.sha256(NONCE).digest(),
        )  # fmt: skip
        manifest = Manifest(
            round_id=f"round-{number}", query=QUESTION.id, purpose=QUESTION.purpose, purposes=PURPOSES,
            epoch=self.epoch, profile="test", issuer=keys.digest, model=model_digest(QUESTION.digest()),
            length=length, norm=QUESTION.norm, scale=scale, sigma=sigma, epsilon=1.0, delta=1e-6, bits=30,
            gamma=terms.gamma, honest=2, least_issued=3,
            least_cell=1, terms=terms, windows=Windows(now + 600, now + 1200, now + 1800, now + 2400),
            slot=number,
        )  # fmt: skip
        costs = epsilon([manifest.as_step.mechanism], manifest.delta)
        return dataclasses.replace(manifest, epsilon=costs), keys

    def runner(self, number=1, *, drawn=False, standing=True, steps=None, nodes=None) -> SecureSum:
        """Return a coordinator's sum of one round; the same steps go on with the same round."""
        steps = MemorySteps() if steps is None else steps
        kept = self.__dict__.setdefault("rounds", {})
        if number not in kept:
            manifest, keys = self.manifest(number, drawn=drawn, standing=standing)
            signed = sign_manifest(manifest, self.operator)
            self.registry.log_manifest(signed)
            kept[number] = manifest, keys, signed
        manifest, keys, signed = kept[number]
        info = manifest.info(digest_of(signed), self.registry_key.public, keys)
        charges = self.__dict__.setdefault("charges", [])

        def charge() -> None:
            charges.append(manifest.round_id)
            steps.put(CHARGED, b"")

        return SecureSum(
            running=RunningRound(manifest, RoundFiles(signed, keys), NONCE),
            info=info,
            ask=functools.partial(self._ask, nodes if nodes is not None else self.nodes()),
            nodes=lambda: [1, 2],
            registry=RoundRegistry(self.registry, manifest.round_id, info.digest),
            organisations=self.organisations() if standing else None,
            steps=steps,
            wait_until=self.clock.wait_until,
            charge=charge,
        )

    def nodes(self) -> dict[int, RoundNode]:
        pinned = Pinned(self.operator.public, self.registry_key.public)
        return {
            number: RoundNode(self.folder / f"node-{number}", household, pinned, verify=VERIFY)
            for number, household in self.households.items()
        }

    def _ask(self, nodes, exchange, bodies, round_id):
        self.asked.append(exchange)
        answers = {}
        for node, body in bodies.items():
            try:
                answers[node] = nodes[node].handle(exchange, body)
            except (NodesError, PrivacyError):
                continue
        return answers

    def sealed(self, round_id: str, device: Device) -> np.ndarray | None:
        """Return what a phone's ledger says it sealed in a round."""
        for entry in device.ledger():
            if entry.kind == "contribution" and entry.round_id == round_id:
                return centred(np.frombuffer(entry.vector, "<u4").astype(np.int64))
        return None

    def plain(self, round_id: str) -> np.ndarray:
        vectors = [self.sealed(round_id, device) for device in self.devices]
        return sum(vector for vector in vectors if vector is not None)
