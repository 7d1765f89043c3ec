import functools
import itertools
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import pytest

from covey_consent.app import create_app
from covey_consent.settings import Settings
from covey_privacy import wire
from covey_privacy.registry_messages import GRANTED, Choice, Notice, NoticeText
from covey_privacy.round_files import RoundFiles
from covey_privacy.secagg.messages import CommitteeFile
from covey_privacy.secagg.volunteer import offer_seat
from covey_privacy.signatures import SigningKey, digest_of
from covey_privacy.tickets import IssuerKeys
from covey_sdk import Device, RegistryClient, Trust, rule_bundle
from covey_sdk.agreed_terms import AgreedTerms
from covey_sdk.clock import milliseconds
from covey_sdk.consent_gate import ConsentGate
from covey_sdk.events import OrderLine, OrderPaid, Refund
from covey_sdk.interactions import Interaction
from covey_sdk.rule_bundle import BASE, Category, Rules
from covey_sdk.store import Store

with warnings.catch_warnings():
    # Starlette's test client asks for httpx2, where Covey speaks httpx, and uses a name that anyio changed.
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

ORIGIN = "covey.test/log"
ORGANISATIONS = tuple(SigningKey(bytes([number]) * 32) for number in range(1, 5))
"""Who sits in the standing committee of the tests' rounds."""
KEY = bytes(range(32))
OPERATOR = SigningKey(bytes(32))
ORDINARY = (
    *(
        "tea",
        "milk",
        "oil",
        "soap",
        "bread",
        "bakery",
        "coffee",
        "mug",
        "gifts",
        "wine",
        "phone",
        "phone_case",
    ),
    *("shoes", "socks", "boots", "detergent", "dish_soap", "wipes", "organic vegetables"),
    *(f"category {number}" for number in range(20)),
)
HEALTH = ("cold_med", "COLD AND FLU", "pregnancy_test")
FAMILY = ("diapers", "INFANT FORMULA")
RULES = replace(
    BASE,
    categories=tuple(
        Category(name, kind)
        for kind, names in (("ordinary", ORDINARY), ("health", HEALTH), ("family", FAMILY))
        for name in names
    ),
)
"""The rules of the tests' shop: `BASE` with a mapping of its categories."""


@dataclass
class Clock:
    now: datetime = datetime(2027, 3, 1, 12, tzinfo=ZoneInfo("Asia/Shanghai"))

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **by: float) -> None:
        self.now += timedelta(**by)


@dataclass
class Shop:
    """A running registry with its operator, and the way to it, which can be cut or tampered with."""

    http: httpx.Client
    operator: SigningKey
    registry: bytes
    reachable: bool = True
    seen: list[httpx.Request] = field(default_factory=list)
    answer: Callable[[httpx.Request, httpx.Response], httpx.Response] = lambda _, response: response

    @property
    def trust(self) -> Trust:
        return Trust(self.operator.public, self.registry, ORIGIN)

    @property
    def trust_with_organisations(self) -> Trust:
        """The same of an app that trusts a standing committee of `ORGANISATIONS`."""
        return replace(self.trust, organisations=frozenset(key.public for key in ORGANISATIONS))

    def round_files(self, manifest: bytes, keys: IssuerKeys, *documents: bytes) -> RoundFiles:
        """Return the files of a round that `ORGANISATIONS` open."""
        seats = tuple(offer_seat(digest_of(manifest), key.secret)[1] for key in ORGANISATIONS)
        return RoundFiles(manifest, keys, wire.encode(CommitteeFile(seats, None)), documents)

    def log(self, manifest: bytes, status: int = 200) -> None:
        """Have a signed manifest logged; the registry answers with `status`."""
        headers = {"content-type": "application/cbor"}
        answer = self.http.post("/v1/rounds", content=manifest, headers=headers)
        assert answer.status_code == status, answer.text

    def way(self) -> RegistryClient:
        client = httpx.Client(transport=httpx.MockTransport(self._carry), base_url="http://registry")
        return RegistryClient(client, self.trust)

    def _carry(self, request: httpx.Request) -> httpx.Response:
        if not self.reachable:
            raise httpx.ConnectError("no route", request=request)
        self.seen.append(request)
        answer = self.http.request(
            request.method, request.url.raw_path.decode(), content=request.content, headers=request.headers
        )
        return self.answer(request, httpx.Response(answer.status_code, content=answer.content))


Events = Callable[..., OrderPaid]
Opened = Callable[..., Device]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def running(
    tmp_path: Path, clock: Clock, new_file: Path, lent_keys: None
) -> Callable[..., AbstractContextManager[Shop]]:
    """Open a registry on the same files as often as asked, each time with other settings."""
    operator = OPERATOR
    shutil.copy(new_file, tmp_path / "registry.db")

    @contextmanager
    def running(**settings) -> Iterator[Shop]:
        plain = {
            "database_url": f"sqlite:///{tmp_path}/registry.db",
            "key_file": tmp_path / "registry.key",
            "origin": ORIGIN,
            "slots": 2,
            "operator": operator.public.hex(),
        }
        app = create_app(Settings(**{**plain, **settings}), clock=lambda: clock.now.timestamp())
        with TestClient(app) as http:
            yield Shop(http, operator, app.state.registry.key.public)

    return running


