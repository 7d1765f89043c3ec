import math
import time
from dataclasses import replace

import numpy as np
import pytest
from dp_accounting import NeighboringRelation, dp_event
from dp_accounting.pld import pld_privacy_accountant
from dp_accounting.rdp import rdp_privacy_accountant
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from covey_privacy.dp import (
    Encoding,
    SkellamMechanism,
    account,
    calibrate,
    calibrate_steps,
    epsilon,
    gaussian,
    noise_share,
)
from covey_privacy.dp.accounting import ORDERS
from covey_privacy.dp.skellam_gap import MOST_VARIANCE, apart, nearness
from covey_privacy.errors import MisuseError

DELTA = 1e-6
ENCODING = Encoding(length=96, norm=math.sqrt(3), scale=1024.0, bits=20, seed=bytes(32))
CENTRE = np.arange(-6000, 6001)


def log_law(k, variance):
    """ln P(k); by the hypergeometric form of the Bessel function, where its own would underflow."""
    k = np.abs(k)
    if variance > 500:
        with np.errstate(divide="ignore"):
            return np.log(special.ive(k, variance))
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
def test_in_the_gaussian_limit_both_are_dp_accountings(multiplier, rounds):
    """Renyi divergence over the same orders to 1e-6, and the privacy-loss distribution to 1e-3."""
    renyi_oracle = rdp_privacy_accountant.RdpAccountant(orders=ORDERS)
    pld_oracle = pld_privacy_accountant.PLDAccountant(NeighboringRelation.ADD_OR_REMOVE_ONE)
    for oracle in (renyi_oracle, pld_oracle):
        oracle.compose(dp_event.GaussianDpEvent(multiplier), rounds)
    ours = SkellamMechanism(1024.0, 1e6, (multiplier * 1024) ** 2, 1000)
    spent = account([ours] * rounds, DELTA)
    assert spent.rdp == pytest.approx(renyi_oracle.get_epsilon(DELTA), rel=1e-6)
    assert spent.gaussian == pytest.approx(pld_oracle.get_epsilon(DELTA), rel=1e-3)
    assert spent.epsilon == spent.gaussian < spent.rdp


@pytest.mark.parametrize(
    ("whole", "pld", "rdp"),
    [(4.2247, 1.0, 1.078), (2.2305, 2.0, 2.149), (1.1935, 4.0, 4.279), (0.6529, 8.0, 8.523)],
)
def test_three_sums_of_p1_cost_what_was_worked_out_for_gaussian_noise(whole, pld, rdp):
    """Shares of .16, .29, .55 at scale 1,024; the Gaussian's own figures to within 2 in 10^4."""
    steps = [SkellamMechanism(1024.0, 1e5, (1024 * whole) ** 2 / share, 8192) for share in (0.16, 0.29, 0.55)]
    spent = account(steps, DELTA)
    assert spent.gaussian == pytest.approx(pld, rel=2e-4)
    assert spent.rdp == pytest.approx(rdp, rel=4e-3)


def hockey_stick(shift, variance, epsilon):
    """The exact delta at `epsilon` of a 1-D Skellam against itself shifted, summed numerically."""
    here, there = log_law(CENTRE, variance), log_law(CENTRE - shift, variance)
    apart = there > here + epsilon
    return float((np.exp(there) - np.exp(here + epsilon))[apart].sum())


@pytest.mark.parametrize("variance", [2.0, 50.0, 1000.0, 20_000.0])
@pytest.mark.parametrize("sds", [0.05, 0.3, 1.0, 2.0])
def test_no_shift_costs_more_than_either_accountant_says(sds, variance):
    shift = math.ceil(sds * math.sqrt(variance))
    for delta in (1e-3, 1e-6, 1e-10):
        spent = account([SkellamMechanism(shift, shift, variance, 1)], delta)
        for claimed in (spent.rdp, spent.gaussian):
            if math.isfinite(claimed):
                assert hockey_stick(shift, variance, claimed) <= delta


def test_where_noise_is_wide_the_gaussian_accountant_says_what_is_true():
    """One entry, one deviation, variance 20,000: half a percent below its claim, delta is passed."""
    spent = account([SkellamMechanism(141, 141, 20_000.0, 1)], DELTA)
    assert hockey_stick(141, 20_000.0, 0.995 * spent.gaussian) > DELTA
    assert spent.rdp > 1.05 * spent.gaussian


