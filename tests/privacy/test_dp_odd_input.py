"""What a model may hand to the encoder by mistake: it is encoded as what it means, or it never leaves."""

import hashlib
import math

import numpy as np
import pytest

from covey_privacy.dp import Encoding
from covey_privacy.errors import MisuseError

LENGTH = 96
CODE = Encoding(LENGTH, 8.0, 64.0, 20, bytes(range(32)))
PLAIN = np.arange(LENGTH) % 5 - 2.0


def stream(size):
    return hashlib.shake_256(b"odd").digest(size)


def encoded(vector, code=CODE):
    return code.encode(vector, stream)


def placed(entry):
    vector = PLAIN.copy()
    vector[17] = entry
    return vector


def locked(vector):
    vector.setflags(write=False)
    return vector


@pytest.mark.parametrize(
    "vector",
    [
        PLAIN.tolist(),
        PLAIN.astype(np.int8),
        PLAIN.astype(np.int64),
        PLAIN.astype(np.float16),
        PLAIN.astype(np.float32),
        PLAIN.astype(np.longdouble),
        PLAIN.astype(">f8"),
        np.repeat(PLAIN, 3)[::3],
        PLAIN[::-1].copy()[::-1],
        np.stack([PLAIN, PLAIN], axis=1)[:, 0],
        locked(PLAIN.copy()),
    ],
    ids=lambda vector: f"{type(vector).__name__} {getattr(vector, 'dtype', '')}",
)
def test_numbers_of_any_kind_and_layout_are_encoded_as_the_same_floats(vector):
    assert (encoded(vector) == encoded(PLAIN)).all()


def test_truth_values_are_ones_and_zeros():
    assert (encoded(PLAIN > 0) == encoded((PLAIN > 0).astype(float))).all()


def test_the_largest_integers_are_clipped_like_any_long_vector():
    extremes = np.full(LENGTH, np.iinfo(np.int64).min)
    assert (encoded(extremes) == encoded(np.full(LENGTH, -1e9))).all()
    assert (encoded(np.full(LENGTH, 2**64 - 1, np.uint64)) == encoded(np.full(LENGTH, 1e9))).all()


def test_what_is_handed_in_stays_as_it_was():
    for vector in (PLAIN.copy(), np.zeros(LENGTH), 1e9 * PLAIN):
        before = vector.copy()
        encoded(vector)
        assert (vector == before).all()


@pytest.mark.parametrize(
    "vector",
    [
        PLAIN.astype(object),
        PLAIN.astype(complex),
        PLAIN.astype(str),
        PLAIN.astype("datetime64[s]"),
        [2**70] * LENGTH,
        [None] * LENGTH,
        [[1.0], [1.0, 2.0]],
        "a text",
        None,
    ],
)
def test_what_is_no_vector_of_real_numbers_is_refused(vector):
    with pytest.raises(MisuseError, match="this encoding takes"):
        encoded(vector)


@pytest.mark.parametrize("bad", [math.nan, -math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.longdouble])
def test_what_is_not_finite_never_leaves_whatever_its_precision(bad, kind):
    with pytest.raises(MisuseError, match="NaN or infinity"):
        encoded(placed(bad).astype(kind))


@pytest.mark.skipif(np.finfo(np.longdouble).maxexp == 1024, reason="long doubles are doubles here")
def test_what_only_a_long_double_holds_is_not_finite():
    with pytest.raises(MisuseError, match="NaN or infinity"):
        encoded(placed(1) * np.longdouble("1e4000"))


@pytest.mark.parametrize("huge", [1e155, 1e300, np.finfo(float).max])
def test_huge_entries_are_clipped_without_overflow(huge):
    direction = PLAIN / 2
    assert (encoded(huge * direction) == encoded(1e6 * direction)).all()
    alone = CODE.decode(CODE.to_ring(encoded(np.where(np.arange(LENGTH) == 5, huge, 1.0))))
    assert alone[5] == pytest.approx(8.0, abs=0.1)
    assert np.abs(np.delete(alone, 5)).max() < 0.1


@pytest.mark.parametrize("least", [5e-324, 1e-310, np.finfo(float).tiny])
def test_subnormal_entries_are_next_to_nothing_and_next_to_others_change_nothing(least):
    assert np.abs(encoded(np.full(LENGTH, least))).sum() == 0
    assert (encoded(placed(least)) == encoded(placed(0))).all()


def test_nothing_is_zeros_whatever_the_luck():
    for word in (b"\0", b"\x80", b"\xff"):
        for zero in (0.0, -0.0):
            code = Encoding(1500, 1.0, 1024.0, 24, bytes(32))
            assert not code.encode(np.full(1500, zero), lambda size, word=word: word * size).any()


@pytest.mark.parametrize("length", [3, 1024, 1500])
def test_a_float32_vector_that_is_a_hair_too_long_is_shortened(length):
    code = Encoding(length, 1.0, 1024.0, 24, bytes(32))
    vector = np.full(length, 1 / math.sqrt(length), np.float32) * np.float32(1 + 1e-5)
    assert np.linalg.norm(vector.astype(float)) > 1
    assert (encoded(vector, code) == encoded(2 * vector, code)).all()


@pytest.mark.parametrize("word", [b"\0", b"\xff"])
@pytest.mark.parametrize("scale", [2.0**10, 2.0**20])
def test_floating_point_and_bad_luck_together_carry_no_entry_over_the_norm(scale, word):
    code = Encoding(1, 1.0, scale, 24, bytes(32))
    for vector in ([np.float32(1 + 2**-20)], [1.0], [-1.0], [1e300]):
        assert abs(int(code.encode(vector, lambda size: word * size)[0])) <= scale
