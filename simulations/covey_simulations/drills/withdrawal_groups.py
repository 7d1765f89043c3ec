"""Crowds: for each way of withdrawing, people who withdraw so, and a fifth as many who do not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from covey_simulations.drills.people import Person
from covey_simulations.drills.withdrawal_attempts import GROUPS, GroupResult, PersonResult, Stage
from covey_simulations.progress import Done

LEAST_STAYING = 5
"""People of a group who withdraw nothing: those of all groups together are enough for a round."""


@dataclass(frozen=True, slots=True)
class WithdrawalGroup:
    """A group's people: those who withdraw, and those who do not."""

    group: GroupResult
    leaving: Sequence[Person]
    staying: Sequence[Person]

    @property
    def away(self) -> Sequence[Person]:
        """Those whose phones stay offline, where the others' are online again."""
        return self.leaving[1::2] if self.group.by_officer and self.group.offline else ()

    def play(self, stage: Stage, done: Done) -> tuple[list[PersonResult], list[PersonResult]]:
        """Let everyone do what is theirs to do; return what came of it for those who leave and who stay."""
        left, away = [], {person.subject for person in self.away}
        for person in self.leaving:
            left.append(stage.leave(self.group, person, returns=person.subject not in away))
            done(1)
        stayed = [stage.stay(self.group, person) for person in self.staying]
        done(len(stayed))
        return left, stayed


def count(subjects: int) -> tuple[int, int]:
    """Return how many people are needed where `subjects` withdraw, and how many of them stay."""
    sizes = list(_sizes(subjects))
    return sum(map(sum, sizes)), sum(staying for _, staying in sizes)


def gather(people: Iterable[Person], subjects: int) -> list[WithdrawalGroup]:
    """Return the people in crowds, of which `subjects` withdraw."""
    left = iter(people)
    return [
        WithdrawalGroup(group, tuple(islice(left, leaving)), tuple(islice(left, staying)))
        for group, (leaving, staying) in zip(GROUPS, _sizes(subjects), strict=True)
    ]


def _sizes(subjects: int) -> Iterator[tuple[int, int]]:
    """Yield for each group how many leave and how many stay."""
    for number in range(len(GROUPS)):
        leaving = len(range(number, subjects, len(GROUPS)))
        yield leaving, max(LEAST_STAYING, leaving // 5)
