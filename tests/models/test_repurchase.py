import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from covey_models import repurchase

POPULARITY = np.array([0.5, 0.3, 0.2])
AGES = st.lists(st.integers(0, 400), max_size=30)


def table(*ages):
    days = np.array([len(each) for each in ages], dtype=float)
    return days, np.array([repurchase.faded(each) for each in ages]), POPULARITY


@given(st.tuples(AGES, AGES, AGES))
def test_the_parts_add_up_and_keep_their_signs(ages):
    parts = repurchase.parts(*table(*ages))
    assert parts.frequency + parts.recency + parts.popularity == pytest.approx(
        repurchase.score(*table(*ages)), abs=1e-9
    )
    assert (parts.frequency >= 0).all()
    assert (parts.recency <= 1e-12).all()


def test_a_purchase_counts_half_after_its_half_life():
    assert repurchase.faded([]) == 0
    assert repurchase.faded([0]) == 1
    assert repurchase.faded([0, 120, 240]) == 1.75


def test_the_score_is_what_is_written():
    scores = repurchase.score(*table([0, 120], [], [240]))
    assert scores == pytest.approx(
        [
            math.log(2.5) + 0.1 * math.log(1.5),
            0.1 * math.log(0.9),
            math.log(1.25) + 0.1 * math.log(0.6),
        ]
    )


def test_what_is_bought_today_lacks_nothing_for_recency():
    assert repurchase.parts(*table([0, 0], [], [0])).recency == pytest.approx([0, 0, 0])


def test_often_beats_seldom_lately_beats_long_ago_and_the_popular_breaks_ties():
    assert np.argmax(repurchase.score(*table([9], [9], [9, 9]))) == 2
    assert np.argmax(repurchase.score(*table([200], [90], [200]))) == 1
    assert np.argmax(repurchase.score(*table([9], [9], [9]))) == 0


def test_many_households_are_ranked_at_once():
    one, other = table([0], [3, 4], []), table([], [1], [2])
    both = repurchase.score(np.stack([one[0], other[0]]), np.stack([one[1], other[1]]), POPULARITY)
    assert both == pytest.approx(np.stack([repurchase.score(*one), repurchase.score(*other)]))
