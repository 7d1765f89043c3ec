"""Round keys and box keys: the map between their forms, which are refused, and one rule for signatures."""

import hashlib
import subprocess
import sys

import pytest
import second_edwards as second
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from nacl import bindings
from nacl.exceptions import BadSignatureError

from covey_privacy.errors import MisuseError, PeerError
from covey_privacy.protocol_rules import Rule
from covey_privacy.secagg import curve25519, keys, libsodium
from covey_privacy.signatures import SigningKey

P, L = second.P, second.L
SCALAR = second.clamped(hashlib.sha256(b"a dealer").digest())
POINT = second.times(SCALAR, second.BASE)
ROUND_KEY = second.encode(POINT)
SECRETS = st.binary(min_size=32, max_size=32)


@pytest.fixture(params=["libsodium", "integers"])
def path(request, monkeypatch):
    """Each way to check an order."""
    if request.param == "integers":
        monkeypatch.setattr(libsodium, "is_usable", lambda: False)


def refused(function, *arguments):
    with pytest.raises(PeerError) as caught:
        function(*arguments)
    assert caught.value.rule is Rule.KEY_ENCODING
    return str(caught.value)


# --- the map ---


@settings(deadline=None)
@given(SECRETS)
@example(bytes(32))
@example(b"\xff" * 32)
def test_the_exchange_key_of_a_secret_has_the_signing_keys_point(secret):
    public = SigningKey(secret).public
    assert keys.exchange_key(secret).public_key().public_bytes_raw() == keys.montgomery(public)
    assert bindings.crypto_sign_ed25519_pk_to_curve25519(public) == keys.montgomery(public)


def test_the_base_points_of_rfc_8032_and_rfc_7748_are_one():
    assert second.encode(second.BASE) == curve25519.BASE
    assert keys.montgomery(curve25519.BASE) == second.packed(9)
    assert keys.edwards(second.packed(9)) == curve25519.BASE


def test_the_vector_of_rfc_8032_section_7_1():
    secret = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    public = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    signature = bytes.fromhex(
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
    )
    assert keys.verify_strict(public, b"", signature)
    assert keys.exchange_key(secret).public_key().public_bytes_raw() == keys.montgomery(public)


@settings(deadline=None)
@given(st.lists(SECRETS, max_size=12))
def test_many_keys_are_mapped_as_one_by_one(secrets):
    public = [SigningKey(secret).public for secret in secrets]
    assert keys.montgomery_keys(public) == [keys.montgomery(key) for key in public]


@pytest.mark.parametrize(
    "bad",
    [second.packed(1), second.packed(1 | 1 << 255), second.packed(P), b"\xff" * 32, b"", ROUND_KEY[:31]],
    ids=bytes.hex,
)
def test_a_key_without_an_exchange_form_is_named(bad):
    refused(keys.montgomery, bad)
    assert "round key 2 of 4" in refused(keys.montgomery_keys, [ROUND_KEY, ROUND_KEY, bad, ROUND_KEY])


@settings(deadline=None)
@given(st.integers(1, L - 1))
def test_a_box_keys_edwards_form_has_sign_zero_and_its_u(scalar):
    point = second.times(scalar, second.BASE)
    lifted = keys.edwards(second.packed(second.u_of(point)))
    assert lifted[31] >> 7 == 0
    assert second.decode(lifted)[1] == point[1]
    assert keys.montgomery(lifted) == second.packed(second.u_of(point))


# --- which keys are sound ---


def off_the_curve():
    return next(y for y in range(2, 99) if second.x_of(y, 0) is None)


ROUND_KEYS_REFUSED = {
    **{f"small order {data.hex()}": data for data in second.SMALL_ENCODINGS},
    **{f"mixed order {i}": second.encode(second.add(POINT, second.SMALL[i])) for i in range(1, 8)},
    **{f"y = p + {y}, sign {sign}": second.packed(y + P | sign << 255) for y in range(19) for sign in (0, 1)},
    "off the curve": second.packed(off_the_curve()),
    "empty": b"",
    "short": ROUND_KEY[:31],
    "long": ROUND_KEY + b"\0",
}


def twist():
    return next(u for u in range(2, 99) if second.x_of((u - 1) * pow(u + 1, -1, P) % P, 0) is None)


