"""The ideal sum, for research: what the protocol computes, without its keys, committees and messages.

Short vectors are added mod q. Long ones get the protocol's errors and its rounding, so that the error of the
sum has the same distribution. `in_process.Players.add_up` is the same sum, played by every party.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from covey_privacy.secagg import pads
from covey_privacy.secagg.aggregator import Result
from covey_privacy.secagg.field import Elements, Q, centred, uniform_elements
from covey_privacy.secagg.terms import RoundTerms
from covey_privacy.tickets import Random


def ideal_sum(terms: RoundTerms, vectors: Iterable[Elements], random: Random = os.urandom) -> Result:
    """Return the sum of vectors as the protocol would open it.

    Args:
        vectors: signed integers, noise included, each of shape (terms.length,).
        random: gives the errors of long vectors, and where their entries stand when they are rounded.
    """
    total = pads.VectorSum(terms.length, terms.drop)
    offset = uniform_elements(random(32), terms.length)
    for vector in vectors:
        padded = vector + offset
        if pads.is_long(terms.length):
            padded += pads.errors(random(32), terms.length)
        total.add(pads.pack(padded % Q, terms.drop))
    members = total.members
    variance = pads.error_variance(members, terms.drop) if pads.is_long(terms.length) else 0.0
    vector = centred((total.total() - members * offset) % Q)
    return Result(
        vector, members, (), dict.fromkeys(terms.kinds, 0), integrity_proved=True, error_variance=variance
    )
