"""Proofs that a shown point is the one that a decryptor and a dealer share."""

import dataclasses
import hashlib
import sys
import traceback

import pytest
import second_edwards as second
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from hypothesis import example, given, settings
from hypothesis import strategies as st

from covey_privacy import wire
from covey_privacy.errors import MisuseError, PeerError
from covey_privacy.protocol_rules import Rule
from covey_privacy.secagg import equality_proof, keys, libsodium
from covey_privacy.secagg.equality_proof import SharedPoint, prove, verify
from covey_privacy.signatures import SigningKey

P, L = second.P, second.L
SECRETS = st.binary(min_size=32, max_size=32)
CONTEXT = b"round-1, leaf 7, decryptor 3"


def secret_of(name):
    return hashlib.sha256(name.encode()).digest()


def box_key_of(secret):
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


BOX = secret_of("decryptor")
DEALER = secret_of("dealer")
BOX_KEY = box_key_of(BOX)
ROUND_KEY = SigningKey(DEALER).public
SHARED = keys.exchange_key(DEALER).exchange(X25519PublicKey.from_public_bytes(BOX_KEY))


def counted(size):
    return bytes(range(size))


SHOWN = prove(BOX, ROUND_KEY, CONTEXT, counted)


# --- by hand, in integers ---


def box_scalar(secret):
    """The logarithm of the box key's Edwards point with sign 0."""
    scalar = second.clamped(secret) % L
    return scalar if second.times(scalar, second.BASE)[0] % 2 == 0 else L - scalar


def challenge_of(context, box_point, round_key, point, of_base, of_round_key):
    return second.scalar_of_hash(
        b"covey/1/equality-proof/challenge\0",
        len(context).to_bytes(8, "big"),
        context,
        second.encode(second.BASE),
        *map(second.encode, (box_point, round_key, point, of_base, of_round_key)),
    )


def proof_by_hand(scalar, round_key, context=CONTEXT, nonce=987654321, point=None, box_point=None, add=0):
    """The proof that formula gives, for points that need not fit."""
    point = second.times(scalar, round_key) if point is None else point
    box_point = second.times(scalar, second.BASE) if box_point is None else box_point
    of_base, of_round_key = second.times(nonce, second.BASE), second.times(nonce, round_key)
    challenge = challenge_of(context, box_point, round_key, point, of_base, of_round_key)
    response = (nonce + challenge * scalar) % L + add
    return SharedPoint(second.encode(point), second.packed(challenge), second.packed(response))


def holds_by_hand(box_key, round_key, context, shown):
    """The check of the proof by its definition."""
    u = second.little(box_key)
    y = (u - 1) * pow(u + 1, -1, P) % P
    box_point = second.x_of(y, 0), y
    dealer, point = second.decode(round_key), second.decode(shown.point)
    c, s = second.little(shown.challenge), second.little(shown.response)
    of_base = second.add(second.times(s, second.BASE), second.negative(second.times(c, box_point)))
    of_round_key = second.add(second.times(s, dealer), second.negative(second.times(c, point)))
    return c == challenge_of(context, box_point, dealer, point, of_base, of_round_key)


# --- what holds ---


@settings(deadline=None)
@given(SECRETS, SECRETS, st.binary(max_size=200), st.binary(min_size=64, max_size=64))
@example(bytes(32), bytes(32), b"", bytes(64))
@example(b"\xff" * 32, b"\xff" * 32, b"\0", b"\xff" * 64)
def test_a_shown_point_is_what_dealer_and_decryptor_exchange(box, dealer, context, seed):
    box_key, round_key = box_key_of(box), SigningKey(dealer).public
    shown = prove(box, round_key, context, lambda size: seed)
    secret = verify(box_key, round_key, context, shown)
    assert secret == keys.exchange_key(dealer).exchange(X25519PublicKey.from_public_bytes(box_key))
    assert secret == X25519PrivateKey.from_private_bytes(box).exchange(
        X25519PublicKey.from_public_bytes(keys.montgomery(round_key))
    )


@pytest.mark.parametrize("number", range(8))
def test_the_proof_holds_by_its_definition_in_integers(number):
    box, dealer = secret_of(f"box {number}"), secret_of(f"dealer {number}")
    round_key = SigningKey(dealer).public
    shown = prove(box, round_key, CONTEXT)
    assert holds_by_hand(box_key_of(box), round_key, CONTEXT, shown)
    assert shown.point == second.encode(second.times(box_scalar(box), second.decode(round_key)))
    by_hand = proof_by_hand(box_scalar(box), second.decode(round_key))
    assert verify(box_key_of(box), round_key, CONTEXT, by_hand) == keys.montgomery(shown.point)


