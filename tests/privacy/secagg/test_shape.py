"""The shape of a committee: the rule's values, the bounds behind it, and what a phone refuses."""

import dataclasses
import functools
import math
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import binom, hypergeom

from covey_privacy import wire
from covey_privacy.errors import MisuseError, ServerError
from covey_privacy.protocol_rules import Rule
from covey_privacy.secagg.shape import (
    MOST_DRAWN,
    Band,
    Shape,
    answer_bound,
    bands,
    choose_shape,
    corrupt_bound,
    corrupt_phones,
    integrity_proved,
    require_shape,
    require_standing,
    shape_for,
    standing_shape,
)

PAGE = """
     1000   900  0.3  108/26/42
     1000   900  0.5  210/35/51
     1000   500  0.3  158/40/56
     1000   500  0.5  309/51/67
     2469  2222  0.3  118/29/45
     2469  2222  0.5  241/42/58
    10000  9000  0.3  123/31/47
    10000  9000  0.5  261/47/63
    10000  5000  0.3  210/57/73
    10000  5000  0.5  -
"""
"""Issued tickets, volunteers, lost, m/T/R at gamma 0.05: the values of docs/protocol.md."""

PROTOTYPE = """
     1000   900   50  0.3  108,26,42,6,54,25      161,31,47,9,87,30
     1000   900   50  0.5  210,35,51,12,75,34     296,41,57,17,115,40
     1000   500   50  0.3  158,40,56,16,88,39     217,45,61,22,128,44
     1000   500   50  0.5  309,51,67,31,129,50    355,51,67,36,154,50
     2469  2222  123  0.3  118,29,45,7,59,28      186,37,53,11,101,36
     2469  2222  123  0.5  241,42,58,14,86,41     369,53,69,21,143,52
     2469  1234  123  0.3  189,50,66,19,104,49    299,65,81,30,176,64
     2469  1234  123  0.5  469,84,100,47,194,83   -
    10000  9000  500  0.3  123,31,47,7,61,30      197,40,56,11,107,39
    10000  9000  500  0.5  261,47,63,15,93,46     423,62,78,24,164,61
    10000  5000  500  0.3  210,57,73,21,115,56    366,81,97,37,215,80
    10000  5000  500  0.5  -                      -
    57000 28500 2850  0.3  217,59,75,22,119,58    390,87,103,39,229,86
    57000 28500 2850  0.5  -                      -
"""
"""Issued tickets, V, K, lost, then m,T,R,e,a,c of the least committee, and of the least whose integrity is
proved at a answers: all that the prototype's shape.py prints."""


def rows(table):
    return [line.split() for line in table.strip().splitlines()]


def numbers(cell):
    return None if cell == "-" else tuple(map(int, cell.replace("/", ",").split(",")))


@pytest.mark.parametrize(("issued", "volunteers", "lost", "expected"), rows(PAGE))
def test_values_of_the_protocol_page(issued, volunteers, lost, expected):
    corrupt = corrupt_phones(0.05, int(issued))
    if expected == "-":
        with pytest.raises(MisuseError, match="both safe and live") as refused:
            choose_shape(int(volunteers), corrupt, float(lost))
        assert refused.value.rule is Rule.COMMITTEE_SHAPE
    else:
        shape = choose_shape(int(volunteers), corrupt, float(lost))
        assert (shape.members, shape.privacy, shape.threshold) == numbers(expected)
        assert shape.packing == 16


@pytest.mark.parametrize(("issued", "volunteers", "corrupt", "lost", "least", "proved"), rows(PROTOTYPE))
def test_values_of_the_prototype(issued, volunteers, corrupt, lost, least, proved):
    assert corrupt_phones(0.05, int(issued)) == int(corrupt)
    volunteers, corrupt, lost = int(volunteers), int(corrupt), float(lost)
    for integrity, expected in ((False, least), (True, proved)):
        assert searched(volunteers, corrupt, lost, integrity) == numbers(expected)
    if least != "-":
        m, privacy, _, corrects, *_ = numbers(least)
        assert choose_shape(volunteers, corrupt, lost) == Shape(m, privacy, 16, corrects)


