"""What a drawn committee costs and how likely it fails, before a round is planned.

`covey protocol parameters` prints it. Bytes are those of the fields in docs/protocol.md, without the
manifest, framing and log proofs. Seconds are estimates from the prototype's measurements, not of this code.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, inf

from covey_privacy.errors import MisuseError
from covey_privacy.protocol_rules import Rule
from covey_privacy.secagg.lattice import estimate_pad
from covey_privacy.secagg.shape import RING_SIZE, Shape, choose_shape
from covey_privacy.secagg.tail_bounds import answer_bound, corrupt_phones, exact_share, log2_chance
from covey_privacy.secagg.terms import LEAST_POOL

TICKET = 32 + 32 + 256
"""Round key, prefix, RSA-2048 signature."""
MESSAGE = TICKET + 32 + 64
"""A message's ticket, salt and signature."""
VOLUNTEER = TICKET + 32 + 64
"""A volunteer's ticket, box key and signature."""
LEAF = 128
CHECKS = 3
"""Blinding polynomials, and values of a proof for each decryptor."""
MOST_LENGTH = 2**24
MOST_COHORT = 10_000
"""Phones that one committee serves."""


@dataclass(frozen=True, slots=True)
class Chances:
    """Chances that a committee fails its plan, as log2; None for what cannot happen.

    `corrupt_exceed`: more decryptors than T - 1 are corrupt. `answers_miss`: fewer answer than R + 2e, so
    that e wrong sums are not corrected. `answers_below_threshold`: fewer than R, which ends the round.
    `integrity_unproved`: fewer than R + T, so that even without a wrong sum the evidence says "unproved".
    """

    corrupt_exceed: float | None
    answers_miss: float | None
    answers_below_threshold: float | None
    integrity_unproved: float | None


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes of one phone, and of one decryptor for all issued phones."""

    phone_up: int
    phone_down: int
    phone_down_with_tickets: int
    decryptor_down: int


@dataclass(frozen=True, slots=True)
class EstimatedSeconds:
    """Seconds on one core, from the prototype's measurements."""

    phone: float
    phone_tickets: float
    decryptor: float
    coordinator: float


@dataclass(frozen=True, slots=True)
class CommitteePlan:
    """A drawn committee for a round that issued tickets to `issued` phones.

    `answers` is a, the number of answers that are sure. `lattice_bits` is None for a short vector, whose pad
    rests on X25519 and AES alone.
    """

    issued: int
    volunteers: int
    gamma: float
    lost: float
    length: int
    corrupt: int
    shape: Shape
    answers: int
    chances: Chances
    bytes: Traffic
    estimated_seconds: EstimatedSeconds
    lattice_bits: float | None


def plan_committee(
    issued: int, volunteers: int, gamma: float = 0.05, lost: float = 0.5, length: int = 1024
) -> CommitteePlan:
    """Return the smallest drawn committee, its chances and its costs.

    Args:
        issued: Phones that were issued tickets.
        volunteers: Size of the signed roster.
        gamma: Share of the issued phones that may be corrupt.
        lost: Share of the volunteers that do not answer.
        length: Entries of a vector.

    Raises:
        MisuseError: A number is out of its bounds (rule `argument`), or no committee is both safe and live
            (rule `committee-shape`).
    """
    if not (1 <= volunteers <= issued and 1 <= length <= MOST_LENGTH):
        raise MisuseError(
            f"{issued:,} issued, {volunteers:,} volunteers and length {length:,} were given; "
            f"1 <= volunteers <= issued and 1 <= length <= {MOST_LENGTH:,} were expected",
            rule=Rule.ARGUMENT,
        )
    corrupt = corrupt_phones(gamma, issued)
    shape = choose_shape(volunteers, corrupt, lost)
    return CommitteePlan(
        issued,
        volunteers,
        gamma,
        lost,
        length,
        corrupt,
        shape,
        answer_bound(volunteers, lost, shape.members),
        _chances(shape, volunteers, corrupt, lost),
        traffic(shape, length, issued),
        estimate_seconds(shape, length, issued),
        estimate_pad().core_svp_bits if length > RING_SIZE else None,
    )


