"""One round in one message, measured: the seconds and bytes of phone, coordinator, registry and decryptor.

All parties play one after the other in this process, with real messages. Some phones are measured and check
every ticket themselves; the others remember what was found good, and are in no figure. As many decryptors
answer as correct the planned number of wrong sums. The coordinator's and the registry's work is done some
times over on the same messages.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from covey_privacy.dp import skellam
from covey_privacy.secagg import ntt, packed_shamir, pads
from covey_privacy.secagg.aggregator import Aggregator, Result
from covey_privacy.secagg.collector import Collector
from covey_privacy.secagg.committee import check_committees
from covey_privacy.secagg.contributor import Contributor
from covey_privacy.secagg.decryptor import Decryptor
from covey_privacy.secagg.field import Elements
from covey_privacy.secagg.messages import Logged
from covey_privacy.secagg.notary import Notary
from covey_privacy.secagg.terms import DecryptorId, Kind
from covey_privacy.signatures import Verify
from covey_privacy.tickets import RoundKey
from covey_simulations.benchmarks.secagg_parties import (
    COORDINATOR,
    DECRYPTOR,
    PHONE,
    REGISTRY,
    Party,
    forget,
)
from covey_simulations.benchmarks.secagg_plan import RoundPlan, quick_issuers
from covey_simulations.benchmarks.spans import timed_calls
from covey_simulations.devices.phone import Remembering
from covey_simulations.errors import RunError
from covey_simulations.scenarios.in_process_round import NODE, NOW, Players

MEASURED, FIRST = 20, 3
"""Phones that are measured, and how many of them are measured as in a process that has just begun."""
PASSES = 3
"""How often coordinator and registry do their parts."""
DEVIATIONS = 8
"""Standard deviations by which an entry of a long sum may be off: by chance, one in 10^15 is."""

ROSTER = ((Notary, "volunteer", "volunteers"), (Notary, "roster", "roster"), (Notary, "draw", "draw"))

DecryptorGroup = tuple[Kind, bool]
"""Decryptors of one committee: those that are sent boxes, or those whose shares are streams."""


@dataclass
class _Answers:
    """What registry and decryptors said in the first pass; the coordinator hears it again in later ones."""

    included: tuple[bytes, Logged] | None = None
    final: tuple[bytes, Logged] | None = None
    complaints: dict[DecryptorId, bytes] = field(default_factory=dict)
    openings: dict[DecryptorId, bytes] = field(default_factory=dict)


class MeasuredRound:
    """A round under measurement: `make_tickets`, `play`, then read what each party took."""

    def __init__(
        self,
        plan: RoundPlan,
        *,
        measured: int = MEASURED,
        passes: int = PASSES,
        profile: bool = False,
    ) -> None:
        self.plan, self._passes, self._profile = plan, passes, profile
        self.measured = min(measured, plan.setting.phones)
        self.phone, self.first = Party(PHONE, profile=profile), Party(PHONE)
        self.coordinator = Party(COORDINATOR, profile=profile)
        self.registry = Party(REGISTRY, profile=profile)
        self.checking: dict[DecryptorGroup, Party] = {}
        self.opening: dict[DecryptorGroup, Party] = {}
        self.roster: dict[str, float] = {}
        self.messages: list[bytes] = []
        self.file = b""
        self.bytes_down: dict[DecryptorGroup, int] = {}
        self.bytes_up: dict[Kind, int] = {}
        self._players = Players(plan.setting, quick_issuers())
        self._remembering = Remembering()
        self._plain = np.zeros(plan.setting.length, np.int64)
        self._said = _Answers()

    @property
    def steps(self) -> int:
        """Of how many phones and decryptors `play` tells that they are done."""
        return self.plan.setting.phones + self.answering

    @property
    def answering(self) -> int:
        """How many decryptors answer."""
        shapes = (self.plan.setting.standing, self.plan.setting.drawn)
        return sum(shape.needed_answers for shape in shapes if shape)

    def make_tickets(self) -> None:
        """Issue the tickets of all phones and volunteers: before the round, and in no figure."""
        players, setting = self._players, self.plan.setting
        for issuer, count in zip(players.issuers, (setting.phones, setting.volunteers), strict=True):
            issuer.round_keys(count, players.random)

    def play(self, tell: Callable[[int], None] = lambda _: None) -> None:
        """Play the round; `tell(n)` hears of every n phones and decryptors that are done.

        Raises RunError where an opened sum is not that of the vectors.
        """
        with timed_calls(self.registry.spans, ROSTER):
            self.file = self._players.seat()
        self.roster = self.registry.spans.take()
        self._players.notary = notary_for(self._players, self.registry)
        self.committees = check_committees(self.file, self._players.info)
        for number, key in enumerate(self._players.round_keys):
            self._contribute(number, key)
            tell(1)
        for _ in range(self._passes):
            result = self._coordinate(tell)
            self.coordinator.end_sample()
            require_sum(result, self._plain, len(self.messages))

    def _contribute(self, number: int, key: RoundKey) -> None:
        """Let a phone contribute; the first ones are measured.

        Some are measured with empty caches before that. What they say then is never sent: no key deals twice.
        """
        if number < FIRST:
            forget(pads, ntt, packed_shamir, skellam)
            self._measure_phone(self.first, number, key)
        if number < self.measured:
            forget(pads)  # the ring's public elements are another manifest's in the next round
            message, vector = self._measure_phone(self.phone, number, key)
        else:
            vector = (np.arange(self.plan.setting.length) + number) % 2001 - 1000
            message = self._contributor(key, self._remembering).contribute(self.file, vector)
        self.messages.append(message)
        self._plain += vector

    def _measure_phone(self, party: Party, number: int, key: RoundKey) -> tuple[bytes, Elements]:
        answer, encoding = self.plan.vector(number), self.plan.encoding
        with party.acting():
            with party.spans("encoding"):
                vector = encoding.encode(answer)
            with party.spans("noise"):
                vector += self.plan.noise.sample(encoding.padded)
            message = self._contributor(key, party.verify).contribute(self.file, vector)
        party.end_sample()
        return message, vector

    def _contributor(self, key: RoundKey, verify: Verify) -> Contributor:
        return Contributor(self._players.info, self._players.accepted, key, verify=verify)

    def _coordinate(self, tell: Callable[[int], None]) -> Result:
        """Let the coordinator do its part; registry and decryptors do theirs in the first pass."""
        party, said, log = self.coordinator, self._said, self._players.log
        with party.acting():
            collector = Collector(self._players.info, self.file, {}, verify=party.verify)
            aggregator = Aggregator(self._players.info, self.file, verify=party.verify)
            for message in self.messages:
                collector.add(message)
            aggregator.collect(NODE, collector.collected())
            request = aggregator.close()
        if said.included is None:
            included = self._include(request)
            said.included = included, log.append(included)
        with party.acting():
            aggregator.included(*said.included)
        for committee in self.committees.each:
            for number in range(1, committee.shape.members + 1):
                self._check(aggregator, (committee.kind, number), tell)
        with party.acting():
            for complaints in said.complaints.values():
                aggregator.complain(complaints)
            request = aggregator.exclude()
        if said.final is None:
            final = self._players.notary.final(request)
            said.final = final, log.append(final)
        with party.acting():
            aggregator.final(*said.final)
            request = aggregator.open_request()
        if not said.openings:
            self._open(request)
        with party.acting():
            for opening in said.openings.values():
                aggregator.opened(opening)
            return aggregator.conclude()

    def _include(self, request: bytes) -> bytes:
        """Let the registry include the set, as often as is asked: it signs the same each time."""
        for _ in range(self._passes):
            with self.registry.acting():
                signed = self._players.notary.include(self.file, request)
            self.registry.end_sample()
        return signed

    def _check(self, aggregator: Aggregator, seat: DecryptorId, tell: Callable[[int], None]) -> None:
        """Let the coordinator prepare a decryptor's request, and the decryptor check if it answers."""
        with self.coordinator.acting():
            request = aggregator.check_request(*seat)
        if seat in self._said.complaints or not self._answers(seat):
            return
        players, group = self._players, self._group(seat)
        party = self.checking.setdefault(group, Party(DECRYPTOR, profile=self._profile))
        state, view = players.decryptors[seat].state, players.log.view
        decryptor = Decryptor(players.info, self.committees, state, view, verify=party.verify)
        with party.acting():
            self._said.complaints[seat] = decryptor.check(request, NOW)
        party.end_sample()
        players.decryptors[seat] = decryptor
        self.bytes_down[group] = len(request)
        tell(1)

    def _open(self, request: bytes) -> None:
        """Let the decryptors that checked open."""
        for seat, complaints in self._said.complaints.items():
            party = self.opening.setdefault(self._group(seat), Party(DECRYPTOR, profile=self._profile))
            with party.acting():
                opening = self._players.decryptors[seat].open(request, NOW)
            party.end_sample()
            self._said.openings[seat] = opening
            self.bytes_up[seat[0]] = len(complaints) + len(opening)
        for group in self.bytes_down:
            self.bytes_down[group] += len(request)

    def _group(self, seat: DecryptorId) -> DecryptorGroup:
        kind, number = seat
        return kind, number in self.committees.of_kind(kind).boxed

    def _answers(self, seat: DecryptorId) -> bool:
        """Say whether a decryptor answers: as many do as are needed, of all kinds evenly."""
        kind, number = seat
        shape = self.committees.of_kind(kind).shape
        return number * shape.needed_answers % shape.members < shape.needed_answers


def notary_for(players: Players, registry: Party) -> Notary:
    """Return the notary of a round as it stands, whose checks count as this party's."""
    notary = Notary(players.info, players.registry, players.records, verify=registry.verify)
    notary.state = players.notary.state
    return notary


def require_sum(result: Result, plain: Elements, members: int) -> None:
    """Raise RunError unless the opened sum is the plain sum of all members' vectors."""
    off = int(np.abs(result.vector - plain).max())
    if result.members != members or off > DEVIATIONS * result.error_variance**0.5:
        raise RunError(
            f"the opened sum of {result.members} vectors is {off} off that of {members}; no figure counts"
        )
