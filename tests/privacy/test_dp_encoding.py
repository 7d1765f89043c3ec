import hashlib
import itertools
import math

import numpy as np
import pytest
import second_primitives
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from covey_privacy.dp import Encoding, Skellam, fit_scale, noise_share
from covey_privacy.errors import MisuseError

SEED = bytes(range(32))
SQRT3 = math.sqrt(3)
finite = st.floats(allow_nan=False, allow_infinity=False)
vectors = st.integers(1, 200).flatmap(lambda length: arrays(np.float64, length, elements=finite))


def encoding(length=96, norm=SQRT3, scale=64.0, bits=20, seed=SEED):
    return Encoding(length, norm, scale, bits, seed)


def stream(name):
    return lambda size: hashlib.shake_256(name.encode()).digest(size)


def unit(length, name):
    raw = np.frombuffer(stream(name)(2 * length), "<i2").astype(float)
    return raw / np.linalg.norm(raw)


@pytest.mark.parametrize(
    ("length", "padded"), [(1, 1), (3, 4), (96, 128), (1024, 1024), (1025, 1025), (2000, 2048), (2051, 2052)]
)
def test_only_the_last_block_is_padded(length, padded):
    assert encoding(length).padded == padded


@given(vectors, st.sampled_from([1.0, 7.5, 1024.0]), st.floats(1, 100))
def test_an_encoded_vector_never_exceeds_the_sensitivity(vector, scale, norm):
    code = encoding(len(vector), norm, scale)
    l2, l1 = code.sensitivity()
    integers = code.encode(vector)
    assert integers.dtype == np.int64
    assert sum(int(entry) ** 2 for entry in integers) <= l2**2
    assert np.abs(integers).sum() <= l1


def test_a_rounding_that_always_passes_the_norm_ends_towards_zero():
    code = encoding(1024, norm=1.0, scale=1.0)
    integers = code.encode(np.full(1024, 1.0), lambda size: b"\0" * size)
    assert np.abs(integers).sum() == 0
    assert np.abs(code.encode(np.full(1024, 1.0), stream("fair"))).sum() > 0


@pytest.mark.parametrize("vector", [np.zeros(96), np.full(96, 5e-324)])
def test_nothing_to_say_encodes_to_nearly_nothing(vector):
    assert np.abs(encoding().encode(vector, stream("silence"))).sum() == 0


def test_a_vector_longer_than_the_norm_is_shortened_and_keeps_its_direction():
    code = encoding(96, norm=1.0, scale=1024.0)
    direction = unit(96, "direction")
    decoded = code.decode(code.to_ring(code.encode(1e300 * direction)))
    assert decoded == pytest.approx(direction, abs=0.01)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_never_leaves(bad):
    vector = np.zeros(96)
    vector[17] = bad
    with pytest.raises(MisuseError, match="NaN or infinity"):
        encoding().encode(vector)


@pytest.mark.parametrize("shape", [(95,), (97,), (96, 1), ()])
def test_vectors_of_another_shape_are_refused(shape):
    with pytest.raises(MisuseError, match="shape"):
        encoding().encode(np.zeros(shape))


@given(st.integers(1, 3000), st.integers(0, 2**20))
def test_without_noise_a_sum_decodes_to_itself_within_the_rounding(length, name):
    code = encoding(length, norm=1.0, scale=256.0)
    parts = [unit(length, f"{name} {device}") for device in range(5)]
    ring_sum = sum((code.to_ring(code.encode(part)) for part in parts), np.zeros(code.padded, np.uint32))
    assert np.linalg.norm(code.decode(ring_sum) - sum(parts)) < 5 * (1e-4 + math.sqrt(code.padded) / 256)


def test_rounding_is_unbiased():
    code, vector = encoding(64, norm=1.0, scale=16.0), unit(64, "mean")
    repeats = 4000
    mean = sum(code.decode(code.to_ring(code.encode(vector))) for _ in range(repeats)) / repeats
    assert np.abs(mean - vector).max() < 6 * 0.5 / 16 / math.sqrt(repeats) + 1e-4


