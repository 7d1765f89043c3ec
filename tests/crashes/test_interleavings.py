"""Two processes of one app, and two threads in each, act on one store in any order: nothing is lost.

What each process answers, and what the store and the registry hold in the end, is compared with a model
that knows nothing of processes. `contribute` makes the message of one of the open rounds, or gives the one
that was made for it; `acknowledge` says that it arrived.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing.connection import Pipe
from pathlib import Path
from typing import Any

import cbor2
import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from registry_process import ROUNDS, RegistryProcess, registry_process
from round_site import KEY, PURPOSES, SMALL, VERIFY

from covey_privacy.checkpoint import EMPTY_LOG
from covey_privacy.registry_messages import GRANTED, SYNC, Sync
from covey_privacy.signatures import SigningKey, sign
from covey_sdk import Device, RegistryClient, ledger
from covey_sdk.clock import milliseconds
from covey_sdk.errors import CoveyError
from covey_sdk.events import OrderLine, OrderPaid
from covey_sdk.ledger import CONSENT, CONTRIBUTION


class Connection(httpx.HTTPTransport):
    """A way to the registry that can be cut."""

    open = True

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if not self.open:
            raise httpx.ConnectError("no route", request=request)
        return super().handle_request(request)


class App:
    """What one process of the app can be told to do; every answer is plain data."""

    def __init__(self, town: RegistryProcess) -> None:
        self.town, self.way = town, Connection()
        self.client = httpx.Client(base_url=town.url, transport=self.way)
        self.device: Device | None = None

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.town.clock.seconds(), UTC)

    def open(self, path: str) -> None:
        if self.device:
            self.device.close()
        registry = RegistryClient(self.client, self.town.trust, VERIFY)
        self.device = Device.open(
            path, KEY, trust=self.town.trust, registry=registry, floors=SMALL, clock=self.now
        )

    def reach(self, whether: bool) -> None:
        self.way.open = whether

    def enrol(self) -> None:
        self.device.enrol()
        assert self.device.notices

    def record(self, number: int) -> bool:
        at = milliseconds(self.now()) - 1000
        return self.device.record(OrderPaid(f"o{number}", (OrderLine("i", "c", 100),), 100, "USD", at, 0))

    def grant(self, purpose: str) -> None:
        self.device.grant(purpose)

    def withdraw(self, purpose: str) -> None:
        self.device.withdraw(purpose)

    def sync(self) -> None:
        self.device.sync()

    def fetch(self) -> None:
        self.device.ticket_fetcher().fetch(self.town.epoch, PURPOSES)

    def contribute(self, number: int) -> bytes:
        client = self.device.round_client(verify=VERIFY, boot_id=bytes(32))
        return hashlib.sha256(client.contribute(self.town.rounds[number])).digest()

    def acknowledge(self, number: int) -> None:
        self.device.round_client(boot_id=bytes(32)).acknowledge(f"r{number + 1}")

    def erase(self) -> list[bytes]:
        secret = self.device.store.get("device")
        return [secret, self.device.erase()]

    def look(self) -> dict[str, Any]:
        device = self.device
        with device.store.snapshot():
            return {
                "allowed": [purpose for purpose in PURPOSES if device.gate().allows(purpose)],
                "orders": sorted(event.order_id for event in device.journal.events()),
                "contributed": sorted(e.round_id for e in device.ledger() if e.kind == CONTRIBUTION),
                "charged": sorted(charge.round_id for charge in device.odometer.charges(self.now())),
                "unsent": list(device.consents._state.read().unsent),
                "told": [purpose for purpose in PURPOSES if self.was_told(purpose)],
                "secret": device.store.get("device"),
            }

    def was_told(self, purpose: str) -> bool:
        """Say whether the last that the ledger tells of the purpose is that it is allowed."""
        said = [e.said_en for e in self.device.ledger() if e.kind == CONSENT and e.purposes == (purpose,)]
        notice = self.device.consents.notices.get(purpose)
        # Who allows again what is allowed is told of the choice alone.
        return said[-1:] in [
            [ledger.consent(0, state, purpose, notice).said_en] for state in (GRANTED, "chosen")
        ]

    def act(self, name: str, *arguments: Any) -> list[Any]:
        try:
            return [True, getattr(self, name)(*arguments)]
        except CoveyError as error:
            return [False, f"{type(error).__name__}: {error}"]

    def threads(self, *lists: list[list[Any]]) -> list[list[list[Any]]]:
        """Do each list of actions in a thread of its own."""
        with ThreadPoolExecutor(len(lists)) as pool:
            return list(pool.map(lambda actions: [self.act(*action) for action in actions], lists))


@dataclass
class Process:
    """A process of the app, on the other end of a pipe."""

    pipe: Any

    def start(self, name: str, *arguments: Any) -> None:
        self.pipe.send_bytes(cbor2.dumps([name, *arguments]))

    def answer(self) -> list[Any]:
        assert self.pipe.poll(60), "a process of the app does not answer"
        return cbor2.loads(self.pipe.recv_bytes())

    def do(self, name: str, *arguments: Any) -> Any:
        self.start(name, *arguments)
        return self.answer()

    def must(self, name: str, *arguments: Any) -> Any:
        done, value = self.do(name, *arguments)
        assert done, value
        return value


@contextlib.contextmanager
def process(town: RegistryProcess) -> Iterator[Process]:
    ours, theirs = Pipe()
    pid = os.fork()
    if not pid:
        ours.close()
        app = App(town)
        with contextlib.suppress(EOFError):
            while True:
                theirs.send_bytes(cbor2.dumps(app.act(*cbor2.loads(theirs.recv_bytes()))))
        os._exit(0)
    theirs.close()
    try:
        yield Process(ours)
    finally:
        ours.close()
        os.waitpid(pid, 0)


@pytest.fixture(scope="module")
def town(tmp_path_factory) -> Iterator[RegistryProcess]:
    with registry_process(tmp_path_factory.mktemp("town")) as town:
        yield town


@pytest.fixture(scope="module")
def processes(town: RegistryProcess) -> Iterator[list[Process]]:
    with process(town) as one, process(town) as other:
        yield [one, other]


@dataclass
class Model:
    """What one careful process would hold."""

    decided: dict[str, str] = field(default_factory=lambda: dict.fromkeys(PURPOSES, "granted"))
    confirmed: set[str] = field(default_factory=lambda: set(PURPOSES))
    orders: set[str] = field(default_factory=set)
    joined: set[str] = field(default_factory=set)
    waiting: set[int] = field(default_factory=set)
    messages: dict[int, bytes] = field(default_factory=dict)
    tickets: bool = True
    reachable: bool = True

    @property
    def allowed(self) -> set[str]:
        return {purpose for purpose in self.confirmed if self.decided.get(purpose) == "granted"}

    def sync(self) -> bool:
        if self.reachable:
            self.confirmed = {name for name, state in self.decided.items() if state == "granted"}
        return self.reachable

    def contribute(self, number: int) -> bool:
        if number in self.waiting:
            return True
        new = f"r{number + 1}" not in self.joined
        done = new and self.tickets and self.reachable and self.allowed >= set(PURPOSES)
        if done:
            self.joined.add(f"r{number + 1}")
            self.waiting.add(number)
        return done

    def withdraw(self, purpose: str) -> None:
        self.decided[purpose] = "withdrawn"
        self.confirmed.discard(purpose)
        self.tickets = False  # An epoch's batch is fetched once.
        self.waiting.clear()
        if purpose == "personalize":
            self.orders.clear()

    def act(self, name: str, argument: Any = None) -> tuple[bool, Any]:
        """Return whether the action succeeds, and its value, which is None for `contribute`."""
        if name == "reach":
            self.reachable = argument
        elif name == "record":
            kept = "personalize" in self.allowed and f"o{argument}" not in self.orders
            if kept:
                self.orders.add(f"o{argument}")
            return True, kept
        elif name == "grant":
            self.decided[argument] = "granted"
            return self.sync(), None
        elif name == "withdraw" and argument in self.decided:
            self.withdraw(argument)
        elif name == "sync":
            return self.sync(), None
        elif name == "contribute":
            return self.contribute(argument), None
        elif name == "acknowledge":
            self.waiting.discard(argument)
        return True, None


def at_registry(town: RegistryProcess, secret: bytes) -> set[str]:
    """Return what the registry holds as granted by the device with this secret."""
    key = SigningKey(secret)
    with town.client() as client:
        now = town.clock.seconds()
        signed = sign(SYNC, Sync(key.public, int(now * 1000), 0), key)
        synced, _ = RegistryClient(client, town.trust).sync(signed, EMPTY_LOG, "", int(now))
    return {choice.purpose for choice in synced.choices if choice.state == "granted"}


numbers = itertools.count()
purposes = st.sampled_from(PURPOSES)
ACTIONS = (
    ("record", None),
    ("record", None),
    *(("contribute", number) for number in range(ROUNDS)),
    ("acknowledge", 0),
    *(("grant", purpose) for purpose in PURPOSES),
    *(("withdraw", purpose) for purpose in PURPOSES),
    ("sync",),
)
actions = st.sampled_from(ACTIONS)
steps = st.lists(
    st.tuples(
        st.integers(0, 1),
        # Erasing ends what came before, so it is rare.
        st.sampled_from((*ACTIONS * 3, ("reach", False), ("reach", True), ("reach", True), ("erase",))),
    ),
    min_size=12,
    max_size=24,
)


def numbered(action: tuple[Any, ...]) -> list[Any]:
    return [action[0], next(numbers)] if action[0] == "record" else list(action)


def opened(processes: list[Process], folder: Path) -> None:
    """Let both processes open a new store, whose device is enrolled and whose owner allows everything."""
    path = str(folder / f"{next(numbers)}.db")
    for each in processes:
        each.must("reach", True)
        each.must("open", path)
    processes[0].must("enrol")
    for purpose in PURPOSES:
        processes[0].must("grant", purpose)
    processes[0].must("fetch")


def in_any_order(processes: list[Process], town: RegistryProcess, folder: Path, told: list[Any]) -> None:
    opened(processes, folder)
    model = Model()
    for who, plain in told:
        action = numbered(plain)
        if action[0] == "erase":
            secret, farewell = processes[who].must("erase")
            if farewell:
                with town.client() as client:
                    RegistryClient(client, town.trust).send_farewell(farewell)
            assert at_registry(town, secret) == set()
            assert processes[1 - who].do("record", next(numbers))[0] is False
            opened(processes, folder)
            model = Model()
            continue
        if action[0] == "reach":
            processes[1 - who].must(*action)
        done, value = processes[who].do(*action)
        if action[0] == "contribute" and done:
            # Whoever is asked again says the same.
            assert model.messages.setdefault(action[1], value) == value
            value = None
        expected = model.act(*action)
        assert (done, value if done else None) == expected, (action, value)
        for each in processes:
            seen = each.must("look")
            assert set(seen["allowed"]) == model.allowed
            assert set(seen["orders"]) == model.orders
            assert seen["contributed"] == seen["charged"] == sorted(model.joined)
    settled(processes, town, model.decided)


def settled(processes: list[Process], town: RegistryProcess, decided: dict[str, str]) -> None:
    """Once the registry can be reached, it holds what was decided, and nothing waits to be sent."""
    for each in processes:
        each.must("reach", True)
    processes[0].must("sync")
    seen = processes[1].must("look")
    assert seen["unsent"] == []
    granted = {purpose for purpose, state in decided.items() if state == "granted"}
    assert set(seen["allowed"]) == set(seen["told"]) == granted == at_registry(town, seen["secret"])


lists = st.lists(actions, min_size=3, max_size=8)


def at_once(
    processes: list[Process], town: RegistryProcess, told: list[list[Any]], folder: Path, *, reachable: bool
) -> None:
    """Two threads of each process act at the same time; then everything fits together.

    Where the registry is not `reachable` to the second process, what it decides waits while the first syncs.
    """
    opened(processes, folder)
    processes[1].must("reach", reachable)
    told = [[numbered(action) for action in each] for each in told]
    for each, own in zip(processes, (told[:2], told[2:]), strict=True):
        each.start("threads", *own)
    answers = [answer for each in processes for answer in each.answer()[1]]
    done = [
        (action, value)
        for actions, each in zip(told, answers, strict=True)
        for action, (done, value) in zip(actions, each, strict=True)
        if done
    ]
    expected = (
        "is not allowed", "sync again later", "no tickets for", "took part in round", "was deleted; prepare",
        *(() if reachable else ("cannot be reached",)),
    )  # fmt: skip
    failed = [str(value) for each in answers for done, value in each if not done]
    assert [value for value in failed if not any(part in value for part in expected)] == []
    processes[1].must("reach", True)
    processes[0].must("sync")
    seen, other = (each.must("look") for each in processes)
    assert seen == other
    kept = {f"o{action[1]}" for action, value in done if action[0] == "record" and value}
    withdrawn = {action[1] for action, _ in done if action[0] == "withdraw"}
    assert set(seen["orders"]) <= kept
    if "personalize" not in withdrawn:
        assert set(seen["orders"]) == kept
    messages = {(action[1], value) for action, value in done if action[0] == "contribute"}
    rounds = sorted(f"r{number + 1}" for number, _ in messages)
    assert len(rounds) == len(set(rounds)), "two messages of one round were made"
    assert seen["contributed"] == seen["charged"] == rounds
    asked_again = {action[1] for actions in told for action in actions if action[0] == "grant"}
    assert set(seen["allowed"]) >= set(PURPOSES) - withdrawn
    assert set(seen["allowed"]) <= (set(PURPOSES) - withdrawn) | asked_again
    assert seen["unsent"] == []
    # The ledger has every decision in the order in which they were written: the last one stands.
    assert set(seen["allowed"]) == set(seen["told"]) == at_registry(town, seen["secret"])


few = settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
many = settings(few, max_examples=500)


@few
@given(told=steps)
def test_two_processes_in_any_order(processes, town, tmp_path_factory, told):
    in_any_order(processes, town, tmp_path_factory.mktemp("store"), told)


@few
@given(told=st.tuples(lists, lists, lists, lists), reachable=st.booleans())
def test_two_threads_of_two_processes_at_once(processes, town, tmp_path_factory, told, reachable):
    at_once(processes, town, list(told), tmp_path_factory.mktemp("store"), reachable=reachable)


@pytest.mark.slow
@many
@given(told=steps)
def test_two_processes_in_any_order_500(processes, town, tmp_path_factory, told):
    in_any_order(processes, town, tmp_path_factory.mktemp("store"), told)


@pytest.mark.slow
@many
@given(told=st.tuples(lists, lists, lists, lists), reachable=st.booleans())
def test_two_threads_of_two_processes_at_once_500(processes, town, tmp_path_factory, told, reachable):
    at_once(processes, town, list(told), tmp_path_factory.mktemp("store"), reachable=reachable)