@pytest.fixture
def shop(running) -> Iterator[Shop]:
    with running() as shop:
        yield shop


@pytest.fixture
def organisations() -> tuple[bytes, ...]:
    """The public keys of those who sit in the standing committee."""
    return tuple(key.public for key in ORGANISATIONS)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "device.db"


@functools.cache
def signed_rules(operator: bytes) -> bytes:
    """`RULES` as the tests' one operator signs them; held against the lists of sensitive words once."""
    assert OPERATOR.public == operator
    return rule_bundle.sign_rules(RULES, OPERATOR)


@pytest.fixture
def opened(path: Path, shop: Shop, clock: Clock) -> Iterator[Opened]:
    """Open the device as often as asked; all are closed in the end."""
    devices = []

    def opened(at: Path = path, **options) -> Device:
        if not at.exists():
            store = Store(at, KEY)
            store.put("rules", signed_rules(shop.operator.public))
            store.close()
        options = {"trust": shop.trust, "registry": shop.way(), "clock": clock, **options}
        devices.append(Device.open(at, KEY, **options))
        return devices[-1]

    yield opened
    for device in devices:
        device.close()


@pytest.fixture
def mapped() -> Rules:
    """The rules that the devices of `opened` have from the start."""
    return RULES


@pytest.fixture
def device(opened: Opened) -> Device:
    """An enrolled device whose owner allows personalisation."""
    device = opened()
    device.enrol()
    device.grant("personalize")
    return device


@pytest.fixture
def allow() -> Callable[..., None]:
    """Open a device's gate for purposes whose notices the registry does not have yet."""

    def allow(device: Device, *purposes: str) -> None:
        now = milliseconds(device.clock.now())
        texts = (NoticeText("en", "title", "text"),)
        caps = (1.0, 1.0, 1e-6)
        device.consents.keep_notices(
            {name: Notice(name, 1, 0, 0, "consent", *caps, texts) for name in purposes}
        )
        for name in purposes:
            device.decision(name, GRANTED)
        confirmed = tuple(Choice(name, GRANTED, 1) for name in purposes)
        state = device.consents._state
        state.write(replace(state.read(), confirmed=confirmed, unsent=(), synced_at=now))

    return allow


@pytest.fixture
def order(clock: Clock) -> Events:
    """Make an order of some days ago: one line of `minor`, or the given `lines`."""
    numbers = itertools.count(1)

    def order(days: float = 0, minor: int = 3000, lines: tuple[OrderLine, ...] = (), **changes) -> OrderPaid:
        lines = lines or (OrderLine("item", "tea", paid_minor=minor),)
        plain = {
            "order_id": f"order-{next(numbers)}",
            "lines": lines,
            "total_minor": sum(line.paid_minor for line in lines),
            "currency": "USD",
            "at_ms": milliseconds(clock.now - timedelta(days=days)),
            "tz_offset_min": 480,
        }
        return OrderPaid(**{**plain, **changes})

    return order


@pytest.fixture
def refund(clock: Clock) -> Callable[..., Refund]:
    """Make a refund of now for an order, each with an id of its own."""
    numbers = itertools.count(1)

    def refund(of: OrderPaid, minor: int, *line_ix: int) -> Refund:
        at_ms = milliseconds(clock.now)
        return Refund(f"refund-{next(numbers)}", of.order_id, minor, at_ms, 480, line_ix)

    return refund


@pytest.fixture
def met(clock: Clock) -> Callable[..., Interaction]:
    """Make an event about an item, some days ago."""

    def met(kind: type[Interaction], days: float, *categories: str) -> Interaction:
        at_ms = milliseconds(clock.now - timedelta(days=days))
        return kind("item", categories or ("tea",), at_ms, 480)

    return met


@pytest.fixture
def notice() -> Callable[..., Notice]:
    def notice(purpose: str, version: int = 1, epsilon: float = 1.0, total: float = 2.0) -> Notice:
        basis = "contract" if purpose in ("core", "membership") else "consent"
        texts = (NoticeText("en", purpose.title(), "why"), NoticeText("zh", f"{purpose} 用途", "说明"))
        return Notice(purpose, version, 0, 0, basis, epsilon, total, 1e-6, texts)

    return notice


@pytest.fixture
def gate(clock: Clock, notice) -> Callable[..., ConsentGate]:
    """A gate that allows the purposes, confirmed just now on notice 1."""

    def gate(*granted: str, **changes) -> ConsentGate:
        plain = {
            "choices": {purpose: Choice(purpose, GRANTED, 1) for purpose in granted},
            "notices": {purpose: notice(purpose) for purpose in (*granted, "personalize", "membership")},
            "agreed": {purpose: AgreedTerms.of_notice(notice(purpose)) for purpose in granted},
            "synced_at": clock.now,
            "now": clock.now,
        }
        return ConsentGate(**{**plain, **changes})

    return gate
