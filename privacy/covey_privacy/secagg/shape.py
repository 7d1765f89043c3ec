"""The shape of a committee: how many decryptors, how many may collude, how many may be missing or wrong.

A drawn committee is m of V volunteers. K phones may be corrupt, and all of them may have volunteered; a share
`lost` of the volunteers does not answer. The rule:

- c: more than c of the m are corrupt with a chance of at most 2^-40; T = c + 1;
- a: fewer than a of the m answer with a chance of at most 2^-20;
- e = ceil(K / V * m) wrong sums are corrected, R = T + rho with rho >= 16, and a - R >= 2e;
- m is the least number for which all of this holds.

    shape = choose_shape(volunteers=900, corrupt=corrupt_phones(0.05, issued=1000), lost=0.3)
    require_shape(shape, 900, 50, 0.3)  # what a phone checks
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, floor
from typing import NoReturn

from covey_privacy import wire
from covey_privacy.errors import MisuseError, ServerError
from covey_privacy.protocol_rules import Rule
from covey_privacy.secagg.tail_bounds import (
    LIVENESS_BITS,
    answer_bound,
    corrupt_bound,
    corrupt_phones,
    exact_share,
)

__all__ = [
    "LEAST_PACKING", "MOST_DRAWN", "RING_SIZE", "Band", "Shape", "answer_bound", "bands", "choose_shape",
    "corrupt_bound", "corrupt_phones", "integrity_proved", "require_shape", "require_standing", "shape_for",
    "standing_shape",
]  # fmt: skip

RING_SIZE = 2048
"""Entries of a long vector's seed, and of the longest vector that is padded entry by entry."""
LEAST_PACKING = 16
MOST_DRAWN = 600
"""No drawn committee is larger: a phone's work grows with it."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Packed Shamir sharing among `members` decryptors (m).

    Any `privacy` shares (T) tell nothing. Each polynomial carries `packing` secrets (rho), so that
    `threshold` shares (R = T + rho) determine it. Up to `corrects` wrong sums of shares (e) are corrected.
    """

    members: wire.U32
    privacy: wire.U32
    packing: wire.U32
    corrects: wire.U32

    @property
    def threshold(self) -> int:
        """R: how many shares determine a polynomial."""
        return self.privacy + self.packing

    @property
    def needed_answers(self) -> int:
        """R + 2e: with so many answers, e wrong sums are corrected. At least R + 1, to notice one."""
        return self.threshold + max(2 * self.corrects, 1)

    def chunks(self, length: int) -> int:
        """Return C: how many polynomials carry the seed of a vector of `length` entries."""
        return -(-min(length, RING_SIZE) // self.packing)


@dataclass(frozen=True, slots=True)
class Band:
    """The shape for rosters of `least_volunteers` to `most_volunteers`, both included."""

    least_volunteers: wire.U32
    most_volunteers: wire.U32
    shape: Shape


def choose_shape(
    volunteers: int,
    corrupt: int,
    lost: float,
    packing: int = LEAST_PACKING,
    most: int = MOST_DRAWN,
    largest: int | None = None,
) -> Shape:
    """Return the smallest committee that is both safe and live.

    Args:
        volunteers: V, the size of the signed roster.
        corrupt: K, how many phones may be corrupt; all of them may have volunteered.
        lost: Share of the volunteers that do not answer.
        packing: rho, how many secrets a polynomial carries.
        most: The largest committee that is tried.
        largest: Let the shape be valid for every roster from `volunteers` to this size (see `bands`).

    Raises:
        MisuseError: No committee is both safe and live; the message says what is missing.
    """
    _check_counts(volunteers, corrupt, lost)
    largest = max(largest or 0, volunteers)
    missing = (floor if largest == volunteers else ceil)(exact_share(lost) * largest)
    members, last = packing + 2, min(volunteers, most)
    while members <= last:
        privacy = corrupt_bound(volunteers, corrupt, members) + 1
        shape = Shape(members, privacy, packing, _wrong_sums(volunteers, corrupt, members))
        answers = members - corrupt_bound(largest, missing, members, LIVENESS_BITS)
        if answers >= shape.needed_answers:
            return shape
        if members == last:
            why = f"of {last:,}, {answers} answers are sure and {shape.needed_answers} are needed"
            break
        # One member more raises a by at most 1 and lowers neither c nor e, so that where
        # n answers are missing, the next n - 1 committees are too small as well.
        members = min(members + shape.needed_answers - answers, last)
    else:
        why = f"at least {members} are needed to carry {packing} secrets"
    raise MisuseError(
        f"no committee of at most {last:,} of {volunteers:,} volunteers is both safe and live at {corrupt:,} "
        f"corrupt and {lost:.0%} lost: {why}; increase volunteers or plan for fewer losses",
        rule=Rule.COMMITTEE_SHAPE,
    )


def require_shape(shape: Shape, volunteers: int, corrupt: int, lost: float) -> None:
    """Check that a drawn committee is at least as strong as the rule for the actual numbers.

    Raises:
        ServerError: Some bound does not hold; the message says which.
    """
    most = min(volunteers, MOST_DRAWN)
    if not 1 <= shape.members <= most:
        _refuse(f"{shape.members:,} decryptors; 1 to {most:,} were expected of {volunteers:,} volunteers")
    _check_counts(volunteers, corrupt, lost)
    if shape.packing < LEAST_PACKING:
        _refuse(f"{shape.packing} secrets in a polynomial; at least {LEAST_PACKING} were expected")
    if shape.privacy <= (bound := corrupt_bound(volunteers, corrupt, shape.members)):
        _refuse(
            f"{shape.privacy} shares tell nothing; {bound + 1} were expected for {corrupt:,} corrupt phones"
        )
    if shape.corrects < (wrong := _wrong_sums(volunteers, corrupt, shape.members)):
        _refuse(
            f"{shape.corrects} wrong sums corrected; {wrong} were expected for {corrupt:,} corrupt phones"
        )
    if (answers := answer_bound(volunteers, lost, shape.members)) < shape.needed_answers:
        _refuse(f"{shape.needed_answers} answers needed; {answers} are sure when {lost:.0%} are lost")


def integrity_proved(shape: Shape, answers: int, corrected: int) -> bool:
    """Say whether so many answers, with so many of them corrected, prove the sum.

    Another sum agrees with at most R - 1 honest answers: if R + T answers agree on it, more than T lie.
    """
    return answers - shape.threshold - corrected >= shape.privacy


def standing_shape(members: int = 4, privacy: int = 1) -> Shape:
    """Return the shape of a standing committee of 3 to 9 organisations: packing 1, so R = T + 1 < m."""
    if not (3 <= members <= 9 and 1 <= privacy <= members - 2):
        raise MisuseError(
            f"a standing committee has {members} members and T = {privacy}; 3 to 9 members and T from 1 to "
            "members - 2 were expected",
            rule=Rule.COMMITTEE_SHAPE,
        )
    return Shape(members, privacy, 1, (members - privacy - 1) // 2)


def require_standing(shape: Shape) -> None:
    """Check that a standing committee has one of the shapes of `standing_shape`; ServerError otherwise."""
    try:
        expected = standing_shape(shape.members, shape.privacy)
    except MisuseError as error:
        raise ServerError(str(error), rule=Rule.COMMITTEE_SHAPE) from None
    if shape != expected:
        _refuse(f"{shape} for a standing committee; {expected} was expected")


def bands(sizes: Sequence[int], corrupt: int, lost: float) -> tuple[Band, ...]:
    """Return the least shape for each band of roster sizes: (400, 600, 900) gives 400..599 and 600..900.

    No end of a band is worse in everything. At its smallest roster, K is the largest share: c and e are taken
    there. At its largest, the draw varies most: a is taken there, with the lost rounded up, since
    floor(lost * V) / V varies within the band. The shapes are valid for fewer than `corrupt` as well.

    Raises:
        MisuseError: The sizes do not ascend, or some band has no committee.
    """
    if len(sizes) < 2 or any(lower >= upper for lower, upper in pairwise(sizes)):
        raise MisuseError(
            f"sizes are {list(sizes)}; two or more, ascending, were expected", rule=Rule.ARGUMENT
        )
    ends = [*(size - 1 for size in sizes[1:-1]), sizes[-1]]
    return tuple(
        Band(lower, upper, choose_shape(lower, corrupt, lost, largest=upper))
        for lower, upper in zip(sizes[:-1], ends, strict=True)
    )


def shape_for(size_bands: Sequence[Band], volunteers: int) -> Shape:
    """Return the shape for a roster of this size; ServerError when the manifest's bands do not hold it."""
    for band in size_bands:
        if band.least_volunteers <= volunteers <= band.most_volunteers:
            return band.shape
    listed = (
        ", ".join(f"{band.least_volunteers:,}..{band.most_volunteers:,}" for band in size_bands) or "none"
    )
    raise ServerError(
        f"the roster has {volunteers:,} volunteers; the manifest's bands are {listed}",
        rule=Rule.COMMITTEE_SHAPE,
    )


def _wrong_sums(volunteers: int, corrupt: int, members: int) -> int:
    """Return e = ceil(K / V * m)."""
    return -(-min(corrupt, volunteers) * members // volunteers)


def _check_counts(volunteers: int, corrupt: int, lost: float) -> None:
    if volunteers < 1 or corrupt < 0 or not 0 <= lost < 1:
        raise MisuseError(
            f"volunteers={volunteers}, corrupt={corrupt} and lost={lost} were given; volunteers >= 1, "
            "corrupt >= 0 and 0 <= lost < 1 were expected",
            rule=Rule.ARGUMENT,
        )


def _refuse(why: str) -> NoReturn:
    raise ServerError(f"the committee's shape is too weak: {why}", rule=Rule.COMMITTEE_SHAPE)