def test_two_rounds_cost_no_less_than_their_joint_law():
    """Two entries with shifts 40 and 9: every pair of outcomes, weighed exactly."""
    first, second = SkellamMechanism(40, 40, 4000.0, 1), SkellamMechanism(9, 9, 1500.0, 1)
    k = np.arange(-500, 501)
    losses, chances = [], []
    for each in (first, second):
        here, there = (log_law(k - shift, each.variance) for shift in (0, int(each.sensitivity2)))
        losses.append(there - here)
        chances.append(np.exp(there))
    loss, chance = np.add.outer(*losses), np.multiply.outer(*chances)
    for delta in (1e-3, 1e-6):
        spent = account([first, second], delta)
        for claimed in (spent.rdp, spent.gaussian):
            assert float((chance * np.maximum(0, -np.expm1(claimed - loss))).sum()) <= delta


class TestMonotone:
    """More noise, a smaller vector or a larger delta never cost more; nor do fewer entries or rounds."""

    mechanisms = st.builds(
        lambda l2, wider, variance, length: SkellamMechanism(l2, l2 * wider, variance, length),
        st.floats(1, 1000),
        st.floats(1, 30),
        st.floats(1, 1e8),
        st.integers(1, 20_000),
    )

    @staticmethod
    def dearer(cheap, dear):
        """By what holds, up to the tolerance of bisection; by Renyi divergence exactly."""
        return cheap.rdp <= dear.rdp * (1 + 1e-12) and cheap.epsilon <= dear.epsilon * (1 + 1e-7)

    @settings(deadline=None)
    @given(mechanisms, st.floats(1, 10))
    def test_in_the_noise(self, mechanism, more):
        quiet = replace(mechanism, variance=mechanism.variance * more)
        assert self.dearer(account([quiet], DELTA), account([mechanism], DELTA))

    @settings(deadline=None)
    @given(mechanisms, st.floats(1, 10))
    def test_in_the_sensitivity(self, mechanism, more):
        wide = replace(
            mechanism,
            sensitivity2=mechanism.sensitivity2 * more,
            sensitivity1=mechanism.sensitivity1 * more,
        )
        assert self.dearer(account([mechanism], DELTA), account([wide], DELTA))

    @settings(deadline=None)
    @given(mechanisms, st.integers(1, 10))
    def test_in_the_length(self, mechanism, more):
        longer = replace(mechanism, length=mechanism.length * more)
        assert self.dearer(account([mechanism], DELTA), account([longer], DELTA))

    @settings(deadline=None)
    @given(mechanisms, mechanisms, st.integers(1, 20))
    def test_in_the_rounds(self, one, other, times):
        assert self.dearer(account([one] * times, DELTA), account([one] * times + [other], DELTA))

    @settings(deadline=None)
    @given(mechanisms, st.floats(1, 1e4))
    def test_in_delta(self, mechanism, more):
        assert self.dearer(account([mechanism], DELTA * more / 1e4), account([mechanism], DELTA / 1e4))


@pytest.mark.parametrize("sensitivity", [30.0, 200.0])
def test_the_way_to_the_gaussian_and_back_is_paid_for(sensitivity):
    """Both rounds, every entry, both sides: the parts of delta come to delta, at any epsilon."""
    first = SkellamMechanism(sensitivity, 50 * sensitivity, 20_000.0, 5000)
    second = SkellamMechanism(sensitivity, 50 * sensitivity, 9000.0, 300)
    spent = account([first, second], DELTA).gaussian
    entries = [(each.length, nearness(each.variance)) for each in (first, second)]
    shift = math.sqrt(sum(sensitivity**2 / (each.variance - 1 / 12) for each in (first, second)))
    sides, aside = 1 + math.exp(spent), DELTA / 1024
    way = apart(sum(length * entry.moments for length, entry in entries), aside / sides)
    tails = sum(length * entry.tail for length, entry in entries)
    whole = math.exp(way) * gaussian.delta(shift, spent - 2 * way) + aside + sides * tails
    assert whole == pytest.approx(DELTA, rel=1e-6)
    assert (sensitivity == 200) == (sides * tails > DELTA / 2000)


def test_noise_wider_than_the_tables_costs_no_more_than_the_widest():
    wide, widest = (SkellamMechanism(1e4, 1e6, v, 100) for v in (2 * MOST_VARIANCE, MOST_VARIANCE))
    assert account([wide], DELTA).gaussian == pytest.approx(account([widest], DELTA).gaussian)


def test_where_no_length_is_known_renyi_divergence_alone_speaks():
    known = SkellamMechanism(1024.0, 1e5, 1e7, 8192)
    unknown = replace(known, length=None)
    spent = account([known, unknown], DELTA)
    assert spent.gaussian == math.inf
    assert spent.epsilon == spent.rdp == account([known, known], DELTA).rdp


