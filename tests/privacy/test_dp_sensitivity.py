"""What noise is sized for: no input and no luck carry an encoded vector over the norms that are declared."""

import math

import numpy as np
import pytest
from hypothesis import given, settings, target
from hypothesis import strategies as st

from covey_privacy.dp import Encoding
from covey_privacy.dp.encoding import ROUNDING_TRIES

SEED = bytes(range(32))
UP = 2**32 - 1
part = st.floats(0, 1)


def encoding(size, norm=1.0, scale=1.0):
    return Encoding(size, norm, scale, 32, SEED)


def unrotated(code, steps):
    """Return the vector whose rotation lies `steps` integer steps along each axis, to 2^-16 of a step."""
    fine = Encoding(code.length, 2.0**28 / code.scale / 2**16, code.scale * 2**16, 32, code.seed)
    return fine.decode(fine.to_ring(np.round(np.asarray(steps) * 2**16).astype(np.int64)))


def luck(size, raised):
    """Randomness that rounds the first `raised` of `size` entries up if it can, and no other."""
    return lambda _: np.where(np.arange(size) < raised, UP, 0).astype("<u4").tobytes()


def lucks(size, raised):
    """Randomness that has as much luck in each try as the next of `raised` says."""
    tries = iter(raised)
    return lambda wanted: luck(size, next(tries))(wanted)


def norms(integers):
    return math.sqrt(sum(int(each) ** 2 for each in integers)), sum(abs(int(each)) for each in integers)


@settings(max_examples=300)
@given(
    st.sampled_from([1, 2, 32, 512, 1024]),
    st.floats(1, 8),
    st.sampled_from([1.0, 4.0, 64.0]),
    st.integers(-2, 2),
    part,
    part,
    part,
)
def test_replacing_a_person_by_zeros_never_moves_the_integers_further_than_declared(
    size, norm, scale, whole, fraction, filled, raised
):
    code = encoding(size, norm, scale)
    vector = unrotated(code, np.where(np.arange(size) < filled * size, whole + fraction, 0.0))
    chance = luck(size, round(raised * size))
    apart = code.encode(vector, chance) - code.encode(np.zeros(size), chance)
    (l2, l1), most = norms(apart), code.sensitivity()
    target(l2 / most[0], label="L2 of what is declared")
    target(l1 / most[1], label="L1 of what is declared")
    assert l2 <= most[0] * (1 + 1e-15)
    assert l1 <= most[1] * (1 + 1e-15)


def test_bad_luck_reaches_the_bound_and_the_next_step_is_refused():
    code = encoding(1024, norm=1.0, scale=16.0)
    vector = unrotated(code, np.full(1024, 0.4))
    most = math.floor(code.sensitivity()[0] ** 2)
    assert norms(code.encode(vector, luck(1024, most)))[1] == most
    assert norms(code.encode(vector, luck(1024, most + 1)))[1] == 0
    assert math.sqrt(most) > 0.999 * code.sensitivity()[0]


def test_a_rounding_over_the_norm_is_drawn_again_a_bounded_number_of_times():
    code = encoding(1024, norm=1.0, scale=16.0)
    vector = unrotated(code, np.full(1024, 0.4))
    for bad, kept in ((ROUNDING_TRIES - 1, 100), (ROUNDING_TRIES, 0)):
        assert norms(code.encode(vector, lucks(1024, [1024] * bad + [100])))[1] == kept


@pytest.mark.parametrize("steps", [0.25, -0.25, 1.75, -1.75])
def test_an_entry_goes_up_as_often_as_it_lies_above_the_whole_number_below(steps):
    code = encoding(1, norm=1024.0)
    vector, tries = unrotated(code, [abs(steps)]) * math.copysign(1, steps), 2**10
    words = iter(np.linspace(0, UP, tries).astype("<u4"))
    seen = [int(code.encode(vector, lambda _: next(words).tobytes())[0]) for _ in range(tries)]
    rotated = code.encode(np.sign(vector) * 1000, luck(1, 0))[0] / 1000 * abs(steps)
    assert set(seen) == {math.floor(rotated), math.floor(rotated) + 1}
    assert np.mean(seen) == pytest.approx(rotated, abs=2 / tries)
