"""A corner shop: seven phones with stores on disk, a registry on loopback, a coordinator; one may be lost.

The coordinator and the first phone are processes that can be killed at any write. A phone that was killed is
started again and asked the same; a coordinator that was killed is started again by whoever watches.
"""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path

import httpx
from covey_server.fleet import PHASES
from mortal import ASKED, REFUSED, SAID, Fuse, Journal, Line, fork, lay

from covey_consent.keys import load_or_create
from covey_consent.settings import Settings
from covey_privacy import wire
from covey_privacy.consent import LEAF_EVIDENCE, Entries
from covey_privacy.errors import PrivacyError
from covey_privacy.evidence import Evidence
from covey_privacy.five_phases import Directory
from covey_privacy.profile import Profile
from covey_privacy.signatures import Signed, SigningKey
from covey_sdk import Device, Registry, Trust
from covey_sdk.door import Door
from covey_sdk.errors import CoveyError
from covey_sdk.questions import TICKET_SETS
from covey_server import analytics, registry, training
from covey_server.conductor import Conductor
from covey_server.config import Asked, Config
from covey_server.plan import Policy
from covey_server.store import Store
from covey_simulations import registry as loopback
from covey_simulations.clock import DAY, Clock
from covey_simulations.fleet import Fleet

PHONES = 7
MORTAL = 0
LABORATORY = Profile("laboratory", PHONES, {}, least_cell=1, least_gamma=0.0, most_dropout=0.15)
POLICY = Policy(LABORATORY, 1e-6, 0.0, 0.15, 1.0)
CAPS = {"analytics": 4.0, "train": 4.0}
EPSILON = 0.5
CATALOGUE = {
    "items": ["tea", "bread", "soap", "rope"],
    "levels": {"department": ["eat", "eat", "use", "use"]},
}
KEY = bytes(range(32))
TLS = ssl.create_default_context()
OPERATOR = SigningKey(b"\x0b" * 32)
ORIGIN = "covey.test/log"
COORDINATOR = "coordinator.db"


@dataclass(frozen=True)
class Town:
    """The registry of all shops of a test, which nobody kills."""

    url: str
    key: bytes
    clock: Clock

    @property
    def trust(self) -> Trust:
        return Trust(OPERATOR.public, self.key, ORIGIN)

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, verify=TLS)

    def evidence(self) -> list[Evidence]:
        """All the evidence in the log."""
        leaves = (entry for entry in self._entries() if entry[:1] == LEAF_EVIDENCE)
        return [wire.decode(Evidence, wire.decode(Signed, leaf[1:]).body) for leaf in leaves]

    def _entries(self) -> list[bytes]:
        """All entries of the log, of which an answer brings so many."""
        found: list[bytes] = []
        with self.client() as client:
            size = int(client.get("/v1/log/checkpoint").text.splitlines()[1])
            while len(found) < size:
                asked = {"start": len(found), "end": size}
                answer = client.get("/v1/log/entries", params=asked).raise_for_status()
                found += wire.decode(Entries, answer.content).entries
        return found


@contextmanager
def open_town(folder: Path) -> Iterator[Town]:
    """Yield a registry that runs in a process of its own: whoever forks should have no threads."""
    clock = Clock.starting(datetime(2027, 3, 1, 12, tzinfo=UTC))
    settings = Settings(
        database_url=f"sqlite:///{folder / 'registry.db'}",
        key_file=folder / "registry.key",
        origin=ORIGIN,
        operator=OPERATOR.public.hex(),
        slots=8,
        epsilon=CAPS,
        epsilon_total=sum(CAPS.values()),
        rate_enrolments=None,
    )
    key = load_or_create(settings.key_file).public
    (told, tell), (ended, end) = os.pipe(), os.pipe()
    pid = os.fork()
    if not pid:
        os.close(end)
        with loopback.serve(settings, clock.seconds) as url:
            os.write(tell, url.encode())
            os.read(ended, 1)
        os._exit(0)
    os.close(ended)
    try:
        yield Town(os.read(told, 100).decode(), key, clock)
    finally:
        os.close(end)
        os.waitpid(pid, 0)


class Recorded:
    """A phone's door that writes down what it is asked and, before it says it, what it says."""

    def __init__(self, door: Door, journal: Journal, phone: int, boot: int) -> None:
        self._door, self._journal, self._who = door, journal, (phone, boot)

    def __getattr__(self, name: str) -> Callable[..., object]:
        act = getattr(self._door, name)
        return partial(self._do, name, act) if name in PHASES else act

    def _do(self, phase: str, act: Callable[..., bytes], *request: object) -> bytes:
        line = partial(Line, phone=self._who[0], boot=self._who[1], phase=phase, request=list(request))
        told = self._door._opened(request[0]).manifest.round_id if phase == PHASES[0] else request[0]
        self._journal.write(line(ASKED, round_id=told))
        try:
            reply = act(*request)
        except (CoveyError, PrivacyError) as error:
            self._journal.write(line(REFUSED, round_id=told, reply=f"{type(error).__name__}: {error}"))
            raise
        self._journal.write(line(SAID, round_id=told, reply=reply))
        return reply