def traffic(shape: Shape, length: int, phones: int) -> Traffic:
    """Return what a drawn committee's round sends, by the sizes of docs/protocol.md.

    A long vector's entries take 3 bytes (d = 7), a short one's 4.
    """
    vector = length * (3 if length > RING_SIZE else 4)
    box = (shape.chunks(length) + CHECKS) * 4 + 16
    proof = CHECKS * shape.threshold * 4
    roster = 4 + 32 + 64  # size, root, signature
    committee = roster + 32 + 64  # nonce, signature over the draw
    return Traffic(
        phone_up=MESSAGE + vector + (shape.members - shape.threshold) * box + proof,
        phone_down=committee + shape.members * 64,
        phone_down_with_tickets=committee + shape.members * VOLUNTEER,
        decryptor_down=phones * (LEAF + CHECKS * 4 + box),
    )


def estimate_seconds(shape: Shape, length: int, phones: int) -> EstimatedSeconds:
    """Return estimates: lines through the prototype's measurements, m = 55 to 113, L = 1,024 to 100,000."""
    long = 0.4e-3 + 65e-9 * length if length > RING_SIZE else 0.0
    return EstimatedSeconds(
        phone=0.6e-3 + 30e-6 * shape.members + long,
        phone_tickets=80e-6 * shape.members,
        decryptor=137e-6 * phones,
        coordinator=(40e-6 + 3.7e-9 * length) * phones,
    )


def describe_plan(plan: CommitteePlan) -> list[str]:
    """Return the plan as lines of text."""
    shape, chances, size, seconds = plan.shape, plan.chances, plan.bytes, plan.estimated_seconds
    needed, proved = shape.threshold + 2 * shape.corrects, shape.threshold + shape.privacy
    lines = [
        f"committee   m = {shape.members} of {plan.volunteers:,} volunteers: any T = {shape.privacy} shares "
        f"tell nothing, R = {shape.threshold} open, e = {shape.corrects} wrong sums are corrected",
        f"corrupt     {plan.corrupt:,} of {plan.issued:,} phones; more than T - 1 = {shape.privacy - 1} "
        f"decryptors: {_power(chances.corrupt_exceed)}",
        f"answers     {plan.answers} are sure when {plan.lost:.0%} are lost; fewer than R + 2e = {needed}: "
        f"{_power(chances.answers_miss)}; fewer than R, which ends the round: "
        f"{_power(chances.answers_below_threshold)}",
        f"integrity   proved from R + T = {proved} answers on, one more for each wrong sum; fewer than "
        f"{proved}: {_power(chances.integrity_unproved)}",
        f"phone       sends {_amount(size.phone_up)}, receives {_amount(size.phone_down)} "
        f"({_amount(size.phone_down_with_tickets)} with the decryptors' tickets)",
        f"decryptor   receives {_amount(size.decryptor_down)} for {plan.issued:,} phones",
        f"estimates   from a prototype on one core: phone {seconds.phone * 1000:.1f} ms and "
        f"{seconds.phone_tickets * 1000:.1f} ms for tickets, decryptor {seconds.decryptor:.2f} s, "
        f"coordinator {seconds.coordinator:.2f} s",
    ]
    if plan.lattice_bits is None:
        lines.append("pad         short vector: X25519 and AES alone, no lattice")
    else:
        lines.append(
            f"pad         long vector: ring LWE, {plan.lattice_bits:.0f} bits by core-SVP for one phone"
        )
    if plan.volunteers < LEAST_POOL:
        lines.append(
            f"note        production phones refuse a drawn committee alone below {LEAST_POOL} volunteers"
        )
    if plan.issued > MOST_COHORT:
        lines.append(f"note        one committee serves at most {MOST_COHORT:,} phones; sample or split them")
    return lines


def _chances(shape: Shape, volunteers: int, corrupt: int, lost: float) -> Chances:
    """Return the chances; losses are drawn as the corrupt are, and exceed m - x where fewer than x answer."""
    missing = floor(exact_share(lost) * volunteers)

    def more(marked: int, bound: int) -> float | None:
        chance = log2_chance(volunteers, marked, shape.members, bound)
        return None if chance == -inf else chance

    def fewer_answers(than: int) -> float | None:
        return more(missing, shape.members - than)

    return Chances(
        more(corrupt, shape.privacy - 1),
        fewer_answers(shape.threshold + 2 * shape.corrects),
        fewer_answers(shape.threshold),
        fewer_answers(shape.threshold + shape.privacy),
    )


def _power(log2: float | None) -> str:
    return "never" if log2 is None else f"2^{log2:.1f}"


def _amount(count: int) -> str:
    return f"{count / 1e6:.2f} MB" if count >= 1e6 else f"{count / 1000:.1f} kB"
