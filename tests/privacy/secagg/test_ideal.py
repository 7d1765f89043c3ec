"""The ideal sum is the protocol's: exact for short vectors, and with the same error for long ones."""

from __future__ import annotations

import dataclasses

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from secagg_rounds import SETTINGS, vectors

from covey_privacy.secagg.field import Q
from covey_privacy.secagg.ideal_sum import ideal_sum
from covey_simulations.scenarios.in_process_round import Players


@settings(max_examples=20, deadline=None)
@given(
    phones=st.integers(1, 12),
    length=st.sampled_from((1, 100, 2048)),
    bound=st.sampled_from((1, 1000, Q // 24)),
    seed=st.integers(0, 99),
)
def test_short_sums_are_the_integers_and_the_protocols(issuers, phones, length, bound, seed):
    given_vectors = vectors(phones, length, bound, seed)
    setting = dataclasses.replace(SETTINGS["standing"], phones=phones, length=length, honest=1)
    played = Players(setting, issuers)
    ideal = ideal_sum(played.info.terms, given_vectors)
    assert (ideal.vector == given_vectors.sum(axis=0)).all()
    if phones >= played.info.terms.least_set:
        real = played.add_up(given_vectors)
        assert (real.vector == ideal.vector).all()
        assert real.members == ideal.members


def test_long_sums_have_the_protocols_error(issuers):
    setting = dataclasses.replace(SETTINGS["standing"], length=20_000, drop=7, steps=1e6)
    given_vectors = vectors(12, 20_000, 10_000)
    played = Players(setting, issuers)
    results = [ideal_sum(played.info.terms, given_vectors), played.add_up(given_vectors)]
    for result in results:
        error = result.vector - given_vectors.sum(axis=0)
        assert abs(np.var(error) / result.error_variance - 1) < 0.06
        assert abs(error.mean()) < 6 * (result.error_variance / 20_000) ** 0.5