def test_both_signs_of_a_box_key_occur():
    signs = {second.times(second.clamped(secret_of(f"box {i}")), second.BASE)[0] % 2 for i in range(8)}
    assert signs == {0, 1}


def test_the_bytes_of_a_proof_are_fixed():
    """Another implementation with these secrets and this nonce seed makes the same bytes."""
    assert (SHOWN.point.hex(), SHOWN.challenge.hex(), SHOWN.response.hex()) == (
        "9a19d7eda8e224e59434b58a90c2381e46f7d8033307bcacfcc2d0673396f038",
        "81712dceb46597dad16682c5e58686b013c6a1a7fd6e8909cc77bcb7440c0608",
        "3cfe72af6c6ca510d553d586dcde9747c67e30588fe08c608cc8730470261702",
    )


def test_a_shown_point_travels():
    data = wire.encode(SHOWN)
    assert wire.decode(SharedPoint, data) == SHOWN
    assert len(data) == 103
    for name in ("point", "challenge", "response"):
        with pytest.raises(PeerError) as caught:
            wire.decode(SharedPoint, wire.encode(dataclasses.replace(SHOWN, **{name: bytes(31)})))
        assert caught.value.rule is Rule.MESSAGE_FORM
    with pytest.raises(AttributeError):
        SHOWN.point = bytes(32)


# --- what does not ---


def flipped(data, bit):
    return second.packed(second.little(data) ^ 1 << bit)


def test_the_proof_holds_before_it_is_altered():
    assert verify(BOX_KEY, ROUND_KEY, CONTEXT, SHOWN) == SHARED


@pytest.mark.parametrize("name", ["point", "challenge", "response"])
def test_no_bit_of_a_proof_can_be_flipped(name):
    for bit in (*range(0, 256, 8), *range(7, 256, 8), 252, 253, 254):
        altered = dataclasses.replace(SHOWN, **{name: flipped(getattr(SHOWN, name), bit)})
        assert verify(BOX_KEY, ROUND_KEY, CONTEXT, altered) is None, (name, bit)


def test_no_bit_of_a_key_or_of_the_context_can_be_flipped():
    for bit in (*range(0, 256, 8), *range(7, 256, 8)):
        assert verify(flipped(BOX_KEY, bit), ROUND_KEY, CONTEXT, SHOWN) is None, bit
        assert verify(BOX_KEY, flipped(ROUND_KEY, bit), CONTEXT, SHOWN) is None, bit
    for place in range(len(CONTEXT)):
        other = CONTEXT[:place] + bytes([CONTEXT[place] ^ 1]) + CONTEXT[place + 1 :]
        assert verify(BOX_KEY, ROUND_KEY, other, SHOWN) is None, place
    for other in (b"", CONTEXT + b"\0", CONTEXT[:-1], b"\0" + CONTEXT):
        assert verify(BOX_KEY, ROUND_KEY, other, SHOWN) is None


B = box_scalar(BOX)
BOX_POINT = second.times(B, second.BASE)
E = second.decode(ROUND_KEY)
Z = second.times(B, E)