BOX_KEYS_REFUSED = {
    "zero": bytes(32),
    "one": second.packed(1),
    "minus one": second.packed(P - 1),
    **{f"order 8, {i}": second.packed(second.u_of(second.SMALL[i])) for i in (1, 3, 5, 7)},
    **{
        f"mixed order {i}": second.packed(second.u_of(second.add(POINT, second.SMALL[i])))
        for i in range(1, 8)
    },
    **{f"u = p + {u}": second.packed(u + P) for u in range(19)},
    "top bit": second.packed(second.u_of(POINT) | 1 << 255),
    "top bit of nine": second.packed(9 | 1 << 255),
    "twist": second.packed(twist()),
    "empty": b"",
    "short": second.packed(9)[:31],
    "long": second.packed(9) + b"\0",
}


@pytest.mark.parametrize("key", ROUND_KEYS_REFUSED.values(), ids=ROUND_KEYS_REFUSED)
def test_a_round_key_of_another_form_or_order_is_refused(path, key):
    assert "round key" in refused(keys.require_round_key, key)


@pytest.mark.parametrize("key", BOX_KEYS_REFUSED.values(), ids=BOX_KEYS_REFUSED)
def test_a_box_key_of_another_form_or_order_is_refused(path, key):
    assert "box key" in refused(keys.require_box_key, key)


@pytest.mark.parametrize("number", range(5))
def test_honest_keys_are_sound(path, number):
    secret = hashlib.sha256(bytes([number])).digest()
    keys.require_round_key(SigningKey(secret).public)
    keys.require_box_key(keys.exchange_key(secret).public_key().public_bytes_raw())


ENCODINGS = st.one_of(
    SECRETS,
    st.builds(
        lambda scalar, small: second.encode(second.add(second.times(scalar, second.BASE), small)),
        st.integers(0, L - 1) | st.integers(0, 3),
        st.sampled_from(second.SMALL),
    ),
    st.builds(
        lambda scalar, bit: second.packed(
            second.little(second.encode(second.times(scalar, second.BASE))) ^ 1 << bit
        ),
        st.integers(0, L - 1),
        st.integers(0, 255),
    ),
    st.builds(
        lambda low, top: second.packed(low % P + P | top << 255), st.integers(0, 18), st.integers(0, 1)
    ),
    st.sampled_from(second.SMALL_ENCODINGS),
)


def passes(function, key):
    try:
        function(key)
    except PeerError:
        return False
    return True


@settings(deadline=None)
@given(ENCODINGS)
def test_integers_decide_as_libsodium_does(encoded):
    decided = curve25519.has_prime_order(encoded)
    assert decided == bindings.crypto_core_ed25519_is_valid_point(encoded)
    x, y = second.decode(encoded)
    canonical = y < P and x is not None and second.encode((x, y)) == encoded
    assert decided == (canonical and (x, y) != (0, 1) and second.times(L, (x, y)) == (0, 1))


@settings(deadline=None)
@given(ENCODINGS)
def test_box_keys_are_decided_alike_with_and_without_libsodium(encoded):
    with pytest.MonkeyPatch.context() as patch:
        for u in (encoded, second.packed(second.little(encoded) % P)):
            with_libsodium = passes(keys.require_box_key, u)
            patch.setattr(libsodium, "is_usable", lambda: False)
            assert passes(keys.require_box_key, u) == with_libsodium
            patch.undo()


# --- one rule for signatures ---


@pytest.fixture(params=["libsodium", "openssl"])
def verifier(request, monkeypatch):
    """Each library that decides the equation of the strict rule."""
    if request.param == "openssl":
        monkeypatch.setattr(libsodium, "verifies_without_cofactor", lambda: False)


def openssl(key, message, signature):
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def sodium(key, message, signature):
    try:
        return bindings.crypto_sign_open(signature + message, key) == message
    except BadSignatureError:
        return False


def signature_by_hand(key, message, scalar, nonce, r=None, add=0):
    """(R, S) with S = nonce + h * scalar (+ add); `r` replaces the bytes of R = nonce * B."""
    r = second.encode(second.times(nonce, second.BASE)) if r is None else r
    h = second.scalar_of_hash(r, key, message)
    return r + second.packed((nonce + h * scalar) % L + add)


