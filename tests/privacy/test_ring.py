import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from covey_privacy.errors import PeerError
from covey_privacy.five_phases import masks, ring


@given(st.lists(st.integers(0, 2**32 - 1), max_size=70), st.integers(1, 32))
def test_packing_keeps_every_bit(values, bits):
    vector = np.array(values, np.uint32)
    packed = ring.pack(vector, bits)
    assert len(packed) == ring.packed_length(len(values), bits)
    assert np.array_equal(ring.unpack(packed, len(values), bits), ring.reduce(vector, bits))


def test_planes_lie_one_after_the_other_the_lowest_first():
    """Two entries of 20 bits: 16 bits of each, then four times one bit of each."""
    assert ring.pack(np.array([0xABCDE, 0x12345], np.uint32), 20) == b"\xde\xbc\x45\x23\x02\x01\x00\x01"


def test_a_vector_of_another_size_is_refused():
    with pytest.raises(PeerError, match="were expected"):
        ring.unpack(bytes(9), 3, 20)


def stream(key, length):
    """The one stream that is added to zeros."""
    total = np.zeros(length, np.uint32)
    masks.add_streams(total, [key])
    return total


def test_streams_are_the_keystream_of_aes_256_ctr():
    """NIST SP 800-38A, F.5.5 uses another counter; the first block under a zero counter is AES of zero."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    key = bytes(range(32))
    block = Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(bytes(16))
    assert stream(key, 4).astype("<u4").tobytes() == block


def test_a_stream_goes_on_from_block_to_block_and_is_taken_away_again():
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    key, length = bytes(range(32)), 2 * masks.BLOCK + 5
    whole = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor().update(bytes(4 * length))
    total = stream(key, length)
    assert np.array_equal(total, np.frombuffer(whole, "<u4"))
    masks.add_streams(total, [], [key])
    assert not total.any()


def test_distinct_keys_give_distinct_streams():
    """Two keys that agree in the XOR of their 32-bit words: folding them to 32 bits would give one stream."""
    first, second = bytearray(32), bytearray(32)
    first[0], second[4] = 1, 1
    assert not np.array_equal(stream(bytes(first), 64), stream(bytes(second), 64))


def test_a_peer_key_of_low_order_is_refused():
    with pytest.raises(PeerError, match="low order"):
        masks.KeyPair(b"\x01" * 32).exchange(bytes(32))


def test_both_sides_derive_one_key_for_one_context():
    a, b = masks.KeyPair(b"\x01" * 32), masks.KeyPair(b"\x02" * 32)
    secret = a.exchange(b.public)
    assert secret == b.exchange(a.public)
    assert masks.derive(secret, b"info") != masks.derive(secret, b"another")


def test_a_parcel_for_another_does_not_open():
    sealed = masks.seal(b"\x03" * 32, b"share", b"to 1")
    assert masks.unseal(b"\x03" * 32, sealed, b"to 1") == b"share"
    with pytest.raises(PeerError, match="altered"):
        masks.unseal(b"\x03" * 32, sealed, b"to 2")
