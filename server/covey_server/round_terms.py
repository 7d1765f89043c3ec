"""Planning a round in one message: from what the operator chose and how many hold tickets to `RoundTerms`.

The noise is sized for n_h honest phones: the least set without the K that may be corrupt, and oneself. K is
a share of everyone who was issued tickets, not of those who come.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

from covey_privacy.errors import MisuseError
from covey_privacy.floors import FloorProfile
from covey_privacy.manifest import Windows
from covey_privacy.secagg import pads
from covey_privacy.secagg.shape import Band, Shape, bands, corrupt_phones, standing_shape
from covey_privacy.secagg.terms import MOST_MEMBERS, Kind, RoundTerms
from covey_server.errors import ConfigError

HEADROOM = 1.05
"""The terms count five in a hundred more phones than hold tickets now: late ones may still fetch theirs."""
BAND_STEPS = 4
"""Bands of roster sizes for which a drawn committee's shape is stated."""


@dataclass(frozen=True, slots=True)
class Durations:
    """How long a round's windows are open, in seconds, one after the other."""

    volunteer: int
    contribute: int
    check: int
    open: int

    def windows_from(self, now: int) -> Windows:
        """Return the windows of a round that begins at `now` (POSIX seconds)."""
        ends, at = [], now
        for seconds in (self.volunteer, self.contribute, self.check, self.open):
            at += seconds
            ends.append(at)
        return Windows(*ends)


@dataclass(frozen=True, slots=True)
class Population:
    """How many phones hold tickets of the epoch, and how many of their owners allow the purposes now."""

    issued: int
    willing: int


@dataclass(frozen=True, slots=True)
class CommitteePolicy:
    """What the operator chose of committees.

    `organisations` are the keys of the standing one's seats, of which any `privacy` together learn nothing;
    empty without one. `drawn` says whether a committee is drawn of volunteers too, of whom the share `lost`
    may never answer. `gamma` is the share of phones that may be corrupt, `turnout` that of the people who
    allow the purposes and are expected to contribute.
    """

    organisations: tuple[bytes, ...]
    drawn: bool
    gamma: float
    lost: float
    turnout: float
    privacy: int = 1

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds of the round's committees."""
        named = ((Kind.STANDING, bool(self.organisations)), (Kind.DRAWN, self.drawn))
        return tuple(kind for kind, present in named if present)


def least_set(policy: CommitteePolicy, profile: FloorProfile, purpose: str, people: Population) -> int:
    """Return the fewest contributions that a round's sum is over.

    Raises:
        ConfigError: too few phones are expected for the profile's floor or for any honest one to be left, or
            more than one round takes.
    """
    floor, expected = profile.least_cohort(purpose), math.floor(policy.turnout * people.willing)
    if min(expected, people.issued) < floor:
        raise ConfigError(
            f"{people.issued} phones hold tickets, of which {expected} are expected to contribute; a round "
            f"for {purpose} needs {floor}: ask again when more people take part"
        )
    if expected > MOST_MEMBERS:
        raise ConfigError(
            f"{expected} phones are expected to contribute; one round takes {MOST_MEMBERS}, and a population "
            "is not divided among several committees yet"
        )
    corrupt = _corrupt(policy, people.issued)
    if expected - corrupt - 1 < 1:
        raise ConfigError(
            f"of {expected} contributions {corrupt} may be of corrupt phones; no honest noise is left: ask "
            "again when more people take part"
        )
    return expected


def honest(policy: CommitteePolicy, profile: FloorProfile, purpose: str, people: Population) -> int:
    """Return n_h: how many phones' shares of noise make the whole. Raises ConfigError as `least_set`."""
    return least_set(policy, profile, purpose, people) - _corrupt(policy, people.issued) - 1


def terms_for(
    policy: CommitteePolicy,
    profile: FloorProfile,
    purpose: str,
    people: Population,
    length: int,
    steps: float,
    nonce: bytes,
) -> RoundTerms:
    """Return a round's terms.

    Args:
        length: entries of the padded vector.
        steps: the whole noise's standard deviation in integer steps, sigma * scale.
        nonce: 32 secret bytes, shown when the committee is drawn.

    Raises:
        ConfigError: no committee is safe and live for so many phones, or the noise too small for the vector.
    """
    if not policy.kinds:
        raise ConfigError("a round needs a committee: name organisations, or have one drawn of volunteers")
    issued, most = people.issued, min(people.issued, MOST_MEMBERS)
    try:
        return RoundTerms(
            length=length,
            drop=pads.choose_drop(length, most, steps),
            steps=steps,
            honest=honest(policy, profile, purpose, people),
            issued=counted(issued),
            gamma=policy.gamma,
            lost=policy.lost if policy.drawn else 0.0,
            most=most,
            organisations=policy.organisations,
            standing=_standing(policy),
            bands=_bands(policy, profile, issued) if policy.drawn else (),
            nonce_hash=hashlib.sha256(nonce).digest(),
        )
    except MisuseError as error:
        raise ConfigError(f"no round can be planned for {issued} phones: {error}") from None


def _standing(policy: CommitteePolicy) -> Shape | None:
    return standing_shape(len(policy.organisations), policy.privacy) if policy.organisations else None


def _bands(policy: CommitteePolicy, profile: FloorProfile, issued: int) -> tuple[Band, ...]:
    """Return shapes for rosters from half of the phones up to all of them."""
    alone = not policy.organisations
    largest = counted(issued)
    smallest = max(profile.least_pool if alone else 0, largest // 2, 1)
    if smallest >= largest:
        raise ConfigError(
            f"a committee that is drawn alone needs {profile.least_pool} volunteers; {issued} phones hold "
            "tickets"
        )
    step = max(1, (largest - smallest) // BAND_STEPS)
    sizes = sorted({*range(smallest, largest, step), largest})
    return _drawable(sizes, _corrupt(policy, issued), policy.lost)


def _drawable(sizes: Sequence[int], corrupt: int, lost: float) -> tuple[Band, ...]:
    """Return the bands from the smallest roster on for which a committee exists."""
    for first in range(len(sizes) - 1):
        try:
            return bands(sizes[first:], corrupt, lost)
        except MisuseError as error:
            why = error
    raise why


def counted(issued: int) -> int:
    """Return how many phones a round counts with where so many hold tickets now: late ones join them."""
    return math.ceil(HEADROOM * issued)


def _corrupt(policy: CommitteePolicy, issued: int) -> int:
    return corrupt_phones(policy.gamma, counted(issued), 1.0)