def cases():
    """Every input on which verifiers are known to differ ("Taming the many EdDSAs"), and others."""
    message, nonce = b"a message", 0x1234567
    yield "honest", ROUND_KEY, message, signature_by_hand(ROUND_KEY, message, SCALAR, nonce)
    yield "S + L", ROUND_KEY, message, signature_by_hand(ROUND_KEY, message, SCALAR, nonce, add=L)
    yield "S + 2 L", ROUND_KEY, message, signature_by_hand(ROUND_KEY, message, SCALAR, nonce, add=2 * L)
    for bit in (0, 250, 252, 253, 254, 255):
        good = signature_by_hand(ROUND_KEY, message, SCALAR, nonce)
        yield (
            f"S with bit {bit}",
            ROUND_KEY,
            message,
            good[:32] + second.packed(second.little(good[32:]) ^ 1 << bit),
        )
    for i, small in enumerate(second.SMALL[1:], 1):
        r = second.encode(second.add(second.times(nonce, second.BASE), small))
        yield f"R + T{i}", ROUND_KEY, message, signature_by_hand(ROUND_KEY, message, SCALAR, nonce, r)
        mixed = second.encode(second.add(POINT, small))
        for number in range(16):
            text = bytes([number])
            yield f"A + T{i}, {number}", mixed, text, signature_by_hand(mixed, text, SCALAR, nonce)
            yield (
                f"A + T{i}, R + T{i}, {number}",
                mixed,
                text,
                signature_by_hand(mixed, text, SCALAR, nonce, r),
            )
    for data in second.SMALL_ENCODINGS:
        yield f"R = {data.hex()}", ROUND_KEY, message, signature_by_hand(ROUND_KEY, message, SCALAR, 0, data)
        for number in range(16):
            text = bytes([number])
            yield f"A = {data.hex()}, {number}", data, text, signature_by_hand(data, text, 0, nonce)
            yield f"A = R = {data.hex()}, {number}", data, text, data + bytes(32)
    for y in range(19):
        for sign in (0, 1):
            key = second.packed(y + P | sign << 255)
            yield f"A = p + {y}, {sign}", key, message, signature_by_hand(key, message, SCALAR, nonce)
            yield (
                f"R = p + {y}, {sign}",
                ROUND_KEY,
                message,
                signature_by_hand(ROUND_KEY, message, SCALAR, nonce, key),
            )
    off = second.packed(off_the_curve())
    yield "A off the curve", off, message, signature_by_hand(off, message, SCALAR, nonce)
    yield "R off the curve", ROUND_KEY, message, signature_by_hand(ROUND_KEY, message, SCALAR, nonce, off)
    yield "zeros", bytes(32), message, bytes(64)