def test_what_is_asked_before_every_round_takes_milliseconds():
    """A year of weekly rounds, half of them unlike any other, and one more."""
    year = [SkellamMechanism(1024.0, 1e5, 3e6 + 1e4 * (week % 26), 4608) for week in range(52)]
    account(year, DELTA)
    began = time.process_time()
    account([*year, SkellamMechanism(1024.0, 1e5, 3e6, 4608)], DELTA)
    assert time.process_time() - began < 0.02


def test_composition_does_not_mind_the_order():
    one, other = SkellamMechanism(2, 4, 100.0), SkellamMechanism(5, 20, 1000.0)
    assert epsilon([one, other], DELTA) == pytest.approx(epsilon([other, one], DELTA))


def test_nothing_costs_nothing():
    assert epsilon([], DELTA) == 0.0
    assert epsilon([SkellamMechanism(0, 0, 1.0)], DELTA) == 0.0
    assert epsilon([SkellamMechanism(1e-9, 1e-9, 1e6, 8)], 0.9) == 0.0


@pytest.mark.parametrize("variance", [1000.0, 3e7])
def test_the_distance_of_the_draws_counts_on_either_side(variance):
    """Their own epsilon at what they leave of delta, which is less than all of it and more than half."""
    mechanism, distance = SkellamMechanism(variance**0.5, 1e5, variance, 4), 1e-9
    spent, bare = account([mechanism], DELTA, distance), account([mechanism], DELTA)
    for name in ("rdp", "gaussian"):
        claimed = getattr(spent, name)
        left = DELTA - (1 + math.exp(claimed)) * distance
        assert claimed == pytest.approx(getattr(account([mechanism], left), name), rel=1e-6)
        assert claimed > getattr(bare, name)


def test_draws_too_far_from_their_law_for_an_epsilon_promise_nothing():
    mechanism = SkellamMechanism(2000.0, 1e5, 1e6, 4)
    assert account([mechanism], DELTA).epsilon == pytest.approx(11, abs=0.1)
    assert account([mechanism], DELTA, 1e-9).epsilon == math.inf


@pytest.mark.parametrize("target", [0.6, 1.4, 2.0])
@pytest.mark.parametrize("shares", [(1.0,), (1 / 12,) * 12, (0.4, 0.2, 0.4)])
def test_calibrated_sigmas_reach_their_epsilon_from_below(target, shares):
    encodings = [ENCODING] * len(shares)
    sigmas = calibrate_steps(encodings, shares, target, DELTA)
    reached = epsilon(map(SkellamMechanism.for_encoding, encodings, sigmas), DELTA)
    assert 0.99 * target < reached <= target
    assert [sigma * math.sqrt(share) for sigma, share in zip(sigmas, shares, strict=True)] == pytest.approx(
        [sigmas[0] * math.sqrt(shares[0])] * len(shares)
    )


def test_a_smaller_epsilon_takes_more_noise():
    sigmas = [calibrate(ENCODING, target, DELTA) for target in (2.0, 1.4, 0.6, 0.1)]
    assert sigmas == sorted(set(sigmas))


def test_a_calibrated_sigma_hides_an_encoded_vector():
    sigma = calibrate(ENCODING, 1.0, DELTA)
    oracle = pld_privacy_accountant.PLDAccountant(NeighboringRelation.ADD_OR_REMOVE_ONE)
    oracle.compose(dp_event.GaussianDpEvent(sigma / ENCODING.norm))
    assert oracle.get_epsilon(DELTA) == pytest.approx(1.0, rel=0.01)


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


@pytest.mark.parametrize("distance", [-1e-9, DELTA, 1.0, math.nan])
def test_a_distance_must_be_less_than_delta(distance):
    with pytest.raises(MisuseError, match="distance"):
        epsilon([], DELTA, distance)


def test_an_epsilon_that_no_noise_reaches_is_refused():
    with pytest.raises(MisuseError, match="no noise reaches"):
        calibrate(ENCODING, 1e-9, 1e-12)
    for shares in ([], [1.0, 1.0], [0.0]):
        with pytest.raises(MisuseError, match="rounds"):
            calibrate_steps([ENCODING], shares, 1.0, DELTA)


@pytest.mark.parametrize(
    "wrong",
    [(2, 1, 1.0), (-1, 1, 1.0), (1, math.inf, 1.0), (1, 1, 0.0), (1, 1, math.nan), (1, 1, 1.0, 0)],
)
def test_impossible_mechanisms_are_refused(wrong):
    with pytest.raises(MisuseError):
        SkellamMechanism(*wrong)
