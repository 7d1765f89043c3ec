"""Bounds on random numbers of phones, exceeded with a chance of at most 2^-bits.

They are computed with integers, so that every platform decides alike, and shares count as they are written in
decimal:

    corrupt_phones(gamma=0.05, issued=1000)                 # K = 50 of the phones with tickets
    corrupt_bound(volunteers=900, corrupt=50, members=108)  # c = 25: more are corrupt with chance <= 2^-40
    answer_bound(volunteers=900, lost=0.3, members=108)     # a = 54: fewer answer with chance <= 2^-20
"""

from __future__ import annotations

from fractions import Fraction
from math import comb, floor, inf, log2

from covey_privacy.errors import MisuseError
from covey_privacy.protocol_rules import Rule

SECRECY_BITS = 40
LIVENESS_BITS = 20


def corrupt_phones(gamma: float, issued: int, sample: float = 1.0) -> int:
    """Return K, how many of the phones that were issued tickets may be corrupt: floor(gamma * issued).

    With a share `sample` of the round keys admitted, it is the least number that the corrupt among them,
    Binomial(floor(gamma * issued), sample), exceed with a chance of at most 2^-40.
    """
    if not (0 <= gamma < 1 and issued >= 0 and 0 < sample <= 1):
        raise MisuseError(
            f"gamma={gamma}, issued={issued} and sample={sample} were given; 0 <= gamma < 1, issued >= 0 and "
            "0 < sample <= 1 were expected",
            rule=Rule.ARGUMENT,
        )
    corrupt, chance = floor(exact_share(gamma) * issued), exact_share(sample)
    if chance == 1:
        return corrupt
    odds, mode = chance / (1 - chance), int((corrupt + 1) * chance)
    upward, downward = _weights(corrupt, mode, odds), _weights(corrupt, corrupt - mode, 1 / odds)
    limit, above = sum(upward + downward[1:]) >> SECRECY_BITS, upward.pop()
    while above <= limit:
        above += upward.pop()
    return mode + len(upward)


def corrupt_bound(volunteers: int, corrupt: int, members: int, bits: int = SECRECY_BITS) -> int:
    """Return c, the least number that the corrupt among the members exceed with a chance of at most 2^-bits.

    The members are drawn from the volunteers without replacement (hypergeometric distribution); a committee
    larger than the roster is the roster.
    """
    drawn, marked = min(members, volunteers), min(corrupt, volunteers)
    limit = comb(volunteers, drawn) >> bits
    # `ways` to draw x corrupt and `above` to draw more, for x from the greatest downwards.
    x, above = min(marked, drawn), 0
    ways = comb(marked, x) * comb(volunteers - marked, drawn - x)
    while above + ways <= limit:
        above += ways
        ways = ways * x * (volunteers - marked - drawn + x) // ((marked - x + 1) * (drawn - x + 1))
        x -= 1
    return x


def answer_bound(volunteers: int, lost: float, members: int, bits: int = LIVENESS_BITS) -> int:
    """Return a, the greatest number such that fewer members answer with a chance of at most 2^-bits.

    floor(lost * volunteers) of the volunteers do not answer.
    """
    missing = floor(exact_share(lost) * volunteers)
    return min(members, volunteers) - corrupt_bound(volunteers, missing, members, bits)


def log2_chance(volunteers: int, marked: int, members: int, bound: int) -> float:
    """Return log2 of the chance that more than `bound` of the members are marked; -inf where none is."""
    drawn = range(bound + 1, min(marked, members) + 1)
    ways = sum(comb(marked, x) * comb(volunteers - marked, members - x) for x in drawn)
    return log2(ways) - log2(comb(volunteers, members)) if ways else -inf


def exact_share(share: float) -> Fraction:
    """Return a share as it is written in decimal, so that floor(0.29 * 100) is 29 and not 28."""
    return Fraction(str(float(share)))


def _weights(trials: int, first: int, odds: Fraction) -> list[int]:
    """Return binomial weights of first..trials in units of 2^-256 of the first's, until they are below 1."""
    weights = [1 << 256]
    for x in range(first, trials):
        if not weights[-1]:
            break
        weights.append(weights[-1] * (trials - x) * odds.numerator // ((x + 1) * odds.denominator))
    return weights
