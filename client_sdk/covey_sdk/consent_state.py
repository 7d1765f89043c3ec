"""The state of the consents on a phone: decisions, what the registry confirmed of them, and what it lacks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, TypeVar

from covey_privacy import wire
from covey_privacy.checkpoint import EMPTY_LOG, Checkpoint
from covey_privacy.registry_messages import GRANTED, Choice, Decision, Notice
from covey_sdk.clock import milliseconds, moment

_HasPurpose = TypeVar("_HasPurpose", Decision, Choice, Notice)


@dataclass(frozen=True, slots=True)
class ConsentState:
    """The consents as they are stored.

    `decisions` are the last of each purpose, `confirmed` the registry's choices, `unsent` the purposes whose
    decision the registry may not have; `synced_at` is in UTC milliseconds, None never. The others are the
    head of the registry's log as last seen.
    """

    decisions: Annotated[tuple[Decision, ...], wire.Size(0, 64)] = ()
    confirmed: Annotated[tuple[Choice, ...], wire.Size(0, 64)] = ()
    unsent: wire.Names = ()
    synced_at: wire.U64 | None = None
    origin: Annotated[str, wire.Size(0, 256)] = EMPTY_LOG.origin
    log_size: wire.U64 = EMPTY_LOG.size
    log_root: wire.Bytes32 = EMPTY_LOG.root

    @property
    def last_decisions(self) -> dict[str, Decision]:
        """The person's last decision on this device, by purpose."""
        return index_by_purpose(self.decisions)

    @property
    def unsent_decisions(self) -> dict[str, Decision]:
        """The decisions that the registry may not have, by purpose."""
        known = self.last_decisions
        return {purpose: known[purpose] for purpose in self.unsent}

    @property
    def standing(self) -> Mapping[str, Choice]:
        """The choices that stand, by purpose: grants of this device that are confirmed, and every no."""
        confirmed = index_by_purpose(self.confirmed)
        standing = {purpose: choice for purpose, choice in confirmed.items() if choice.state != GRANTED}
        for decision in self.decisions:
            own = choice_of(decision)
            if own.state != GRANTED or confirmed.get(own.purpose) == own:
                standing[own.purpose] = own
        return standing

    @property
    def head(self) -> Checkpoint:
        """The head of the registry's log as last seen."""
        return Checkpoint(self.origin, self.log_size, self.log_root)

    @property
    def synced_time(self) -> datetime | None:
        """When the registry last confirmed the choices, None never."""
        return None if self.synced_at is None else moment(self.synced_at)

    def lacks_grant(self, choices: Iterable[Choice]) -> bool:
        """Say whether a grant waits to be sent and the registry's choices do not hold it."""
        held = set(choices)
        return any(
            decision.state == GRANTED and choice_of(decision) not in held
            for decision in self.unsent_decisions.values()
        )


def index_by_purpose(items: Iterable[_HasPurpose]) -> dict[str, _HasPurpose]:
    """Return decisions, choices or notices by purpose."""
    return {item.purpose: item for item in items}


def choice_of(decision: Decision) -> Choice:
    """Return the choice by which the registry confirms a decision."""
    return Choice(decision.purpose, decision.state, decision.notice_version)


def without_refused(choices: Iterable[Choice], refused: Collection[str]) -> tuple[Choice, ...]:
    """Return the choices without those on purposes that were refused since: a later grant needs its own."""
    return tuple(choice for choice in choices if choice.purpose not in refused)


def decision_time(last: Decision | None, now: datetime) -> int:
    """Return the time of a new decision: after the last one, so that no two of a purpose are the same."""
    return max(milliseconds(now), last.at + 1) if last else milliseconds(now)
