import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from covey_privacy.dp import (
    AdaptiveClip,
    Encoding,
    Skellam,
    SkellamMechanism,
    calibrate,
    epsilon,
    fit_scale,
    noise_share,
)
from covey_privacy.errors import MisuseError

PEOPLE = 400
finite = st.floats(allow_nan=False, allow_infinity=False)
vectors = st.integers(0, 50).flatmap(lambda length: arrays(np.float64, length, elements=finite))
clips = st.builds(AdaptiveClip, st.floats(1e-3, 1e3), weight=st.floats(1e-3, 10))


def population(seed, length=8):
    """Vectors of log-normal norms, whose median is 1."""
    draw = np.random.default_rng(seed)
    directions = draw.normal(size=(PEOPLE, length))
    norms = draw.lognormal(0.0, 0.7, PEOPLE)
    return directions / np.linalg.norm(directions, axis=1)[:, None] * norms[:, None], norms


@given(vectors, clips)
def test_a_message_never_exceeds_the_joint_norm(vector, clip):
    assert np.linalg.norm(clip.message(vector)) <= clip.sensitivity


@given(vectors, clips)
def test_a_vector_is_shortened_to_the_norm_and_says_so(vector, clip):
    *short, within = clip.message(vector)
    if within > 0:
        assert short == vector.tolist()
    else:
        assert np.linalg.norm(short) == pytest.approx(clip.norm, rel=2e-5)
    assert abs(within) == pytest.approx(clip.weight * clip.norm / 2)


def test_the_charge_is_one_and_it_is_the_papers():
    """z^-2 = z_vector^-2 + (2 sigma_b)^-2, sigma_b the deviation of the noise on the count (theorem 1)."""
    clip, sigma = AdaptiveClip(3.0, weight=0.5), 7.0
    of_count = sigma / (clip.weight * clip.norm)
    joint = (clip.norm / sigma) ** 2 + (2 * of_count) ** -2
    assert (clip.sensitivity / sigma) ** 2 == pytest.approx(joint)


@pytest.mark.parametrize(("start", "quantile"), [(0.05, 0.5), (5.0, 0.3), (5.0, 0.8)])
def test_the_norm_follows_the_quantile_under_noise(start, quantile):
    people, norms = population(1)
    draw = np.random.default_rng(2)
    clip, course = AdaptiveClip(start, quantile), []
    for _ in range(120):
        total = np.sum([clip.message(vector) for vector in people], axis=0)
        noisy = total + draw.normal(0.0, 5 * clip.sensitivity, total.shape)
        clip = clip.after(clip.read(noisy, PEOPLE)[1])
        course.append(clip.norm)
    settled = np.exp(np.mean(np.log(course[60:])))
    low, high = np.quantile(norms, [quantile - 0.05, quantile + 0.05])
    assert low < settled < high


def test_vectors_and_share_come_out_of_one_encoded_sum():
    people, norms = population(3)
    clip, truth = AdaptiveClip(1.0), np.mean(norms <= 1.0)
    length = people.shape[1] + 1
    sigma = calibrate(Encoding(length, clip.sensitivity, 1024.0, 20, bytes(32)), 2.0, 1e-6)
    encoding = Encoding(
        length, clip.sensitivity, fit_scale(clip.sensitivity, PEOPLE, sigma, 20), 20, bytes(32)
    )
    assert epsilon([SkellamMechanism.for_encoding(encoding, sigma)], 1e-6) < 2.05
    noise = Skellam(noise_share(sigma, encoding.scale, PEOPLE))
    messages = (encoding.encode(clip.message(vector)) for vector in people)
    ring_sum = sum(encoding.to_ring(message + noise.sample(encoding.padded)) for message in messages)
    total, within = clip.read(encoding.decode(ring_sum), PEOPLE)
    of_share = sigma / (clip.weight * clip.norm * PEOPLE)
    assert 0 < of_share < 0.05
    assert within == pytest.approx(truth, abs=5 * of_share)
    exact = np.sum([clip.message(vector)[:-1] for vector in people], axis=0)
    assert np.abs(total - exact).max() < 5 * sigma


def test_the_step_is_the_papers_and_noise_cannot_make_it_longer():
    clip = AdaptiveClip(2.0, quantile=0.5, rate=0.2)
    assert clip.after(1.0).norm == pytest.approx(2.0 * math.exp(-0.1))
    assert clip.after(0.5) == clip
    assert [clip.read(np.array([end]), 10)[1] for end in (1e9, -1e9)] == [1.0, 0.0]


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
@pytest.mark.parametrize("name", ["norm", "rate", "weight"])
def test_impossible_settings_are_refused(name, bad):
    with pytest.raises(MisuseError, match=name):
        AdaptiveClip(**{"norm": 1.0, name: bad})


@pytest.mark.parametrize("bad", [0.0, 1.0, math.nan])
def test_an_impossible_quantile_is_refused(bad):
    with pytest.raises(MisuseError, match="quantile"):
        AdaptiveClip(1.0, quantile=bad)


def test_what_is_not_finite_or_of_nobody_is_refused():
    with pytest.raises(MisuseError, match="NaN or infinity"):
        AdaptiveClip(1.0).message([1.0, math.nan])
    with pytest.raises(MisuseError, match="at least 1"):
        AdaptiveClip(1.0).read(np.zeros(3), 0)