class Corner:
    """The shop in a folder. `reboots` says whether a phone that was killed has a new start of the phone."""

    def __init__(self, folder: Path, town: Town, *, reboots: bool = False) -> None:
        self.folder, self.town, self.reboots = folder, town, reboots
        self.journal = Journal(folder / "journal")
        self.boot = 0
        self.households = tuple(range(PHONES))

    @contextmanager
    def open(self, phone: int) -> Iterator[Device]:
        with self.town.client() as client, self.opened(phone, client) as device:
            yield device

    def opened(self, phone: int, client: httpx.Client) -> Device:
        """Return a phone's device, on a way to the registry."""
        return Device.open(
            self.folder / f"{phone}.db",
            KEY,
            trust=self.town.trust,
            registry=Registry(client, self.town.trust),
            profile=LABORATORY,
            clock=lambda: datetime.fromtimestamp(self.town.clock.seconds(), UTC),
        )

    def enrol(self, phone: int) -> None:
        """Make a phone known, and allow counting and training."""
        with self.open(phone) as device:
            device.enrol()
            for purpose in ("personalize", "analytics", "train"):
                device.grant(purpose)
            Door(device).fetch_tickets(int(self.town.clock.seconds()) // DAY, *TICKET_SETS)

    def each(self, act: Callable[[int], object], phones: tuple[int, ...]) -> list[object]:
        return list(map(act, phones))

    def door(self, phone: int, device: Device) -> Recorded:
        boot = self.boot if phone == MORTAL else 0
        return Recorded(Door(device, boot_id=bytes([boot + 1]) * 32), self.journal, phone, boot)

    def ask(self, phase: str, bodies: Mapping[int, bytes] | bytes, _round: str) -> dict[int, bytes]:
        """Carry a phase to the one node."""
        return {1: self._fleet.handle(phase, bodies if isinstance(bodies, bytes) else bodies[1])}

    @cached_property
    def _fleet(self) -> CornerFleet:
        return CornerFleet(self)

    @contextmanager
    def conductor(self) -> Iterator[Conductor]:
        """Start the coordinator."""
        catalogue = self.folder / "catalogue.json"
        catalogue.write_text(json.dumps(CATALOGUE), "utf-8")
        config = Config((), CAPS, POLICY, self.folder, catalogue, "", "", "", 60.0, 1, shared_operator=True)
        with closing(Store(self.folder / COORDINATOR)) as store, self.town.client() as client:
            known = CornerRegistry(client, OPERATOR)
            conductor = CornerConductor(config, known, store, OPERATOR, self.town.key)
            conductor.start()
            yield conductor

    def count(self) -> None:
        """Start the coordinator and play one round."""
        with self.conductor() as conductor, suppress(PrivacyError):
            analytics.answer(Asked("q20", EPSILON), conductor, self.ask)

    def train(self) -> None:
        """Start the coordinator and play the steps of one training, the open one if there is any."""
        training.p1_release.three_sums = lambda *_: True
        with self.conductor() as conductor, suppress(PrivacyError):
            training.play_step(Asked("p1", EPSILON), conductor, self.ask)
            while conductor.store.training():
                training.play_step(Asked("p1", EPSILON), conductor, self.ask)

    def replay(self) -> None:
        """Ask the mortal phone again all that it was asked."""
        asked = [line for line in self.journal.lines(ASKED) if line.phone == MORTAL]
        for line in asked:
            with self.open(MORTAL) as device, suppress(CoveyError, PrivacyError):
                getattr(self.door(MORTAL, device), line.phase)(*line.request)


class CornerConductor(Conductor):
    """The coordinator; its rounds are named after the shop too, since one registry serves many."""

    def round_id(self, question: str) -> str:
        return f"{super().round_id(question)}-{self.config.state.name}"


class CornerRegistry(registry.Registry):
    """The registry as the coordinator sees it; it counts the people of this shop alone."""

    def granted(self, purposes: tuple[str, ...], epoch: int) -> int:
        return PHONES


class CornerFleet(Fleet):
    """The phones: the mortal one in a process of its own, which is started again when it was killed."""

    def __init__(self, corner: Corner) -> None:
        super().__init__(corner)
        self._corner = corner
        self._client = corner.town.client()
        self._others: dict[int, Device] = {}

    def _dark(self, household: int, round_id: str, phase: str) -> bool:
        return False

    def _place(
        self, household: int, door: Door, round_id: str, directory: Directory | None = None
    ) -> int | None:
        self._places.pop((round_id, household), None)
        return super()._place(household, door, round_id, directory)

    def _answer(self, household: int, step: Callable[[Door], bytes | None]) -> bytes | None:
        if household != MORTAL:
            return self._said(household, step)
        lived, said = fork(lambda: self._said(household, step))
        if not lived:
            self._corner.boot += self._corner.reboots
            lived, said = fork(lambda: self._said(household, step))
        return said or None

    def _said(self, phone: int, step: Callable[[Door], bytes | None]) -> bytes | None:
        with self._device(phone) as device, suppress(CoveyError, PrivacyError):
            return step(self._corner.door(phone, device))
        return None

    @contextmanager
    def _device(self, phone: int) -> Iterator[Device]:
        """Yield a phone; those that are not killed stay open for as long as the coordinator lives."""
        if phone == MORTAL:
            with self._corner.open(phone) as device:
                yield device
            return
        if phone not in self._others:
            self._others[phone] = self._corner.opened(phone, self._client)
        yield self._others[phone]


def play(fuse: Fuse, act: Callable[[], object]) -> bool:
    """Do something in a process of its own, under the fuse; return whether it lived."""

    def mortal() -> None:
        lay(fuse, COORDINATOR, f"{MORTAL}.db")
        act()

    return fork(mortal)[0]