def searched(volunteers, corrupt, lost, integrity):
    """The least committee, each tried in turn."""
    for m in range(18, min(volunteers, MOST_DRAWN) + 1):
        c, a = corrupt_bound(volunteers, corrupt, m), answer_bound(volunteers, lost, m)
        shape = Shape(m, c + 1, 16, -(-corrupt * m // volunteers))
        proved = integrity_proved(shape, a, shape.corrects)
        assert proved == (a - shape.threshold - shape.corrects > c)
        if a >= shape.needed_answers and (proved or not integrity):
            return m, c + 1, shape.threshold, shape.corrects, a, c
    return None


@functools.cache
def cached_corrupt_bound(*numbers):
    return corrupt_bound(*numbers)


@functools.cache
def cached_answer_bound(*numbers):
    return answer_bound(*numbers)


COMMITTEES = [
    line.split()
    for line in Path(__file__).with_name("committees.txt").read_text("utf-8").splitlines()
    if not line.startswith("#")
]


@pytest.mark.parametrize("population", [24, 400, 1000, 2469, 10_000, 57_000])
def test_the_bounds_reproduce_committees_of_other_rules(population):
    table = [row for row in COMMITTEES if int(row[3]) == population]
    assert len(table) == 12
    for rule, gamma, lost, _, *cells in table:
        for least_packing, cell in zip((1, 8, 16), cells, strict=True):
            found = other_rule(rule, float(gamma), float(lost), population, least_packing)
            assert found == numbers(cell), (rule, gamma, lost, least_packing)


def other_rule(rule, gamma, lost, population, least_packing):
    corrupt = corrupt_phones(gamma, population)
    for m in range(4, min(population, 600) + 1):
        c, a = cached_corrupt_bound(population, corrupt, m), cached_answer_bound(population, lost, m)
        privacy = max(c, (m + c) // 2) if rule == "keepers" else c
        errors = math.ceil(gamma * m)
        packing = a - 2 * errors - privacy
        if packing >= least_packing:
            return m, c, a, privacy, packing, errors
    return None


@given(
    st.integers(1, 60_000),
    st.floats(0, 1),
    st.floats(0, 0.95),
    st.integers(1, 400),
    st.sampled_from([10, 20, 40]),
)
@settings(max_examples=300, deadline=None)
def test_the_bounds_agree_with_scipy(volunteers, corrupt_share, lost, members, bits):
    members, corrupt = min(members, volunteers), int(corrupt_share * volunteers)
    c = corrupt_bound(volunteers, corrupt, members, bits)
    assert hypergeom.sf(c, volunteers, corrupt, members) <= 2.0**-bits * (1 + 1e-6)
    if c > 0:
        assert hypergeom.sf(c - 1, volunteers, corrupt, members) > 2.0**-bits * (1 - 1e-6)
    a = answer_bound(volunteers, lost, members, bits)
    answering = volunteers - math.floor(lost * volunteers)
    assume(abs(lost * volunteers - round(lost * volunteers)) > 1e-9)
    assert a == 0 or hypergeom.cdf(a - 1, volunteers, answering, members) <= 2.0**-bits * (1 + 1e-6)
    if a < members:
        assert hypergeom.cdf(a, volunteers, answering, members) > 2.0**-bits * (1 - 1e-6)


def test_a_committee_of_all_volunteers_has_every_corrupt_and_every_lost_one():
    for members in (50, 51, 1000):
        assert corrupt_bound(50, 7, members) == 7
        assert answer_bound(50, 0.3, members) == 35


@pytest.mark.parametrize(("lost", "volunteers", "answering"), [(0.3, 10, 7), (0.29, 100, 71), (0.1, 30, 27)])
def test_shares_count_as_they_are_written(lost, volunteers, answering):
    """In binary, 0.29 * 100 is 28.999... and (1 - 0.1) * 30 is 27.0."""
    assert answer_bound(volunteers, lost, volunteers) == answering
    assert corrupt_phones(lost, volunteers) == volunteers - answering


@given(
    st.integers(1, 400), st.integers(0, 120), st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.61]), st.integers(1, 20)
)
@settings(max_examples=150, deadline=None)
def test_the_search_finds_the_least_committee(volunteers, corrupt, lost, packing):
    """Held against the rule itself, with chances summed as fractions of all draws."""
    missing = int(lost * 100) * volunteers // 100

    def exceeded(marked, m, bits):
        ways = [math.comb(marked, x) * math.comb(volunteers - marked, m - x) for x in range(m + 1)]
        return next(x for x in range(m + 1) if sum(ways[x + 1 :]) << bits <= math.comb(volunteers, m))

    for m in range(1, min(volunteers, 130) + 1):
        privacy = exceeded(min(corrupt, volunteers), m, 40) + 1
        errors = math.ceil(min(corrupt, volunteers) / volunteers * m - 1e-9)
        answers = m - exceeded(missing, m, 20)
        if answers >= privacy + packing + max(2 * errors, 1):
            assert choose_shape(volunteers, corrupt, lost, packing) == Shape(m, privacy, packing, errors)
            return
    with pytest.raises(MisuseError, match="increase volunteers or plan for fewer losses"):
        choose_shape(volunteers, corrupt, lost, packing, most=130)


@pytest.mark.parametrize(
    ("numbers", "says"),
    [
        (
            (5000, 500, 0.5),
            "no committee of at most 600 of 5,000 volunteers is both safe and live at 500 corrupt",
        ),
        (
            (5000, 500, 0.5),
            "of 600, 245 answers are sure and 250 are needed; increase volunteers or plan for",
        ),
        ((10, 0, 0.0), "at least 18 are needed to carry 16 secrets"),
        ((500, 500, 0.3), "500 corrupt and 30% lost"),
        ((500, 9000, 0.3), "9,000 corrupt and 30% lost"),
    ],
)
def test_it_says_why_there_is_no_committee(numbers, says):
    with pytest.raises(MisuseError) as refused:
        choose_shape(*numbers)
    assert says in str(refused.value)
    assert refused.value.rule is Rule.COMMITTEE_SHAPE


@pytest.mark.parametrize("numbers", [(0, 0, 0.3), (9, -1, 0.3), (9, 0, 1.0), (9, 0, -0.1), (9, 0, math.nan)])
def test_numbers_out_of_bounds_are_a_misuse(numbers):
    with pytest.raises(MisuseError, match="were expected") as refused:
        choose_shape(*numbers)
    assert refused.value.rule is Rule.ARGUMENT


ACTUAL = [(900, 50, 0.3), (900, 50, 0.5), (500, 50, 0.3), (2222, 123, 0.3), (9000, 500, 0.3), (800, 0, 0.3)]


@pytest.mark.parametrize("actual", ACTUAL)
def test_a_phone_takes_the_chosen_shape_also_for_fewer_corrupt_and_fewer_lost(actual):
    volunteers, corrupt, lost = actual
    shape = choose_shape(*actual)
    require_shape(shape, *actual)
    require_shape(shape, volunteers, corrupt // 2, lost)
    require_shape(shape, volunteers, 0, lost / 2)


@given(st.sampled_from(ACTUAL), st.sampled_from(Shape.__slots__), st.data())
@settings(max_examples=200, deadline=None)
def test_a_phone_refuses_a_shape_that_is_weaker_in_any_field(actual, field, data):
    shape = choose_shape(*actual)
    value = getattr(shape, field)
    assume(value > 0)
    weaker = dataclasses.replace(shape, **{field: data.draw(st.integers(0, value - 1))})
    with pytest.raises(ServerError, match="too weak") as refused:
        require_shape(weaker, *actual)
    assert refused.value.rule is Rule.COMMITTEE_SHAPE


CHANGES = st.tuples(st.integers(-3, 120), st.integers(-2, 25), st.integers(-1, 2), st.integers(-1, 8))


@given(st.sampled_from(ACTUAL), CHANGES)
@settings(max_examples=200, deadline=None)
def test_a_phone_takes_exactly_what_meets_every_bound(actual, changes):
    volunteers, corrupt, lost = actual
    shape = choose_shape(*actual)
    fields = [max(old + change, 0) for old, change in zip(dataclasses.astuple(shape), changes, strict=True)]
    other = Shape(*fields)
    m, privacy, packing, corrects = fields
    meets = (
        1 <= m <= min(volunteers, MOST_DRAWN)
        and packing >= 16
        and hypergeom.sf(privacy - 1, volunteers, corrupt, m) <= 2.0**-40
        and corrects * volunteers >= corrupt * m
        and hypergeom.cdf(
            privacy + packing + max(2 * corrects, 1) - 1, volunteers, volunteers - int(lost * volunteers), m
        )
        <= 2.0**-20
    )
    if meets:
        require_shape(other, *actual)
    else:
        with pytest.raises(ServerError):
            require_shape(other, *actual)


@pytest.mark.parametrize(
    ("actual", "says"),
    [
        ((900, 60, 0.3), "26 shares tell nothing; 29 were expected for 60 corrupt phones"),
        ((850, 50, 0.3), "26 shares tell nothing; 27 were expected"),
        ((900, 50, 0.31), "54 answers needed; 52 are sure when 31% are lost"),
        ((100, 5, 0.3), "108 decryptors; 1 to 100 were expected of 100 volunteers"),
        ((0, 0, 0.3), "108 decryptors; 1 to 0 were expected of 0 volunteers"),
    ],
)
def test_a_phone_refuses_a_planned_shape_at_worse_actual_numbers(actual, says):
    with pytest.raises(ServerError) as refused:
        require_shape(choose_shape(900, 50, 0.3), *actual)
    assert says in str(refused.value)


def test_a_shape_of_absurd_size_is_refused_before_any_sum():
    most = 2**32 - 1
    with pytest.raises(ServerError, match=r"1 to 600 were expected"):
        require_shape(Shape(most, most, most, most), most, most, 0.5)


def test_integrity_takes_more_answers_than_liars_could_support():
    shape = choose_shape(900, 50, 0.3)
    assert [integrity_proved(shape, answers, 0) for answers in (67, 68)] == [False, True]
    assert [integrity_proved(shape, answers, 6) for answers in (73, 74)] == [False, True]
    standing = standing_shape()
    assert [integrity_proved(standing, answers, 0) for answers in (2, 3, 4)] == [False, True, True]
    assert [integrity_proved(standing, 4, corrected) for corrected in (0, 1)] == [True, True]


STANDING = [(m, t) for m in range(3, 10) for t in range(1, m - 1)]


def test_the_default_standing_committee():
    shape = standing_shape()
    assert (shape, shape.threshold) == (Shape(4, 1, 1, 1), 2)


@pytest.mark.parametrize(("members", "privacy"), STANDING)
def test_standing_committees(members, privacy):
    shape = standing_shape(members, privacy)
    require_standing(shape)
    assert shape.threshold == privacy + 1 < members
    assert shape.threshold + 2 * shape.corrects <= members < shape.threshold + 2 * shape.corrects + 2
    for field in Shape.__slots__:
        for change in (-1, 1):
            other = dataclasses.replace(shape, **{field: getattr(shape, field) + change})
            if other not in [standing_shape(*numbers) for numbers in STANDING]:
                with pytest.raises(ServerError) as refused:
                    require_standing(other)
                assert refused.value.rule is Rule.COMMITTEE_SHAPE


@pytest.mark.parametrize(("members", "privacy"), [(2, 1), (10, 1), (4, 0), (4, 3), (3, 2)])
def test_no_standing_committee(members, privacy):
    with pytest.raises(MisuseError, match="3 to 9 members"):
        standing_shape(members, privacy)
    with pytest.raises(ServerError, match="3 to 9 members"):
        require_standing(Shape(members, privacy, 1, 0))


@pytest.mark.parametrize(
    ("sizes", "corrupt", "lost"),
    [
        ((400, 500, 700, 900), 40, 0.3),
        ((500, 900), 50, 0.3),
        ((500, 650, 900), 50, 0.5),
        ((401, 777), 13, 0.37),
        ((2000, 2469), 123, 0.3),
        ((8000, 9001), 500, 0.45),
    ],
)
def test_a_bands_shape_is_strong_enough_for_every_size_in_it(sizes, corrupt, lost):
    found = bands(sizes, corrupt, lost)
    assert [found[0].least_volunteers, *(band.most_volunteers + 1 for band in found[:-1])] == [*sizes[:-1]]
    assert found[-1].most_volunteers == sizes[-1]
    for volunteers in range(sizes[0], sizes[-1] + 1):
        require_shape(shape_for(found, volunteers), volunteers, corrupt, lost)
        if volunteers % 97 == 0:
            require_shape(shape_for(found, volunteers), volunteers, corrupt // 3, lost)


def test_neither_end_of_a_band_has_the_shape_for_the_other():
    """A band's shape needs both ends: c and e of the smallest roster, a of the largest."""
    lower, upper = choose_shape(500, 50, 0.3), choose_shape(900, 50, 0.3)
    with pytest.raises(ServerError, match="answers needed"):
        require_shape(lower, 900, 50, 0.3)
    with pytest.raises(ServerError, match="shares tell nothing"):
        require_shape(upper, 500, 50, 0.3)
    (band,) = bands((500, 900), 50, 0.3)
    assert band.shape.members > max(lower.members, upper.members)
    smaller = dataclasses.replace(band.shape, members=band.shape.members - 1)
    with pytest.raises(ServerError):  # at this end, as 0.3 * 900 is whole
        require_shape(smaller, 900, 50, 0.3)


@pytest.mark.parametrize("last", [997, 1000])
@pytest.mark.parametrize("members", [18, 60, 108, 210])
@pytest.mark.parametrize("lost", [0.05, 0.3, 0.5, 0.55])
def test_which_end_of_a_band_is_worse(last, members, lost):
    """c falls as the roster grows. a is least at the upper end, once the lost are rounded up there."""
    sizes = range(members, last + 1)
    c = [corrupt_bound(volunteers, 45, members) for volunteers in sizes]
    assert c == sorted(c, reverse=True)
    assert c[0] > c[-1]
    missing = math.ceil(round(lost * last, 6))
    fewest = members - corrupt_bound(last, missing, members, 20)
    a = [answer_bound(volunteers, lost, members) for volunteers in sizes]
    assert min(a) >= fewest
    assert a[0] > a[-1]
    if last == 1000:  # all the shares of it are whole
        assert a[-1] == fewest


def test_bands_that_cannot_be():
    for sizes in ((), (400,), (500, 400), (400, 400)):
        with pytest.raises(MisuseError, match="ascending") as refused:
            bands(sizes, 10, 0.3)
        assert refused.value.rule is Rule.ARGUMENT
    with pytest.raises(MisuseError, match="of 400 volunteers is both safe and live"):
        bands((400, 500), 200, 0.3)


def test_a_roster_outside_the_bands_is_refused():
    found = bands((400, 600, 900), 20, 0.3)
    for volunteers in (399, 901):
        with pytest.raises(ServerError, match=r"the manifest's bands are 400\.\.599, 600\.\.900") as refused:
            shape_for(found, volunteers)
        assert refused.value.rule is Rule.COMMITTEE_SHAPE
    with pytest.raises(ServerError, match="none"):
        shape_for((), 500)


def test_a_band_on_the_wire():
    (band,) = bands((400, 600), 20, 0.3)
    assert wire.decode(Band, wire.encode(band)) == band


@pytest.mark.parametrize(
    ("gamma", "issued", "sample"),
    [(0.05, 1000, 0.5), (0.05, 57_000, 0.1), (0.05, 10**6, 0.01), (0.3, 50, 0.9), (0.1, 10**6, 1e-6)],
)
def test_sampled_corrupt_phones_are_bounded_as_by_scipy(gamma, issued, sample):
    corrupt, bound = corrupt_phones(gamma, issued), corrupt_phones(gamma, issued, sample)
    assert bound <= corrupt
    assert binom.sf(bound, corrupt, sample) <= 2.0**-40 * (1 + 1e-6)
    assert binom.sf(bound - 1, corrupt, sample) > 2.0**-40 * (1 - 1e-6)


@given(st.integers(0, 5000), st.floats(1e-9, 1, exclude_min=True))
@settings(max_examples=200, deadline=None)
def test_a_sample_bounds_its_corrupt_phones(issued, sample):
    corrupt, bound = corrupt_phones(0.05, issued), corrupt_phones(0.05, issued, sample)
    assert 0 <= bound <= corrupt
    assert bound == corrupt or binom.sf(bound, corrupt, sample) <= 2.0**-40 * (1 + 1e-6)
    assert bound == 0 or binom.sf(bound - 1, corrupt, sample) > 2.0**-40 * (1 - 1e-6)


@pytest.mark.parametrize(
    "numbers", [(-0.1, 10), (1.0, 10), (math.nan, 10), (0.1, -1), (0.1, 10, 0.0), (0.1, 10, 1.1)]
)
def test_corrupt_phones_of_numbers_out_of_bounds(numbers):
    with pytest.raises(MisuseError, match="were expected") as refused:
        corrupt_phones(*numbers)
    assert refused.value.rule is Rule.ARGUMENT