FORGED = {
    "a proof by another secret": proof_by_hand(B + 1, E),
    "another secret, for this box key": proof_by_hand(B + 1, E, box_point=BOX_POINT),
    "another secret, for this box key and point": proof_by_hand(B + 1, E, point=Z, box_point=BOX_POINT),
    "another point": proof_by_hand(B, E, point=second.add(Z, E)),
    "the negative point": proof_by_hand(B, E, point=second.negative(Z)),
    "the negative secret": proof_by_hand(L - B, E, box_point=BOX_POINT),
    "the base point": proof_by_hand(B, E, point=second.BASE),
    "no secret at all": proof_by_hand(0, E, box_point=BOX_POINT),
    **{f"point of small order {i}": proof_by_hand(B, E, point=second.SMALL[i]) for i in range(8)},
    "another round": proof_by_hand(B, E, context=b"round-2, leaf 7, decryptor 3"),
    "s + L": dataclasses.replace(SHOWN, response=second.packed(second.little(SHOWN.response) + L)),
    "c + L": dataclasses.replace(SHOWN, challenge=second.packed(second.little(SHOWN.challenge) + L)),
    "s = 0": dataclasses.replace(SHOWN, response=bytes(32)),
    "s = L": dataclasses.replace(SHOWN, response=second.packed(L)),
    "c = 0": dataclasses.replace(SHOWN, challenge=bytes(32)),
    "s = c = 0": dataclasses.replace(SHOWN, challenge=bytes(32), response=bytes(32)),
    "c and s exchanged": SharedPoint(SHOWN.point, SHOWN.response, SHOWN.challenge),
    "ones": SharedPoint(b"\xff" * 32, b"\xff" * 32, b"\xff" * 32),
    "short point": dataclasses.replace(SHOWN, point=SHOWN.point[:31]),
    "long challenge": dataclasses.replace(SHOWN, challenge=SHOWN.challenge + b"\0"),
    "empty response": dataclasses.replace(SHOWN, response=b""),
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
def test_a_forged_proof_never_holds(forged):
    assert verify(BOX_KEY, ROUND_KEY, CONTEXT, forged) is None


def test_the_formula_by_hand_is_the_one_that_the_forgeries_depart_from():
    assert verify(BOX_KEY, ROUND_KEY, CONTEXT, proof_by_hand(B, E)) == SHARED


@settings(deadline=None)
@given(SECRETS, SECRETS, SECRETS)
def test_random_bytes_prove_nothing(point, challenge, response):
    assert verify(BOX_KEY, ROUND_KEY, CONTEXT, SharedPoint(point, challenge, response)) is None
    assert verify(BOX_KEY, ROUND_KEY, CONTEXT, SharedPoint(SHOWN.point, challenge, response)) is None


def test_a_proof_holds_for_its_own_pair_of_keys_alone():
    other_box, other_dealer = secret_of("another decryptor"), secret_of("another dealer")
    other_round_key = SigningKey(other_dealer).public
    assert verify(box_key_of(other_box), ROUND_KEY, CONTEXT, SHOWN) is None
    assert verify(BOX_KEY, other_round_key, CONTEXT, SHOWN) is None
    assert verify(BOX_KEY, ROUND_KEY, CONTEXT, prove(other_box, ROUND_KEY, CONTEXT)) is None
    assert verify(BOX_KEY, ROUND_KEY, CONTEXT, prove(BOX, other_round_key, CONTEXT)) is None


def true_equation(box_key, round_key, scalar=B, **parts):
    """A proof whose equation holds over the whole curve: then only the check of orders refuses it."""
    for nonce in range(1, 400):
        shown = proof_by_hand(scalar, second.decode(round_key), nonce=nonce, **parts)
        if second.little(shown.challenge) % 8 == 0 and holds_by_hand(box_key, round_key, CONTEXT, shown):
            return shown
    raise AssertionError("no nonce gives a true equation")


@pytest.mark.parametrize("i", range(1, 8))
def test_a_point_of_mixed_order_is_refused_though_its_equation_holds(i):
    shown = true_equation(BOX_KEY, ROUND_KEY, point=second.add(Z, second.SMALL[i]), box_point=BOX_POINT)
    assert verify(BOX_KEY, ROUND_KEY, CONTEXT, shown) is None


@pytest.mark.parametrize("i", range(1, 8))
def test_a_box_key_of_mixed_order_is_refused_though_its_equation_holds(i):
    box_key = second.packed(second.u_of(second.add(BOX_POINT, second.SMALL[i])))
    box_point = second.decode(keys.edwards(box_key))
    kept = second.times(8, box_point) == second.times(8, BOX_POINT)
    scalar = B if kept else L - B  # the point with sign 0 may be the negative one
    shown = true_equation(box_key, ROUND_KEY, scalar, point=second.times(scalar, E), box_point=box_point)
    assert verify(box_key, ROUND_KEY, CONTEXT, shown) is None


@pytest.mark.parametrize("i", range(1, 8))
def test_a_round_key_of_mixed_order_is_refused_though_its_equation_holds(i):
    mixed = second.add(E, second.SMALL[i])
    round_key = second.encode(mixed)
    with pytest.raises(PeerError) as caught:
        prove(BOX, round_key, CONTEXT)
    assert caught.value.rule is Rule.KEY_ENCODING
    for point in (Z, second.times(B, mixed)):
        assert verify(BOX_KEY, round_key, CONTEXT, proof_by_hand(B, mixed, point=point)) is None
    shown = true_equation(BOX_KEY, round_key, point=second.times(B, mixed), box_point=BOX_POINT)
    assert verify(BOX_KEY, round_key, CONTEXT, shown) is None


BAD_KEYS = {
    "zero": bytes(32),
    "one": second.packed(1),
    "minus one": second.packed(P - 1),
    "p": second.packed(P),
    "nine + p": second.packed(9 + P),
    "top bit": second.packed(second.little(BOX_KEY) | 1 << 255),
    "twist": second.packed(
        next(u for u in range(2, 99) if second.x_of((u - 1) * pow(u + 1, -1, P) % P, 0) is None)
    ),
    "empty": b"",
    "short": BOX_KEY[:31],
    "long": BOX_KEY + b"\0",
}


@pytest.mark.parametrize("key", BAD_KEYS.values(), ids=BAD_KEYS)
def test_a_box_key_that_is_not_sound_proves_nothing(key):
    assert verify(key, ROUND_KEY, CONTEXT, SHOWN) is None


BAD_ROUND_KEYS = {
    **{data.hex(): data for data in second.SMALL_ENCODINGS},
    "off the curve": second.packed(next(y for y in range(2, 99) if second.x_of(y, 0) is None)),
    "y = p + 3": second.packed(P + 3),
    "empty": b"",
    "short": ROUND_KEY[:31],
    "long": ROUND_KEY + b"\0",
}


@pytest.mark.parametrize("key", BAD_ROUND_KEYS.values(), ids=BAD_ROUND_KEYS)
def test_a_round_key_that_is_not_sound_is_refused_before_a_secret_is_used(monkeypatch, key):
    monkeypatch.setattr(equality_proof, "_scalar_of", None)
    with pytest.raises(PeerError) as caught:
        prove(BOX, key, CONTEXT)
    assert caught.value.rule is Rule.KEY_ENCODING
    assert verify(BOX_KEY, key, CONTEXT, SHOWN) is None


# --- the nonce ---


def nonce_of(shown):
    """k = s - c b, which only the decryptor can tell."""
    return (second.little(shown.response) - second.little(shown.challenge) * B) % L


def test_the_nonce_depends_on_the_random_bytes_and_on_the_whole_statement():
    other_dealer = SigningKey(secret_of("another dealer")).public
    shown = [
        SHOWN,
        prove(BOX, ROUND_KEY, CONTEXT, bytes),
        prove(BOX, ROUND_KEY, CONTEXT + b"\0", counted),
        prove(BOX, other_dealer, CONTEXT, counted),
    ]
    assert len({nonce_of(proof) for proof in shown}) == 4
    assert prove(BOX, ROUND_KEY, CONTEXT, counted) == SHOWN
    assert prove(BOX, ROUND_KEY, CONTEXT) != prove(BOX, ROUND_KEY, CONTEXT)


def test_the_nonce_cannot_be_told_from_the_random_bytes_alone():
    other = secret_of("another decryptor")
    shown = prove(other, ROUND_KEY, CONTEXT, counted)
    nonce = (second.little(shown.response) - second.little(shown.challenge) * box_scalar(other)) % L
    assert nonce != nonce_of(SHOWN)


# --- misuse ---


@pytest.mark.parametrize(("secret", "seed"), [(BOX[:31], 64), (BOX + b"\0", 64), (BOX, 32), (BOX, 65)])
def test_lengths_are_checked_and_no_secret_is_in_the_error(secret, seed):
    with pytest.raises(MisuseError) as caught:
        prove(secret, ROUND_KEY, CONTEXT, lambda size: b"\x5a" * seed)
    text = "".join(traceback.format_exception(caught.value)) + repr(caught.value.args)
    assert secret[:16].hex() not in text
    assert repr(secret)[2:-1] not in text
    assert "5a5a5a" not in text
    assert "ZZZ" not in text


def test_no_secret_is_in_the_error_about_a_key():
    with pytest.raises(PeerError) as caught:
        prove(BOX, second.packed(1), CONTEXT)
    text = "".join(traceback.format_exception(caught.value)) + repr(caught.value.args)
    assert BOX[:16].hex() not in text
    assert repr(BOX)[2:-1] not in text


def test_without_pynacl_the_extra_is_named(monkeypatch):
    libsodium.is_usable.cache_clear()
    monkeypatch.setitem(sys.modules, "nacl.bindings", None)
    try:
        with pytest.raises(MisuseError, match=r"install covey\[decryptor\]"):
            prove(BOX, ROUND_KEY, CONTEXT)
        with pytest.raises(MisuseError, match=r"install covey\[decryptor\]"):
            verify(BOX_KEY, ROUND_KEY, CONTEXT, SHOWN)
    finally:
        libsodium.is_usable.cache_clear()
