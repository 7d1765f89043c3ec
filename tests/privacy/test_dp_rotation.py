import math

import numpy as np
import pytest
from scipy import linalg

from covey_privacy.dp.rotation import hadamard, random_signs


@pytest.mark.parametrize("length", [1, 2, 4, 8, 64, 512, 1024, 1024 + 16, 3 * 1024])
def test_the_rotation_is_sylvesters_matrix_on_each_block(length):
    vector = np.random.default_rng(1).normal(size=length)
    blocks = [vector[start : start + 1024] for start in range(0, length, 1024)]
    expected = [linalg.hadamard(len(block)) @ block / math.sqrt(len(block)) for block in blocks]
    hadamard(vector)
    assert vector == pytest.approx(np.concatenate(expected), abs=1e-12)


def test_signs_are_plus_and_minus_one_as_often_and_follow_the_seed():
    drawn = random_signs(bytes(32), 10_001)
    assert set(drawn.tolist()) == {-1, 1}
    assert abs(int(drawn.sum())) < 5 * 100
    assert (drawn == random_signs(bytes(32), 10_001)).all()
    assert (drawn != random_signs(b"\1" + bytes(31), 10_001)).sum() == pytest.approx(5000, abs=250)
