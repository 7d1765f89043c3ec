"""Verdicts: may a purpose be served now, and if not, why. Anything unclear is a no."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from covey_consent.decisions import states
from covey_consent.decisions.consent_event import EVERYTHING
from covey_consent.errors import DeniedError
from covey_consent.policy.purposes import find
from covey_privacy.registry_messages import GRANTED, REFUSED, WITHDRAWN, Choice, Notice


class Standing(NamedTuple):
    """The choice that stands for one purpose; `expires_at` in Unix milliseconds, 0 for never."""

    state: str
    notice_version: int
    expires_at: int

    def at(self, now: int) -> str:
        """Return its state at `now`, in Unix milliseconds."""
        lapsed = self.state == GRANTED and 0 < self.expires_at <= now
        return states.EXPIRED if lapsed else self.state


Standings = Mapping[str, Standing]
"""A person's choices by purpose."""


class Verdict(StrEnum):
    """Allowed, or the first reason against it."""

    ALLOWED = "allowed"
    RESTRICTED = "restricted"
    OBJECTED = "objected"
    UNDECIDED = "undecided"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    OUTDATED = "notice-outdated"
    UNKNOWN = "unknown-subject"


_AGAINST = {
    states.OBJECTED: Verdict.OBJECTED,
    states.NONE: Verdict.UNDECIDED,
    REFUSED: Verdict.REFUSED,
    WITHDRAWN: Verdict.WITHDRAWN,
    states.EXPIRED: Verdict.EXPIRED,
}


def judge(standings: Standings, purpose: str, notices: Mapping[str, Notice], now: int) -> Verdict:
    """Return the verdict at `now` (Unix milliseconds). Raises UnknownError for a purpose that is not."""
    everything, choice = standings.get(EVERYTHING), standings.get(purpose)
    if everything is not None and everything.state == states.RESTRICTED:
        return Verdict.RESTRICTED
    state = states.NONE if choice is None else choice.at(now)
    if not find(purpose).needs_consent:
        # Acknowledging a contract or a law's demand allows nothing: it stands without, whatever the version.
        return Verdict.OBJECTED if state == states.OBJECTED else Verdict.ALLOWED
    if state == GRANTED and choice is not None:
        current = purpose in notices and notices[purpose].version == choice.notice_version
        return Verdict.ALLOWED if current else Verdict.OUTDATED
    return _AGAINST[state]


def judge_each(
    people: Sequence[str],
    choices: Mapping[str, Standings],
    purpose: str,
    notices: Mapping[str, Notice],
    now: int,
) -> list[Verdict]:
    """Return the verdict for each person at `now` (Unix milliseconds), in their order.

    People with equal choices share one `Standings` object, which is judged once.
    """
    distinct = {id(standings): standings for standings in choices.values()}
    judged = {name: judge(standings, purpose, notices, now) for name, standings in distinct.items()}
    return [judged[id(choices[subject])] if subject in choices else Verdict.UNKNOWN for subject in people]


def require_granted(
    standings: Standings, wanted: Iterable[str], current: Mapping[str, Notice], now: int
) -> None:
    """Raise DeniedError unless the choices allow every wanted purpose at `now` (Unix milliseconds)."""
    for name in wanted:
        verdict = judge(standings, name, current, now)
        if verdict is not Verdict.ALLOWED:
            raise DeniedError(
                f"purpose {name!r} is not granted under notice version {current[name].version}: {verdict}"
            )


def effective(standings: Standings, now: int) -> tuple[Choice, ...]:
    """Return the choices as phones get them: a restricted or expired grant is no grant."""
    everything = standings.get(EVERYTHING)
    restricted = everything is not None and everything.state == states.RESTRICTED
    return tuple(
        Choice(purpose, states.RESTRICTED if restricted else choice.at(now), choice.notice_version)
        for purpose, choice in sorted(standings.items())
        if purpose != EVERYTHING
    )
