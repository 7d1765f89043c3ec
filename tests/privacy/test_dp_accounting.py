import math

import numpy as np
import pytest
from dp_accounting import dp_event
from dp_accounting.rdp import rdp_privacy_accountant
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from covey_privacy.dp import Encoding, SkellamMechanism, calibrate, calibrate_steps, epsilon, noise_share
from covey_privacy.errors import MisuseError

DELTA = 1e-6
ENCODING = Encoding(length=96, norm=math.sqrt(3), scale=1024.0, bits=20, seed=bytes(32))
CENTRE = np.arange(-6000, 6001)


def log_law(k, variance):
    """ln P(k) by the hypergeometric form of the Bessel function, which does not underflow."""
    k = np.abs(k)
    tail = np.log(special.hyp0f1(k + 1, variance**2 / 4))
    return k * math.log(variance / 2) - special.gammaln(k + 1) + tail - variance


def renyi(order, shift, variance):
    """The Renyi divergence of a 1-D Skellam from itself shifted by `shift`, summed numerically."""
    here, there = log_law(CENTRE, variance), log_law(CENTRE - shift, variance)
    return special.logsumexp(order * here + (1 - order) * there) / (order - 1)


@pytest.mark.parametrize("variance", [5.0, 50.0, 400.0])
@pytest.mark.parametrize("shift", [1, 3, 10])
@pytest.mark.parametrize("order", [2, 3, 8, 32])
def test_the_closed_form_bounds_the_true_divergence(order, shift, variance):
    bound = SkellamMechanism(shift, shift, variance).rdp(np.array([float(order)]))[0]
    assert renyi(order, shift, variance) <= bound


@pytest.mark.parametrize(("variance", "bound"), [(4.0, 1.5 + 38 / 64), (0.5, 12 + 9)])
def test_the_closed_form_is_the_papers(variance, bound):
    assert SkellamMechanism(2, 3, variance).rdp(np.array([3.0])) == pytest.approx(bound)


def test_the_closed_form_is_close_when_the_noise_is_wide():
    bound = SkellamMechanism(3, 3, 400.0).rdp(np.array([4.0]))[0]
    assert renyi(4, 3, 400.0) == pytest.approx(bound, rel=0.02)


@pytest.mark.parametrize("variance", [5.0, 50.0, 400.0])
def test_the_numeric_divergence_is_of_the_law_that_is_sampled(variance):
    law = stats.skellam(variance / 2, variance / 2)
    assert np.exp(log_law(np.arange(-30, 31), variance)) == pytest.approx(law.pmf(np.arange(-30, 31)))


@pytest.mark.parametrize(("multiplier", "rounds"), [(4.0, 1), (4.0, 10), (20.0, 1), (20.0, 52)])
def test_at_large_scale_it_is_the_gaussian_of_dp_accounting(multiplier, rounds):
    oracle = rdp_privacy_accountant.RdpAccountant(orders=np.arange(2, 2000))
    oracle.compose(dp_event.GaussianDpEvent(multiplier), rounds)
    scale = 2.0**20
    ours = SkellamMechanism(scale, 1000 * scale, (multiplier * scale) ** 2)
    assert epsilon([ours] * rounds, DELTA) == pytest.approx(oracle.get_epsilon(DELTA), rel=0.01)


@given(st.floats(10, 1e6), st.floats(1.01, 10))
def test_more_noise_costs_less(variance, more):
    loud, quiet = SkellamMechanism(2, 4, variance * more), SkellamMechanism(2, 4, variance)
    assert epsilon([loud], DELTA) < epsilon([quiet], DELTA)


@given(st.integers(1, 50))
def test_every_round_costs_more(rounds):
    mechanism = SkellamMechanism(2, 4, 1000.0)
    assert epsilon([mechanism] * rounds, DELTA) < epsilon([mechanism] * (rounds + 1), DELTA)