def test_noisy_contributions_sum_to_the_truth_within_the_noise():
    sigma, devices = 5.0, 40
    code = encoding(scale=fit_scale(SQRT3, devices, sigma, 20))
    share = Skellam(noise_share(sigma, code.scale, devices))
    total, truth = np.zeros(code.padded, np.uint32), np.zeros(96)
    for device in range(devices):
        vector = unit(96, f"device {device}")
        truth += vector
        noise = share.sample(code.padded, stream(f"noise {device}"))
        total += code.to_ring(code.encode(vector, stream(f"rounding {device}")) + noise)
    error = code.decode(total) - truth
    assert np.abs(error).max() < 5 * sigma
    assert error.std() == pytest.approx(sigma, rel=0.25)


@given(st.integers(2, 32), st.data())
def test_the_ring_keeps_every_sum_that_fits_however_often_it_wraps(bits, data):
    code = encoding(4, norm=1.0, scale=1.0, bits=bits)
    half = 2 ** (bits - 1)
    sums = np.array(data.draw(st.lists(st.integers(-half, half - 1), min_size=4, max_size=4)))
    parts = np.array(data.draw(st.lists(st.integers(-(2**40), 2**40), min_size=4, max_size=4)))
    ring_sum = code.to_ring(parts) + code.to_ring(sums - parts)
    assert code.to_ring(parts).max() < 2**bits
    assert code.from_ring(ring_sum).tolist() == sums.tolist()
    assert code.decode(ring_sum) == pytest.approx(code.decode(code.to_ring(sums)))
    assert np.linalg.norm(code.decode(ring_sum)) == pytest.approx(np.linalg.norm(sums))


def test_the_rotation_spreads_one_entry_over_its_block_and_depends_on_the_seed():
    vector = np.zeros(1024)
    vector[5] = 1.0
    code = encoding(1024, norm=1.0, scale=1024.0)
    assert np.abs(code.encode(vector)).max() <= 1024 / 32 + 1
    vector = unit(1024, "spread")
    other = encoding(1024, norm=1.0, scale=1024.0, seed=bytes(32))
    assert np.abs(code.encode(vector) - other.encode(vector)).max() > 10


def test_sensitivity_is_that_of_kairouz_liu_steinke():
    l2, l1 = encoding(96, norm=1.0, scale=10.0).sensitivity()
    root = math.sqrt(128)
    assert l2 == pytest.approx(min(10 + root, math.sqrt(100 + 32 + (10 + root / 2))))
    assert l1 == pytest.approx(l2 * root)
    assert encoding(1, norm=1.0, scale=1.0).sensitivity()[1] >= 1


@given(st.floats(0.5, 50), st.integers(1, 2000), st.floats(0, 500))
def test_the_fitted_scale_is_the_largest_power_of_two_that_cannot_wrap(norm, devices, sigma):
    def reach(scale):
        return devices * math.ceil(norm * scale) + 10 * sigma * scale

    scale = fit_scale(norm, devices, sigma, 20)
    assert reach(scale) < 2**19
    assert math.log2(scale) == int(math.log2(scale))
    assert scale == 2**10 or reach(2 * scale) >= 2**19


def test_what_does_not_fit_the_ring_is_refused():
    with pytest.raises(MisuseError, match="do not fit into 16 bits"):
        fit_scale(1.0, 40_000, 10.0, 16)


@pytest.mark.parametrize(
    "wrong",
    [
        {"length": 0},
        {"length": 2**24 + 1},
        {"norm": 0.0},
        {"norm": math.nan},
        {"scale": math.inf},
        {"scale": 0.5, "norm": 1.0},
        {"scale": 2.0**20},
        {"bits": 1},
        {"bits": 33},
        {"seed": b"short"},
    ],
)
def test_impossible_encodings_are_refused(wrong):
    with pytest.raises(MisuseError):
        encoding(**wrong)


def test_a_ring_sum_of_another_length_is_refused():
    with pytest.raises(MisuseError, match="shape"):
        encoding().decode(np.zeros(96, np.uint32))


@pytest.mark.parametrize("length", [1, 5, 1024, 1500])
@pytest.mark.parametrize("size", [0.0, 0.3, 40.0])
def test_a_second_implementation_encodes_alike(length, size):
    vector = size * unit(length, "second")

    def tape():
        drawn = itertools.count()
        return lambda count: hashlib.shake_256(b"%d" % next(drawn)).digest(count)

    mine = second_primitives.encode(vector.tolist(), SQRT3, 64.0, SEED, tape())
    assert mine == encoding(length).encode(vector, tape()).tolist()
