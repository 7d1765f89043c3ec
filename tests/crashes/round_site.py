"""A shop in a folder: registry and witness, coordinator, two nodes with phones, four decryptors.

Every party is the real thing, in this process, over files in the folder; the network is function calls and
the clock is moved by hand. Each party can be killed at any durable write (`kill_points`): it is then made
anew from its files, and nothing of the old one is used again.

    site = RoundSite(folder, phones=4)
    with site.open():
        site.points.arm(site.files_of("coordinator"), 3, AFTER)
        site.run_round()                    # starts the coordinator again, as often as it is killed
"""

from __future__ import annotations

import functools
import shutil
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from kill_points import Killed, KilledDatabaseError, KillPoints, below
from one_message_site import PURPOSES, QUESTION, VERIFY, Clock
from registry_players import ORIGIN, WITNESS_KEY, WITNESS_SETTING, follow

from covey_consent.app import create_app
from covey_consent.settings import Settings
from covey_consent.storage.key_file import load_or_create
from covey_privacy import wire
from covey_privacy.errors import PrivacyError
from covey_privacy.floors import FloorProfile
from covey_privacy.manifest import Manifest
from covey_privacy.round_files import RoundFiles
from covey_privacy.signatures import Signed, SigningKey
from covey_privacy.site_document import Organisation, SiteDocument, sign_site
from covey_sdk import Device, RegistryClient, Trust, rule_bundle
from covey_sdk.decryptor_duty import DecryptorDuty
from covey_sdk.errors import CoveyError
from covey_sdk.round_client import RoundClient
from covey_sdk.rule_bundle import BASE
from covey_sdk.store import Store as PhoneStore
from covey_server import operator_keys
from covey_server.config import Committees, Config, RequestedQuery
from covey_server.decryptor.errors import DecryptorError
from covey_server.decryptor.service import DecryptorService
from covey_server.decryptor.sites import read_sites
from covey_server.decryptor.state import State, mark_unused
from covey_server.errors import CoordinatorError, NodesError, RoundError
from covey_server.organisations import Organisations
from covey_server.questions import answer_query
from covey_server.registry_client import RegistryClient as CoordinatorRegistry
from covey_server.round_node import Pinned, RoundNode
from covey_server.round_runner import NodeTransport, RoundRunner
from covey_server.round_terms import Durations
from covey_server.store import Store

with warnings.catch_warnings():
    # Starlette's test client asks for httpx2, where Covey speaks httpx, and uses a name that anyio changed.
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

T = TypeVar("T")

EPSILON = 8.0
CAPS = {"analytics": 80.0}
SMALL = FloorProfile("test", 3, {}, least_cell=1, least_gamma=0.0, least_pool=0)
KEY = bytes(32)
OPERATOR = SigningKey(b"o" * 32)
ORGANISATIONS = 4
SLOTS = 4
WINDOW_SECONDS = 600
MOST_STARTS = 9
"""How often a coordinator is started for one round before the test fails."""
PARTIES = ("phone", "node", "coordinator", "registry", "decryptor")


class Phone:
    """One phone: a store, and the number of its start. `messages` has what left it, by round."""

    def __init__(self, site: RoundSite, number: int) -> None:
        self._site, self.number, self.starts = site, number, 1
        self.path = site.folder / f"phone-{number}.db"
        with closing(PhoneStore(self.path, KEY)) as store:
            if store.get("rules") is None:
                store.put("rules", rule_bundle.sign_rules(BASE, OPERATOR))
        self.messages: dict[str, list[bytes]] = {}
        self.refusals: list[Exception] = []
        self.device = self.opened()

    def opened(self) -> Device:
        """Open the store, as a further process of the app would."""
        registry = RegistryClient(self._site.registry_client(), self._site.trust, VERIFY)
        return Device.open(
            self.path, KEY, trust=self._site.trust, registry=registry, floors=SMALL, clock=self._site.clock
        )

    @property
    def client(self) -> RoundClient:
        return self.device.round_client(verify=VERIFY, boot_id=bytes([self.starts]) * 32)

    @property
    def duty(self) -> DecryptorDuty:
        return self.device.decryptor_duty(verify=VERIFY, boot_id=bytes([self.starts]) * 32)

    def contribute(self, files: RoundFiles) -> bytes:
        self.client.prepare(files)
        message = self.client.contribute(files)
        self.messages.setdefault(round_id_of(files), []).append(message)
        return message

    def let(self, act: Callable[[Phone], T]) -> T | None:
        """Let the phone act; one that is killed is started again. None where it refuses."""
        try:
            return act(self)
        except (CoveyError, PrivacyError) as error:
            self.refusals.append(error)
            return None
        except Killed:
            self.device.close()
            self._site.points.revive()
            self.starts += self._site.reboots
            self.device = self.opened()
            return self.let(act)


