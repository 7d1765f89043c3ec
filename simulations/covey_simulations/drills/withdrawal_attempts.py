"""Leaving: a person withdraws, or an officer for them, with the phone online or not; then the phone tries."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime

from covey_sdk.consent_gate import MOST_AGE
from covey_sdk.round_records import RoundRecords
from covey_simulations.drills.participation_attempts import Tries, Try
from covey_simulations.drills.people import Line, Person
from covey_simulations.drills.registry_staff import RegistryStaff
from covey_simulations.drills.rounds import DrillRound
from covey_simulations.scenarios.clock import Clock

PURPOSE = "analytics"
"""What is withdrawn."""

MARGIN = 60.0
"""Seconds before and after the seven days at which the gate is looked at."""


@dataclass(frozen=True, slots=True)
class GroupResult:
    """A way of withdrawing."""

    name: str
    by_officer: bool
    offline: bool


GROUPS = (
    GroupResult("on the phone, online", by_officer=False, offline=False),
    GroupResult("on the phone, offline", by_officer=False, offline=True),
    GroupResult("by an officer, phone online", by_officer=True, offline=False),
    GroupResult("by an officer, phone offline", by_officer=True, offline=True),
)


@dataclass(frozen=True, slots=True)
class PersonResult:
    """What came of one person's tries.

    `act` and `sync` are seconds: of the person's own act on the phone, and until a phone that was offline had
    told the registry. `first` is the phone's try right after, `back` and `fetched` those of a phone that is
    online again, None where it stays away. `ticket` is the try to use an old ticket, after all others.
    `earlier_key` is the round key of the person's contribution to the earlier round.
    """

    act: float
    first: Try
    sync: float
    demanded: Try
    back: Try | None
    fetched: Try | None
    ticket: Try
    verdict: str
    earlier_key: bytes

    @property
    def away(self) -> bool:
        """Whether the phone stayed offline."""
        return self.back is None


@dataclass(frozen=True, slots=True)
class Away:
    """What came of phones that stay offline for seven days.

    How many gates were open just before, closed just after, and open again once the phone was online; and how
    many phones could take part after the seven days.
    """

    people: int
    open_before: int
    closed_after: int
    open_again: int
    contributions: int


@dataclass(frozen=True, slots=True)
class Stage:
    """Where it is played: desk, the phones' line, an `earlier` round that all contribute to, tries."""

    desk: RegistryStaff
    line: Line
    earlier: DrillRound
    tries: Tries

    def contribute_earlier(self, person: Person) -> None:
        """Let a phone contribute to the earlier round; its message arrives."""
        self.earlier.add(person.client.contribute(self.earlier.files))
        person.client.acknowledge(self.earlier.round_id)

    def leave(self, group: GroupResult, person: Person, *, returns: bool = True) -> PersonResult:
        """Withdraw as this group does, and try; a phone that does not return stays offline."""
        act = self._by_officer if group.by_officer else _on_the_phone
        return self._live(group, person, act, returns)

    def stay(self, group: GroupResult, person: Person) -> PersonResult:
        """Withdraw nothing, and try the same."""
        return self._live(group, person, lambda _: 0.0, returns=True)

    def _live(
        self, group: GroupResult, person: Person, act: Callable[[Person], float], returns: bool
    ) -> PersonResult:
        with self.line.cut() if group.offline else nullcontext():
            seconds = act(person)
            first = self.tries.join(person)
        sync = _seconds(person.device.sync) if group.offline and returns else 0.0
        demanded = self.tries.demand(person)
        back = self.tries.join(person) if returns else None
        fetched = self.tries.fetch(person) if returns else None
        ticket, key = self.tries.use_ticket(person), self._earlier_key(person)
        person.device.store.pause()
        verdict = self.desk.verdict(person.subject, PURPOSE)
        return PersonResult(seconds, first, sync, demanded, back, fetched, ticket, verdict, key)

    def _earlier_key(self, person: Person) -> bytes:
        """Return the round key under which the person's phone contributed to the earlier round."""
        joined = RoundRecords(person.device.store, bytes(32)).joined(self.earlier.round_id)
        assert joined is not None  # noqa: S101  # it contributed before anyone withdrew
        return joined.leaf.round_key

    def _by_officer(self, person: Person) -> float:
        """Withdraw; time counts from the acknowledgement on."""
        self.desk.withdraw(person.subject, PURPOSE)
        return 0.0

    def wait(self, people: Sequence[Person], clock: Clock) -> Away:
        """Let seven days go by for phones that are offline, then put them online again."""
        synced = [each for person in people if (each := person.device.consents.synced_at)]
        with self.line.cut():
            _until(clock, min(synced), -MARGIN)
            open_before = sum(_allows(person) for person in people)
            _until(clock, max(synced), MARGIN)
            closed_after = sum(not _allows(person) for person in people)
            contributions = sum(self.tries.join(person).succeeded for person in people)
        open_again = sum(self._back(person) for person in people)
        return Away(len(people), open_before, closed_after, open_again, contributions)

    def _back(self, person: Person) -> bool:
        """Let the phone hear of the registry again; say whether it allows the purpose then."""
        person.device.sync()
        allows = _allows(person)
        person.device.store.pause()
        return allows


def _on_the_phone(person: Person) -> float:
    return _seconds(lambda: person.device.withdraw(PURPOSE))


def _seconds(act: Callable[[], object]) -> float:
    begin = time.perf_counter()
    act()
    return time.perf_counter() - begin


def _allows(person: Person) -> bool:
    return person.device.gate().allows(PURPOSE)


def _until(clock: Clock, synced: datetime, margin: float) -> None:
    """Let time go by until the last good sync is seven days ago, and `margin` seconds more."""
    clock.forward(synced.timestamp() + MOST_AGE.total_seconds() + margin - clock.seconds())
