"""Whole rounds of every kind: sums are exact, or within the stated error, or nothing is opened."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from secagg_rounds import SETTINGS, STANDING, contribute, seats, vectors

from covey_privacy.errors import AbortError
from covey_privacy.protocol_rules import Rule
from covey_privacy.secagg.field import Q
from covey_privacy.secagg.shape import choose_shape
from covey_privacy.secagg.terms import Kind
from covey_simulations.scenarios.in_process_round import Players


@pytest.mark.parametrize("kind", sorted(SETTINGS))
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_a_short_sum_is_the_plain_sum_bit_for_bit(issuers, kind, data):
    """For any number of phones, length, set of lost decryptors and order of messages."""
    phones = data.draw(st.integers(4, 20), label="phones")
    length = data.draw(st.sampled_from((1, 2, 15, 16, 17, 100, 2047, 2048)), label="length")
    bound = data.draw(st.sampled_from((1, 1000, Q // (2 * phones))), label="bound")
    played = Players(dataclasses.replace(SETTINGS[kind], phones=phones, length=length), issuers)
    played.seat()
    given_vectors = vectors(phones, length, bound, data.draw(st.integers(0, 99)))
    made = [
        contributor.contribute(played.file, vector)
        for contributor, vector in zip(played.contributors(), given_vectors, strict=True)
    ]
    for message in data.draw(st.permutations(made)):
        played.collector.add(message)
    gone = [_lost(played, each, data) for each in (Kind.STANDING, Kind.DRAWN)]
    result = played.finish(absent_at_open=gone[0] + gone[1])
    assert (result.vector == given_vectors.sum(axis=0)).all()
    assert result.members == phones
    assert result.error_variance == 0


def _lost(played: Players, kind: Kind, data) -> list[tuple[Kind, int]]:
    """Draw decryptors who do not come back, as many as may be missing."""
    of_kind = data.draw(st.permutations(seats(played, kind)))
    spare = len(of_kind) - played.aggregator.committees.of_kind(kind).shape.threshold if of_kind else 0
    return of_kind[: data.draw(st.integers(0, spare), label=f"lost {kind.name}")] if of_kind else []


@pytest.mark.parametrize(("drop", "phones"), [(0, 12), (7, 13), (8, 12)])
@pytest.mark.parametrize("length", [2049, 5000])
def test_a_long_sum_is_within_the_stated_error(players, kind, drop, phones, length):
    played = players(kind, phones=phones, length=length, drop=drop, steps=1e6)
    given_vectors = vectors(phones, length, 10_000)
    contribute(played, given_vectors)
    result = played.finish()
    error = result.vector - given_vectors.sum(axis=0)
    assert abs(error.var() / result.error_variance - 1) < 6 * (2 / length) ** 0.5
    assert abs(error.mean()) < 6 * (result.error_variance / length) ** 0.5
    assert abs(error).max() < 7 * result.error_variance**0.5


def test_sums_near_half_of_q_are_exact(players, kind):
    played = players(kind, phones=4, length=3)
    most = Q // 2
    given_vectors = np.array([[most, -most, 0], [-5, 5, 1], [3, -3, -1], [2, -2, 0]])
    contribute(played, given_vectors)
    assert (played.finish().vector == given_vectors.sum(axis=0)).all()


@pytest.mark.parametrize("missing", range(4))
def test_a_standing_committee_opens_with_three_of_four(players, missing):
    played = players("standing")
    given_vectors = vectors(12, 40)
    contribute(played, given_vectors)
    result = played.finish(absent_at_open=[(Kind.STANDING, missing + 1)])
    assert (result.vector == given_vectors.sum(axis=0)).all()
    assert result.integrity_proved


def test_r_answers_alone_open_and_say_that_integrity_is_unproved(players):
    played = players("standing")
    given_vectors = vectors(12, 40)
    contribute(played, given_vectors)
    gone = [(Kind.STANDING, number) for number in range(STANDING.threshold + 1, STANDING.members + 1)]
    result = played.finish(absent_at_check=gone)
    assert (result.vector == given_vectors.sum(axis=0)).all()
    assert not result.integrity_proved


def test_too_few_answers_open_nothing(players, kind):
    played = players(kind)
    contribute(played, vectors(12, 40))
    first = played.aggregator.committees.each[-1]
    gone = [(first.kind, number) for number in range(first.shape.threshold, first.shape.members + 1)]
    with pytest.raises(AbortError) as refused:
        played.finish(absent_at_open=gone)
    assert refused.value.rule == Rule.ENOUGH_SUMS


def test_phones_vanish_and_half_of_the_decryptors_never_return(issuers):
    """30 % of the phones vanish after volunteering; every phone that sent is counted."""
    shape = choose_shape(90, 2, 0.5)
    setting = dataclasses.replace(
        SETTINGS["drawn"], phones=90, volunteers=90, drawn=shape, issued=40, gamma=0.05, lost=0.5
    )
    played = Players(setting, issuers)
    played.seat()
    given_vectors = vectors(90, 40)
    sent = list(zip(played.contributors(), given_vectors, strict=True))[:63]
    for contributor, vector in sent:
        played.collector.add(contributor.contribute(played.file, vector))
    lost = seats(played, Kind.DRAWN)[: shape.members - shape.needed_answers]
    assert len(lost) >= 0.4 * shape.members
    result = played.finish(absent_at_check=lost)
    assert result.members == 63
    assert (result.vector == given_vectors[:63].sum(axis=0)).all()


def test_the_same_vector_twice_makes_two_messages_that_share_nothing(players, kind):
    played = players(kind, phones=2, length=500)
    one, two = (each.contribute(played.file, np.zeros(500, np.int64)) for each in played.contributors())
    same = sum(a == b for a, b in zip(one, two, strict=True))
    assert same < len(one) / 20


@pytest.mark.parametrize("length", [1, 100, 2047, 2048, 2049])
def test_a_packing_that_does_not_divide_the_seed(issuers, length):
    shape = choose_shape(40, 2, 0.1, packing=17)
    setting = dataclasses.replace(SETTINGS["drawn"], drawn=shape, phones=4, length=length, steps=1e6)
    played = Players(setting, issuers)
    played.seat()
    given_vectors = vectors(4, length)
    contribute(played, given_vectors)
    result = played.finish()
    assert abs(result.vector - given_vectors.sum(axis=0)).max() <= 8 * result.error_variance**0.5


def test_forty_nine_blocks(players):
    length = 49 * 2048
    played = players("standing", phones=3, length=length, drop=7, steps=1e6)
    given_vectors = vectors(3, length)
    contribute(played, given_vectors)
    result = played.finish()
    error = result.vector - given_vectors.sum(axis=0)
    assert abs(error).max() <= 8 * result.error_variance**0.5


@given(honest=st.integers(1, 5000), issued=st.integers(0, 50_000), gamma=st.floats(0, 0.3))
def test_a_set_of_the_least_size_keeps_all_the_noise(issuers, honest, issued, gamma):
    """Without K corrupt members and oneself, `honest` noise shares are left: the whole variance."""
    played = Players(dataclasses.replace(SETTINGS["standing"], phones=1, honest=honest), issuers)
    terms = dataclasses.replace(played.info.terms, issued=issued, gamma=gamma)
    assert terms.least_set - terms.corrupt - 1 == honest
    assert terms.corrupt >= int(gamma * issued) - 1
