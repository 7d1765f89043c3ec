"""The field: products, matrix products, streams and linear equations are those of Python's integers."""

from __future__ import annotations

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from covey_privacy.errors import PeerError
from covey_privacy.secagg import field
from covey_privacy.secagg.field import Q

elements = st.one_of(st.sampled_from((0, 1, 2, Q // 2, Q - 2, Q - 1)), st.integers(0, Q - 1))


def test_q_is_prime_and_2_to_17_divides_q_less_1():
    assert all(Q % divisor for divisor in range(2, 46_341))
    assert Q == 2**31 - 2**17 + 1
    assert (Q - 1) % 2**17 == 0


@given(st.lists(st.tuples(elements, elements), min_size=1))
def test_sums_and_products_are_exact(pairs):
    a, b = (np.array(each, np.int64) for each in zip(*pairs, strict=True))
    assert field.multiply(a, b).tolist() == [x * y % Q for x, y in pairs]
    assert field.add(a, b).tolist() == [(x + y) % Q for x, y in pairs]
    assert field.subtract(a, b).tolist() == [(x - y) % Q for x, y in pairs]


@pytest.mark.parametrize("inner", [1, 7, 2047, 2048, 2049, 5000])
def test_matrix_products_are_exact_at_the_largest_elements(inner):
    a = np.random.default_rng(inner).integers(0, Q, (3, inner))
    b = np.random.default_rng(inner + 1).integers(0, Q, (inner, 2))
    a[0], b[:, 0] = Q - 1, Q - 1
    expected = (a.astype(object) @ b.astype(object)) % Q
    assert (field.matrix_product(a, b) == expected).all()


def _defined(key: bytes, count: int) -> list[int]:
    """The stream by its definition: 31-bit words of AES-256-CTR below q."""
    stream = Cipher(algorithms.AES256(key), modes.CTR(bytes(16))).encryptor().update(bytes(4 * count + 4096))
    words = [int.from_bytes(stream[at : at + 4], "little") & 0x7FFFFFFF for at in range(0, len(stream), 4)]
    return [word for word in words if word < Q][:count]


@pytest.mark.parametrize("count", [1, 67, 2051])
def test_a_stream_drops_the_words_that_are_not_below_q(count):
    keys = [number.to_bytes(32) for number in range(1, 400)]
    drawn = [field.uniform_elements(key, count).tolist() for key in keys]
    assert drawn == [_defined(key, count) for key in keys]


def test_some_of_those_streams_had_words_to_drop():
    words = [
        np.frombuffer(field.keystream(n.to_bytes(32), 4 * 2051), "<u4") & 0x7FFFFFFF for n in range(1, 400)
    ]
    assert sum(bool((each >= Q).any()) for each in words) > 20


def test_a_stream_reads_on_where_more_words_are_dropped_than_were_spared(monkeypatch):
    honest = field.keystream
    monkeypatch.setattr(
        field, "keystream", lambda key, size: b"\xff" * min(size, 200) + honest(key, max(0, size - 200))
    )
    assert field.uniform_elements(bytes(32), 100).tolist() == _defined(bytes(32), 100)


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_a_solution_solves(rows, columns, seed):
    random = np.random.default_rng(seed)
    matrix, right = random.integers(0, Q, (rows, columns)), random.integers(0, Q, rows)
    if seed % 2:
        right = field.matrix_product(matrix, random.integers(0, Q, (columns, 1)))[:, 0]
    found = field.solve(matrix, right)
    if found is None:
        assert seed % 2 == 0
        assert rows > columns
    else:
        assert (field.matrix_product(matrix, found[:, None])[:, 0] == right).all()


@pytest.mark.parametrize("data", [Q.to_bytes(4, "little"), b"\xff" * 8, b"\0\0\0"])
def test_what_is_no_element_is_refused(data):
    with pytest.raises(PeerError, match="below q"):
        field.require_elements(data)


def test_centred_elements_are_the_nearest_integers():
    assert field.centred(np.array([0, 1, Q // 2, Q // 2 + 1, Q - 1])).tolist() == [
        0,
        1,
        Q // 2,
        -(Q // 2),
        -1,
    ]


def test_derive_is_hkdf_sha256():
    assert field.derive(b"secret", b"info") == HKDF(SHA256(), 32, None, b"info").derive(b"secret")


@pytest.mark.parametrize("inner", [64, 2048, 2049])
def test_a_stack_of_matrices_is_multiplied_one_by_one(inner):
    drawn = np.random.default_rng(inner)
    a, b = drawn.integers(0, Q, (5, 3, inner)), drawn.integers(0, Q, (5, inner, 2))
    a[0], b[0] = Q - 1, Q - 1
    each = [field.matrix_product(left, right) for left, right in zip(a, b, strict=True)]
    assert (field.matrix_product(a, b) == np.stack(each)).all()