class Household:
    """The phones behind a node (`round_node.Devices`)."""

    def __init__(self, phones: list[Phone]) -> None:
        self.phones = phones

    def volunteer(self, files: RoundFiles) -> None:
        for phone in self.phones:
            phone.let(lambda each: each.duty.volunteer(files.manifest))

    def contribute(self, files: RoundFiles) -> Iterator[tuple[Phone, bytes]]:
        for phone in self.phones:
            message = phone.let(lambda each: each.contribute(files))
            if message:
                yield phone, message

    def acknowledge(self, phone: Phone, round_id: str) -> None:
        phone.let(lambda each: each.client.acknowledge(round_id))

    def seats(self, files: RoundFiles) -> dict[int, Phone]:
        seats = {}
        for phone in self.phones:
            number = phone.let(lambda each: each.duty.take_seat(round_id_of(files), files.committee))
            if number:
                seats[number] = phone
        return seats

    def check(self, phone: Phone, round_id: str, request: bytes) -> bytes | None:
        return phone.let(lambda each: each.duty.check(round_id, request))

    def dispute(self, phone: Phone, round_id: str, request: bytes) -> bytes | None:
        return phone.let(lambda each: each.duty.dispute(round_id, request))

    def open(self, phone: Phone, round_id: str, request: bytes) -> bytes | None:
        return phone.let(lambda each: each.duty.open(round_id, request))


