import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from covey_models import QUERIES, SEGMENTS, LogBins, ModelError

Q1, Q20 = QUERIES["q1"], QUERIES["q20"]
number = st.none() | st.floats(0, 1e9)
people = st.fixed_dictionaries(
    {
        "recency_days": number,
        "orders": number,
        "mean_order_minor": number,
        "segment": st.none() | st.sampled_from(SEGMENTS),
    }
)


def total(query, crowd):
    return sum((query.contribute(person) for person in crowd), np.zeros(query.length))


@pytest.mark.parametrize("query", QUERIES.values(), ids=list(QUERIES))
@given(facts=people)
def test_no_contribution_is_longer_than_the_declared_norm(query, facts):
    vector = query.contribute(facts)
    assert vector.shape == (query.length,)
    assert np.linalg.norm(vector) <= query.norm * (1 + 1e-12)


def test_lengths_and_norms():
    assert (Q1.length, Q1.norm) == (8, 1.0)
    assert (Q20.length, Q20.norm) == (96, math.sqrt(3))


@pytest.mark.parametrize("query", QUERIES.values(), ids=list(QUERIES))
def test_a_device_with_nothing_to_say_adds_zeros(query):
    assert not query.contribute({}).any()
    assert not query.contribute(dict.fromkeys(["segment", "recency_days", "orders"])).any()


def test_a_device_that_knows_one_fact_adds_that_one():
    assert Q20.contribute({"orders": 3}).sum() == 1
    assert Q20.contribute({"orders": 3})[32:64].sum() == 1


def test_the_segments_stand_in_their_order():
    for place, segment in enumerate(SEGMENTS):
        assert Q1.contribute({"segment": segment})[place] == 1


@pytest.mark.parametrize("bad", ["Champions", "", 3.0])
def test_unknown_segments_are_refused(bad):
    with pytest.raises(ModelError):
        Q1.contribute({"segment": bad})


@pytest.mark.parametrize("bad", [math.nan, math.inf, "12"])
def test_facts_that_are_no_finite_numbers_are_refused(bad):
    with pytest.raises(ModelError):
        Q20.contribute({"recency_days": 1, "orders": bad, "mean_order_minor": 100})


def test_segment_counts_are_those_of_the_crowd_and_small_cells_are_suppressed():
    crowd = [{"segment": "important_value"}] * 300 + [{"segment": "general_keep"}] * 49
    released = Q1.release(total(Q1, crowd), sd=0.0)
    assert released == {segment: 300 if segment == "important_value" else None for segment in SEGMENTS}
    assert list(released) == list(SEGMENTS)


@pytest.mark.parametrize(("sd", "k_min", "least"), [(0.0, 50, 50), (40.0, 50, 120), (40.0, 200, 200)])
def test_cells_below_k_min_or_three_deviations_are_suppressed(sd, k_min, least):
    counts = np.array([least, least - 1, 0, 0, 0, 0, 0, 0], float)
    released = list(Q1.release(counts, sd, k_min).values())
    assert released[:2] == [least, None]


def test_medians_are_those_of_the_crowd():
    crowd = [{"recency_days": 30, "orders": 4, "mean_order_minor": 5000}] * 200
    crowd += [{"recency_days": 300, "orders": 50, "mean_order_minor": 90_000}] * 100
    released = Q20.release(total(Q20, crowd), sd=0.0)
    assert released["recency"] == pytest.approx(30, rel=0.22)
    assert released["frequency"] == pytest.approx(4, rel=0.26)
    assert released["monetary"] == pytest.approx(5000, rel=0.26)
    assert [cell for cell in released["histograms"]["recency"] if cell] == [200, 100]


def test_medians_of_a_crowd_that_noise_would_hide_are_not_released():
    crowd = [{"recency_days": 30, "orders": 4, "mean_order_minor": 5000}] * 200
    quiet, loud = Q20.release(total(Q20, crowd), sd=11.0), Q20.release(total(Q20, crowd), sd=12.0)
    assert 3 * 11 * math.sqrt(32) < 200 < 3 * 12 * math.sqrt(32)
    assert quiet["recency"] is not None
    assert (loud["recency"], loud["frequency"], loud["monetary"]) == (None, None, None)


def test_medians_of_fewer_than_k_min_are_not_released():
    facts = {"recency_days": 30, "orders": 4, "mean_order_minor": 5000}
    assert Q20.release(total(Q20, [facts] * 50), sd=0.0)["recency"] is None
    assert Q20.release(total(Q20, [facts] * 51), sd=0.0)["recency"] is not None


@pytest.mark.parametrize("query", QUERIES.values(), ids=list(QUERIES))
def test_releases_are_plain_json(query):
    released = query.release(np.linspace(0, 500, query.length), sd=1.0)
    assert json.loads(json.dumps(released, allow_nan=False)) == released


@pytest.mark.parametrize("query", QUERIES.values(), ids=list(QUERIES))
def test_totals_of_another_length_are_refused(query):
    with pytest.raises(ModelError, match="shape"):
        query.release(np.zeros(query.length + 1), sd=1.0)


@pytest.mark.parametrize(
    "change",
    [
        {"id": "q21"},
        {"english": "Nothing."},
        {"chinese": "无"},
        {"purposes": frozenset({"analytics"})},
        {"bins": {**Q20.bins, "recency": ("recency_days", LogBins(1, 401))}},
        {"bins": dict(reversed(Q20.bins.items()))},
    ],
)
def test_the_digest_names_every_public_parameter(change):
    assert len(Q20.digest()) == 32
    assert dataclasses.replace(Q20).digest() == Q20.digest()
    assert dataclasses.replace(Q20, **change).digest() != Q20.digest()


def test_the_digests_do_not_change_unnoticed():
    assert Q1.digest().hex() == "b0e0d4b7609ac38305a2cf6955baec980a860593fbd147f5b9e171e3d58ed688"
    assert Q20.digest().hex() == "f33465afc98b89f1ed9b331cbdc194e96b80e2f4105de0e029ef1d749909ed90"


@pytest.mark.parametrize("query", QUERIES.values(), ids=list(QUERIES))
def test_every_query_says_what_it_asks_and_needs_its_inputs_purposes(query):
    assert query.purpose == "analytics"
    assert query.purposes == {"analytics", "personalize"}
    assert "adds 1" in query.english
    assert "加 1" in query.chinese