def test_composition_does_not_mind_the_order():
    one, other = SkellamMechanism(2, 4, 100.0), SkellamMechanism(5, 20, 1000.0)
    assert epsilon([one, other], DELTA) == pytest.approx(epsilon([other, one], DELTA))


def test_nothing_costs_nothing():
    assert epsilon([], DELTA) == 0.0
    assert epsilon([SkellamMechanism(0, 0, 1.0)], DELTA) == 0.0


def test_extra_delta_is_taken_out_of_delta():
    mechanism = SkellamMechanism(2, 4, 1000.0)
    assert epsilon([mechanism], DELTA, extra_delta=DELTA / 2) == epsilon([mechanism], DELTA / 2)


@pytest.mark.parametrize("target", [0.6, 1.4, 2.0])
@pytest.mark.parametrize("shares", [(1.0,), (1 / 12,) * 12, (0.4, 0.2, 0.4)])
def test_calibrated_sigmas_reach_their_epsilon_from_below(target, shares):
    encodings = [ENCODING] * len(shares)
    sigmas = calibrate_steps(encodings, shares, target, DELTA)
    reached = epsilon(map(SkellamMechanism.of, encodings, sigmas), DELTA)
    assert 0.99 * target < reached <= target
    assert [sigma * math.sqrt(share) for sigma, share in zip(sigmas, shares, strict=True)] == pytest.approx(
        [sigmas[0] * math.sqrt(shares[0])] * len(shares)
    )


def test_a_smaller_epsilon_takes_more_noise():
    sigmas = [calibrate(ENCODING, target, DELTA) for target in (2.0, 1.4, 0.6, 0.1)]
    assert sigmas == sorted(set(sigmas))


def test_a_calibrated_sigma_hides_an_encoded_vector():
    sigma = calibrate(ENCODING, 1.0, DELTA)
    multiplier = sigma / ENCODING.norm
    oracle = rdp_privacy_accountant.RdpAccountant()
    oracle.compose(dp_event.GaussianDpEvent(multiplier))
    assert oracle.get_epsilon(DELTA) == pytest.approx(1.0, rel=0.02)


def test_shares_of_the_honest_add_up_to_the_whole():
    assert 17 * noise_share(3.0, 64.0, 17) == pytest.approx((3.0 * 64.0) ** 2)
    with pytest.raises(MisuseError, match="honest"):
        noise_share(3.0, 64.0, 0)


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_impossible_epsilons_are_refused(bad):
    with pytest.raises(MisuseError, match="epsilon"):
        calibrate(ENCODING, bad, DELTA)


@pytest.mark.parametrize("bad", [0.0, 1.0, -1e-6, 2.0, math.nan])
def test_impossible_deltas_are_refused(bad):
    with pytest.raises(MisuseError, match="delta"):
        calibrate(ENCODING, 1.0, bad)
    with pytest.raises(MisuseError, match="delta"):
        epsilon([], bad)


@pytest.mark.parametrize("extra", [-1e-9, DELTA, 1.0, math.nan])
def test_extra_delta_must_leave_some(extra):
    with pytest.raises(MisuseError, match="extra_delta"):
        epsilon([], DELTA, extra)


def test_an_epsilon_that_no_noise_reaches_is_refused():
    with pytest.raises(MisuseError, match="no noise reaches"):
        calibrate(ENCODING, 1e-9, 1e-12)
    for shares in ([], [1.0, 1.0], [0.0]):
        with pytest.raises(MisuseError, match="rounds"):
            calibrate_steps([ENCODING], shares, 1.0, DELTA)


@pytest.mark.parametrize(
    "wrong", [(2, 1, 1.0), (-1, 1, 1.0), (1, math.inf, 1.0), (1, 1, 0.0), (1, 1, math.nan)]
)
def test_impossible_mechanisms_are_refused(wrong):
    with pytest.raises(MisuseError):
        SkellamMechanism(*wrong)
