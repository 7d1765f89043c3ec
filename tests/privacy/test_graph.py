import pytest
from hypothesis import given
from hypothesis import strategies as st

from covey_privacy.errors import MisuseError
from covey_privacy.secagg import parameters
from covey_privacy.secagg.graph import neighbours


@pytest.mark.parametrize(
    ("n", "gamma", "delta", "expected"),
    [
        (100, 0.05, 0.05, (12, 6)),
        (100, 0.2, 0.2, (40, 21)),
        (300, 0.1, 0.1, (36, 21)),
        (1000, 0.05, 0.05, (30, 17)),
        (1000, 0.33, 0.33, (286, 150)),
        (10_000, 0.33, 0.33, (422, 221)),
        (100_000, 0.05, 0.05, (36, 21)),
    ],
)
def test_reference_values_against_a_curious_server(n, gamma, delta, expected):
    """Values of google-parfait/federated-compute, graph_parameter_finder_test.cc, and of its formula."""
    assert parameters(n, gamma, delta, semi_malicious=False) == expected


@pytest.mark.parametrize(
    ("n", "gamma", "delta", "expected"),
    [
        (100, 0.05, 0.05, (16, 11)),
        (300, 0.33, 0.2, (216, 157)),
        (1000, 0.05, 0.05, (52, 37)),
        (1000, 0.1, 0.2, (194, 124)),
        (10_000, 0.05, 0.05, (62, 44)),
        (100_000, 0.05, 0.05, (68, 48)),
    ],
)
def test_reference_values_against_a_semi_malicious_server(n, gamma, delta, expected):
    assert parameters(n, gamma, delta) == expected


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
