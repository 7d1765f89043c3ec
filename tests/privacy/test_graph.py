import pytest
from hypothesis import given
from hypothesis import strategies as st

from covey_privacy.errors import MisuseError
from covey_privacy.five_phases import parameters
from covey_privacy.five_phases.graph import neighbours

RATES = ((0.05, 0.05), (0.1, 0.1), (0.1, 0.2), (0.2, 0.2), (0.33, 0.2), (0.33, 0.33))

CURIOUS = """
    50       6,3     -       -        -        -         34,17
    100      12,6    22,11   -        40,21    -         68,34
    300      24,14   36,21   -        74,41    -         162,85
    1000     30,17   48,27   -        98,54    -         286,150
    10000    34,20   54,31   -        122,67   -         422,221
    100000   36,21   58,33   -        134,73   -         480,251
"""
"""Degree and threshold by cohort, for the shares of RATES: values of google-parfait/federated-compute,
graph_parameter_finder_test.cc, and of its formula."""

SEMI_MALICIOUS = """
    50       -       16,11   -        32,22    -         -
    100      16,11   32,22   52,32    62,42    74,54     -
    300      38,27   66,46   -        160,109  216,157   -
    1000     52,37   96,67   194,124  302,206  502,364   -
    10000    62,44   122,85  280,179  482,328  1056,764  -
    100000   68,48   134,93  -        -        -         -
"""


def references():
    for semi_malicious, table in ((False, CURIOUS), (True, SEMI_MALICIOUS)):
        for n, *row in map(str.split, table.strip().splitlines()):
            for rates, cell in zip(RATES, row, strict=True):
                if cell != "-":
                    yield semi_malicious, int(n), rates, tuple(map(int, cell.split(",")))


@pytest.mark.parametrize(("semi_malicious", "n", "rates", "expected"), list(references()))
def test_reference_values(semi_malicious, n, rates, expected):
    assert parameters(n, *rates, semi_malicious=semi_malicious) == expected


@pytest.mark.parametrize("n", [20, 24, 49])
def test_small_cohorts_use_the_complete_graph(n):
    assert parameters(n, 0.05, 0.05) == (n - 1, 2 * n // 3 + 1)


@pytest.mark.parametrize(
    ("n", "gamma", "delta"), [(3, 0.0, 0.0), (24, 0.05, 0.4), (1000, 0.4, 0.4), (24, 0.9, 0.0), (0, 0, 0)]
)
def test_no_graph_fails_closed(n, gamma, delta):
    with pytest.raises(MisuseError):
        parameters(n, gamma, delta)


@given(st.integers(50, 400), st.sampled_from([0.0, 0.05, 0.1]), st.sampled_from([0.0, 0.05, 0.1]))
def test_two_halves_of_a_neighbourhood_never_both_reach_the_threshold(n, gamma, delta):
    degree, threshold = parameters(n, gamma, delta)
    assert degree // 2 < threshold <= degree


@given(st.binary(min_size=32, max_size=32), st.integers(4, 80), st.data())
def test_neighbours_are_mutual_and_never_oneself(beacon, n, data):
    degree = data.draw(st.sampled_from([2, 4, n - 1]))
    near = [neighbours(beacon, n, degree, i) for i in range(n)]
    for i, some in enumerate(near):
        assert i not in some
        assert len(some) == len(set(some)) == min(degree, n - 1)
        assert all(i in near[j] for j in some)


def test_another_beacon_draws_another_graph():
    assert neighbours(b"a" * 32, 200, 16, 0) != neighbours(b"b" * 32, 200, 16, 0)