class RoundSite:
    """The shop. Node 1 has the first phone, node 2 all others.

    Args:
        drawn: whether a committee is drawn of phones beside the organisations'.
        reboots: whether a phone that was killed has a new start of the phone, or of the app alone.
        repeats: whether a node that was killed is asked again at once; else it is silent that time.
    """

    def __init__(
        self, folder: Path, phones: int, *, drawn: bool = False, reboots: bool = False, repeats: bool = True
    ) -> None:
        self.folder, self.drawn, self.reboots, self.repeats = folder, drawn, reboots, repeats
        self.points, self.clock = KillPoints(), Clock()
        self._count = phones
        self._made = (folder / "shop.site").exists()
        folder.mkdir(exist_ok=True)
        self.registry_key = load_or_create(folder / "registry.key")
        self.decryptors: dict[int, DecryptorService] = {}
        self.asked: list[tuple[str, str]] = []

    @contextmanager
    def open(self) -> Iterator[RoundSite]:
        """Start registry, decryptors, phones and nodes; at the first time phones enrol and fetch tickets."""
        with ExitStack() as stack:
            stack.enter_context(self.points.watching())
            patch = stack.enter_context(pytest.MonkeyPatch.context())
            follow(patch, self.registry_key, self.folder / "witness", self.clock.seconds)
            self._organisations()
            self._start_registry()
            stack.callback(self._stop_registry)
            for number in self._files:
                self.start_decryptor(number)
            stack.callback(lambda: [each.state.close() for each in self.decryptors.values()])
            self.phones = [Phone(self, number) for number in range(self._count)]
            stack.callback(lambda: [phone.device.close() for phone in self.phones])
            if not self._made:
                self._enrol()
            self.households = {1: Household(self.phones[:1]), 2: Household(self.phones[1:])}
            self.nodes = {number: self.node(number) for number in self.households}
            yield self

    def copy(self, folder: Path, **options: Any) -> RoundSite:
        """Return this shop in another folder: its decryptors' keys were not used yet."""
        shutil.copytree(self.folder, folder)
        for state in folder.glob("state-*"):
            shutil.rmtree(state)
        for number in self._files:
            mark_unused(folder / f"decryptor-{number}.key")
        return RoundSite(folder, self._count, drawn=self.drawn, **options)

    def files_of(self, party: str) -> Callable[[Path], bool]:
        """Return what tells the files of a party: of the first one where there are several."""
        folders = {"node": "node-1", "decryptor": "state-1"}
        if party in folders:
            return below(self.folder / folders[party])
        files = {"phone": "phone-0.db", "coordinator": "coordinator.db", "registry": "registry.db"}
        return lambda path: path == self.folder / files[party]

    def error_of(self, party: str) -> type[BaseException]:
        """Return the exception by which a party dies."""
        return KilledDatabaseError if party == "registry" else Killed

    # The registry.

    def registry_app(self) -> Any:
        """Return the registry's application."""
        settings = Settings(
            database_url=f"sqlite:///{self.folder}/registry.db", key_file=self.folder / "registry.key",
            origin=ORIGIN, slots=SLOTS, operator=OPERATOR.public.hex(), witnesses=[WITNESS_SETTING],
            epsilon=CAPS, epsilon_total=80.0, rate_enrolments=None,
        )  # fmt: skip
        return create_app(settings, clock=self.clock.seconds)

    def _start_registry(self) -> None:
        self.http = TestClient(self.registry_app())
        self.http.__enter__()
        end = time.monotonic() + 20
        while WITNESS_KEY.name not in self.http.get("/v1/log/checkpoint").text:
            assert time.monotonic() < end, "no cosignature came"
            time.sleep(0.005)

    def _stop_registry(self) -> None:
        self.http.__exit__(None, None, None)

    def restart_registry(self) -> None:
        """Drop a registry that was killed, and start another over its files."""
        with suppress(Exception):
            self._stop_registry()
        self.points.revive()
        self._start_registry()

    def registry_client(self) -> httpx.Client:
        return httpx.Client(transport=httpx.MockTransport(self._carry), base_url="http://registry")

    def _carry(self, request: httpx.Request) -> httpx.Response:
        """Carry a request to the registry; where it dies of it, no answer comes back."""
        try:
            answer = self.http.request(
                request.method,
                request.url.raw_path.decode(),
                content=request.content,
                headers=request.headers,
            )
        except Exception:
            if not self.registry_died():
                raise
        if self.registry_died():
            self.restart_registry()
            raise httpx.ConnectError("the registry died", request=request)
        return httpx.Response(answer.status_code, content=answer.content)

    def registry_died(self) -> bool:
        return self.points.killed and self.points.error is KilledDatabaseError

    @property
    def epoch(self) -> int:
        return int(self.clock.seconds()) // 86_400

    # The organisations.

    def _organisations(self) -> None:
        self._files = {n: self.folder / f"decryptor-{n}.key" for n in range(1, ORGANISATIONS + 1)}
        if not self._made:
            for path in self._files.values():
                operator_keys.make(path)
                mark_unused(path)
        self._keys = {number: operator_keys.read(path) for number, path in self._files.items()}
        pinned = [key.public for key in self._keys.values()]
        names = ("consumers.example", "trustee.example")
        self.document = SiteDocument(
            1, "shop.example", "test", self.registry_key.public, "http://registry", ORIGIN,
            (WITNESS_KEY.vkey,), 1, 3600, (),
            tuple(
                Organisation(name, tuple(pair), tuple(f"http://{key.hex()[:8]}" for key in pair))
                for name, pair in zip(names, (pinned[:2], pinned[2:]), strict=True)
            ),
        )  # fmt: skip
        signed = sign_site(self.document, OPERATOR)
        self.trust = Trust.of_site(OPERATOR.public, signed)
        sites = self.folder / "sites"
        sites.mkdir(exist_ok=True)
        (sites / "shop.site").write_bytes(signed)
        (sites / "shop.toml").write_text(
            f'operator = "{OPERATOR.public.hex()}"\ndocument = "shop.site"\n'
            "[floors]\nleast_set = 3\nmost_epsilon = 20\nleast_corrupt = 0.0\n"
        )
        (self.folder / "shop.site").write_bytes(signed)

    def start_decryptor(self, number: int) -> None:
        """Start an organisation's decryptor over its files; one that was killed has let go of them."""
        if number in self.decryptors:
            self.decryptors[number].state.close()
        key, path = self._keys[number], self._files[number]
        state = State(self.folder / f"state-{number}", path, key.public, int(self.clock.seconds()))
        sites = read_sites(self.folder / "sites", key.public)
        self.decryptors[number] = DecryptorService(key, sites, state, self.clock.seconds)

    def organisations(self) -> Organisations:
        """Return the decryptors as the coordinator sees them."""

        def carry(request: httpx.Request) -> httpx.Response:
            number = int(request.url.host.removeprefix("d"))
            service, (*_, digest, step) = self.decryptors[number], request.url.path.split("/")
            act = {"check": service.check, "open": service.open}.get(step)
            try:
                if act is None:
                    return httpx.Response(200, content=service.seat(request.content))
                return httpx.Response(200, content=act(bytes.fromhex(digest), request.content))
            except (PrivacyError, DecryptorError) as error:
                return httpx.Response(409, json={"detail": str(error)})
            except Killed:
                self.points.revive()
                self.start_decryptor(number)
                raise httpx.ConnectError("the decryptor died", request=request) from None

        client = httpx.Client(transport=httpx.MockTransport(carry))
        return Organisations({number: f"http://d{number}" for number in self._files}, OPERATOR, client)

    # The phones and their nodes.

    def _enrol(self) -> None:
        for phone in self.phones:
            phone.device.enrol()
            for purpose in PURPOSES:
                phone.device.grant(purpose)
            phone.device.ticket_fetcher().fetch(self.epoch, PURPOSES)

    def node(self, number: int) -> RoundNode[Phone]:
        pinned = Pinned(OPERATOR.public, self.registry_key.public)
        return RoundNode(
            self.folder / f"node-{number}", self.households[number], pinned,
            verify=VERIFY, clock=self.clock.seconds,
        )  # fmt: skip

    def ask(self, exchange: str, bodies: Mapping[int, bytes], round_id: str) -> dict[int, bytes]:
        """Carry an exchange to nodes; a node that is killed is started again."""
        self.asked.append((exchange, round_id))
        answers = {}
        for number, body in bodies.items():
            try:
                answers[number] = self.nodes[number].handle(exchange, body)
            except Killed:
                self.points.revive()
                self.nodes[number] = self.node(number)
                if self.repeats:
                    answers[number] = self.nodes[number].handle(exchange, body)
            except (NodesError, PrivacyError):
                continue
        return answers

    # The coordinator.

    @functools.cached_property
    def config(self) -> Config:
        return Config(
            questions=(), caps=CAPS, profile=SMALL, delta=1e-6,
            committees=Committees(True, self.drawn, 0.0, 0.0, turnout=3 / 4, privacy=1),
            durations=Durations(*[WINDOW_SECONDS] * 4), state=self.folder, catalogue=None, site=None,
            world="", clock="", phase_timeout=60.0, least_nodes=1, shared_operator=False,
        )  # fmt: skip

    @contextmanager
    def runner(self) -> Iterator[RoundRunner]:
        """Start a coordinator over its store."""
        with closing(Store(self.folder / "coordinator.db")) as store:
            runner = RoundRunner(
                self.config, self.document, CoordinatorRegistry(self.registry_client(), OPERATOR),
                self.organisations(), store, OPERATOR, self.clock,
                NodeTransport(lambda *asked: self.ask(*asked), lambda: list(self.nodes)),
            )  # fmt: skip
            runner.start()
            yield runner

    def run_round(self) -> None:
        """Run a round to its end, starting the coordinator again where it is killed or cannot go on.

        Where a round cannot be finished before its windows close, the next start ends it and runs another.
        """
        for start in range(MOST_STARTS):
            try:
                self.run_once()
            except Killed:
                self.points.revive()
            except CoordinatorError as error:
                self.failures.append(error)
                self.clock.forward(10 if start < 3 else 4 * WINDOW_SECONDS)
            else:
                return
        raise AssertionError(f"no round came to an end: {self.failures}")

    def run_once(self) -> None:
        """Start a coordinator, which runs one round or goes on with the one that was left; then stop it.

        Raises CoordinatorError where it cannot go on now.
        """
        with self.runner() as runner, suppress(PrivacyError, RoundError):
            answer_query(RequestedQuery(QUESTION.id, EPSILON), runner)

    @functools.cached_property
    def failures(self) -> list[Exception]:
        """Why a coordinator stopped, without being killed."""
        return []

    @contextmanager
    def store(self) -> Iterator[Store]:
        """Look into the coordinator's store."""
        with closing(Store(self.folder / "coordinator.db")) as store:
            yield store


def round_id_of(files: RoundFiles) -> str:
    """Return the id of the round that a phone or node is given the files of."""
    return wire.decode(Manifest, wire.decode(Signed, files.manifest).body).round_id