def test_the_strict_rule_decides_as_libsodium_does_where_verifiers_differ(verifier):
    decided = {name: (keys.verify_strict(*rest), sodium(*rest), openssl(*rest)) for name, *rest in cases()}
    assert [name for name, (strict, libsodium_, _) in decided.items() if strict != libsodium_] == []
    # OpenSSL accepts more: the rule above it is needed.
    more = {name for name, (strict, _, openssl_) in decided.items() if openssl_ and not strict}
    assert f"R = {second.packed(1).hex()}" in more
    for key in (0, 1, P - 1, P, P + 1, second.SMALL[1][1], second.SMALL[3][1]):
        assert any(name.startswith(f"A = {second.packed(key).hex()}") for name in more), key
    assert all(name.startswith(("A = ", "R = ")) for name in more)
    # A key of mixed order may sign: `require_round_key` refuses it.
    accepted = {name for name, (strict, _, _) in decided.items() if strict}
    assert "honest" in accepted
    assert all(name == "honest" or name.startswith("A + T") for name in accepted)
    assert {name[:6] for name in accepted if name.startswith("A + T")} == {f"A + T{i}" for i in range(1, 8)}


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(SECRETS, st.binary(max_size=80), st.integers(0, 767), st.binary(min_size=64, max_size=64))
def test_the_strict_rule_decides_as_libsodium_does_on_signatures_and_altered_ones(
    verifier, secret, text, bit, noise
):
    signer = Ed25519PrivateKey.from_private_bytes(secret)
    key, signature = signer.public_key().public_bytes_raw(), signer.sign(text)
    assert keys.verify_strict(key, text, signature)
    altered = bytearray(key + signature)
    altered[bit // 8] ^= 1 << bit % 8
    for case in ((bytes(altered[:32]), bytes(altered[32:])), (key, noise)):
        assert keys.verify_strict(case[0], text, case[1]) == sodium(case[0], text, case[1]) is False


@pytest.mark.parametrize(("key", "size"), [(31, 64), (33, 64), (0, 64), (32, 63), (32, 65), (32, 0)])
def test_keys_and_signatures_of_other_lengths_are_no_signatures(key, size):
    assert not keys.verify_strict((ROUND_KEY * 2)[:key], b"m", bytes(size))


def test_the_rule_does_not_rest_on_what_the_library_checks(verifier, monkeypatch):
    """Encodings, orders, lengths and S < L are refused before the library is asked."""

    class Lax:
        @staticmethod
        def from_public_bytes(data):
            return Lax

        @staticmethod
        def verify(signature, message):
            """Accepts everything."""

    monkeypatch.setattr(keys, "Ed25519PublicKey", Lax)
    monkeypatch.setattr(libsodium, "verify", lambda key, message, signature: True)
    good = signature_by_hand(ROUND_KEY, b"m", SCALAR, 5)
    assert keys.verify_strict(ROUND_KEY, b"m", good)
    assert not keys.verify_strict(ROUND_KEY, b"m", good[:32] + second.packed(L))
    assert not keys.verify_strict(ROUND_KEY, b"m", good[:63])
    assert not keys.verify_strict(ROUND_KEY, b"m", good + b"\0")
    assert not keys.verify_strict(ROUND_KEY[:31], b"m", good)
    for data in (*second.SMALL_ENCODINGS, second.packed(P + 3)):
        assert not keys.verify_strict(data, b"m", good)
        assert not keys.verify_strict(ROUND_KEY, b"m", data + good[32:])


def test_where_the_library_refuses_a_key_at_once_there_is_no_signature(monkeypatch):
    class Eager:
        @staticmethod
        def from_public_bytes(data):
            raise ValueError("not a point")

    monkeypatch.setattr(libsodium, "verifies_without_cofactor", lambda: False)
    monkeypatch.setattr(keys, "Ed25519PublicKey", Eager)
    assert not keys.verify_strict(ROUND_KEY, b"m", signature_by_hand(ROUND_KEY, b"m", SCALAR, 5))


# --- PyNaCl ---


@pytest.fixture
def fresh():
    caches = libsodium.is_usable.cache_clear, libsodium.verifies_without_cofactor.cache_clear
    for clear in caches:
        clear()
    yield
    for clear in caches:
        clear()


def test_pynacl_is_usable_here(fresh):
    assert libsodium.is_usable()
    libsodium.require()


def test_the_self_check_uses_a_point_of_mixed_order():
    assert second.encode(second.add(second.BASE, second.SMALL[4])) == libsodium._MIXED_ORDER


def test_a_pynacl_that_takes_mixed_for_prime_order_is_not_used(fresh, monkeypatch):
    """As libsodium did before CVE-2025-69277 was corrected."""
    monkeypatch.setattr(bindings, "crypto_core_ed25519_is_valid_point", lambda point: True)
    assert not libsodium.is_usable()
    refused(keys.require_round_key, libsodium._MIXED_ORDER)


def test_a_libsodium_that_verifies_with_the_cofactor_verifies_nothing(fresh, monkeypatch):
    """As its development branch does: OpenSSL decides then."""
    assert libsodium.verifies_without_cofactor()
    key, text, signature = libsodium._MIXED_ORDER, b"\x02", libsodium._COFACTORED
    s, h = second.little(signature[32:]), second.scalar_of_hash(signature[:32], key, text)
    left, right = (
        second.times(8 * s % L, second.BASE),
        second.add(second.times(8, second.decode(signature[:32])), second.times(8 * h % L, second.BASE)),
    )
    assert left == right  # 8 S B = 8 R + 8 h A, since 8 A = 8 B
    libsodium.verifies_without_cofactor.cache_clear()
    monkeypatch.setattr(bindings, "crypto_sign_open", lambda signed, key: signed[64:])
    assert not libsodium.verifies_without_cofactor()
    assert not keys.verify_strict(key, text, signature)


@pytest.mark.parametrize("module", ["nacl", "nacl.bindings"])
def test_without_pynacl_integers_decide(fresh, monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules, "nacl.bindings") if module == "nacl" else None
    assert not libsodium.is_usable()
    keys.require_round_key(ROUND_KEY)
    with pytest.raises(MisuseError, match=r"covey\[decryptor\]"):
        libsodium.require()


def test_importing_loads_no_pynacl():
    code = (
        "import sys; from covey_privacy.secagg import keys, equality_proof; sys.exit('nacl' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
