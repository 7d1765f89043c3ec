"""Rounds of an audit: integer vectors in, their sum out.

Messages are the protocol's: each vector is dealt and padded by a `Contributor`, the set is signed and logged,
and four standing decryptors check it and open the sum. `plain_sum` is the same sum without messages, for
builds that play too many rounds to seal each vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from covey_privacy.secagg.field import Elements
from covey_privacy.secagg.ideal_sum import ideal_sum
from covey_privacy.secagg.shape import standing_shape
from covey_privacy.secagg.terms import RoundTerms
from covey_simulations.devices.phone import Remembering
from covey_simulations.scenarios.in_process_round import Issuer, Players, Setting, new_issuers

STANDING = standing_shape(4)


def opened_sum(vectors: Sequence[Elements]) -> Elements:
    """Return the sum of vectors, int64 [length] each, that a round's decryptors open."""
    setting = Setting(len(vectors), len(vectors[0]), STANDING)
    return Players(setting, _issuers(), verify=Remembering()).add_up(vectors).vector


def plain_sum(vectors: Sequence[Elements]) -> Elements:
    """Return the same sum as `opened_sum`, from the vectors themselves."""
    return ideal_sum(_terms(len(vectors[0])), vectors).vector


@cache
def _issuers() -> tuple[Issuer, Issuer]:
    """Return the issuers of every round: making a round key takes longer than a round."""
    return new_issuers()


@cache
def _terms(length: int) -> RoundTerms:
    return Players(Setting(1, length, STANDING), _issuers()).info.terms
