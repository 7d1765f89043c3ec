"""Blind RSA signatures: RSABSSA-SHA384-PSS-Randomized (RFC 9474).

Function names are the RFC's. Messages and signatures are bytes; a public key is the DER of its
SubjectPublicKeyInfo. The signer blinds the base of its exponentiation, because neither Python's `pow` nor
its integers run in constant time, and checks its own result before it leaves.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import os
from collections.abc import Callable
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

from covey_privacy.errors import MisuseError, PeerError
from covey_privacy.protocol_rules import Rule

Random = Callable[[int], bytes]

MODULUS_BITS = 2048
HASH_LENGTH = 48
SALT_LENGTH = 48
PREFIX_LENGTH = 32


def prepare(message: bytes, random: Random = os.urandom) -> bytes:
    """Return the randomised message: 32 fresh bytes, then `message` (RFC 9474, 4.1)."""
    return random(PREFIX_LENGTH) + message


def blind(key: bytes, prepared: bytes, random: Random = os.urandom) -> tuple[bytes, int]:
    """Return the blinded message and the inverse that `finalize` needs (4.2)."""
    n, e, bits = _numbers(key)
    m = int.from_bytes(emsa_pss_encode(prepared, bits - 1, random(SALT_LENGTH)))
    r = _unit(n, random)
    return _to_bytes(m * _arithmetic().power(r, e, n) % n, bits), _arithmetic().inverse(r, n)


def finalize(key: bytes, prepared: bytes, blind_signature: bytes, inverse: int) -> bytes:
    """Return the signature over `prepared` (4.4). Raises PeerError when the signer's answer is wrong."""
    n, _, bits = _numbers(key)
    if len(blind_signature) != bits // 8:
        raise PeerError(
            f"the blind signature has {len(blind_signature)} bytes; the key's is {bits // 8}",
            rule=Rule.BLIND_SIGNATURE,
        )
    signature = _to_bytes(int.from_bytes(blind_signature) * inverse % n, bits)
    if not verify(key, prepared, signature):
        raise PeerError(
            "the signer's answer does not verify: its key is not the one that was named",
            rule=Rule.BLIND_SIGNATURE,
        )
    return signature


def verify(key: bytes, prepared: bytes, signature: bytes) -> bool:
    """Say whether `signature` is good for `prepared` (4.5: RSASSA-PSS, SHA-384, 48-byte salt)."""
    try:
        _public_key(key).verify(
            signature, prepared, padding.PSS(padding.MGF1(hashes.SHA384()), SALT_LENGTH), hashes.SHA384()
        )
    except InvalidSignature:
        return False
    return True


class Signer:
    """The side that holds the RSA key: `public` in DER, `blind_sign` (4.3)."""

    def __init__(self, key: rsa.RSAPrivateKey) -> None:
        numbers = key.private_numbers()
        self._n, self._e = numbers.public_numbers.n, numbers.public_numbers.e
        self._p, self._q = numbers.p, numbers.q
        self._dp, self._dq, self._q_inverse = numbers.dmp1, numbers.dmq1, numbers.iqmp
        self._bits = key.key_size
        self.public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def blind_sign(self, blinded: bytes, random: Random = os.urandom) -> bytes:
        """Return the blind signature of a blinded message.

        Raises PeerError when `blinded` is not a unit below the modulus.
        """
        z = int.from_bytes(blinded)
        if len(blinded) != self._bits // 8 or z >= self._n or z % self._p == 0 or z % self._q == 0:
            raise PeerError(
                "a blinded message is a unit below the key's modulus; this one is not",
                rule=Rule.BLIND_SIGNATURE,
            )
        r = _unit(self._n, random)
        power, inverse = _arithmetic().power, _arithmetic().inverse
        s = self._power(z * power(r, self._e, self._n) % self._n) * inverse(r, self._n) % self._n
        if power(s, self._e, self._n) != z:
            raise MisuseError("the signature failed its own check: the key or the machine is damaged")
        return _to_bytes(s, self._bits)

    def _power(self, z: int) -> int:
        """Return z^d mod n by the Chinese remainder theorem (RFC 8017, 5.1.2)."""
        power = _arithmetic().secret_power
        a = power(z % self._p, self._dp, self._p)
        b = power(z % self._q, self._dq, self._q)
        return b + (a - b) * self._q_inverse % self._p * self._q


def generate(bits: int = MODULUS_BITS) -> rsa.RSAPrivateKey:
    """Return a fresh RSA key for one signer."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def emsa_pss_encode(message: bytes, bits: int, salt: bytes) -> bytes:
    """Return the encoded message of `bits` bits (RFC 8017, 9.1.1, with SHA-384 and MGF1)."""
    length = (bits + 7) // 8
    digest = hashlib.sha384(bytes(8) + hashlib.sha384(message).digest() + salt).digest()
    block = bytes(length - len(salt) - HASH_LENGTH - 2) + b"\x01" + salt
    masked = bytes(a ^ b for a, b in zip(block, _mgf1(digest, len(block)), strict=True))
    return bytes([masked[0] & 0xFF >> (8 * length - bits)]) + masked[1:] + digest + b"\xbc"


def _mgf1(seed: bytes, length: int) -> bytes:
    blocks = range(-(-length // HASH_LENGTH))
    return b"".join(hashlib.sha384(seed + i.to_bytes(4)).digest() for i in blocks)[:length]


def _unit(n: int, random: Random) -> int:
    """Return a uniform number in 1..n-1. That it is a unit fails with a chance of about 2^-1023."""
    while True:
        r = int.from_bytes(random(n.bit_length() // 8))
        if 0 < r < n:
            return r


def _to_bytes(value: int, bits: int) -> bytes:
    return value.to_bytes(bits // 8)


@functools.lru_cache(maxsize=64)
def _public_key(key: bytes) -> rsa.RSAPublicKey:
    try:
        loaded = load_der_public_key(key)
    except ValueError:
        raise PeerError(
            "an issuer key is the DER of an RSA public key; these bytes are not", rule=Rule.ISSUER_KEY
        ) from None
    if not isinstance(loaded, rsa.RSAPublicKey) or not 2048 <= loaded.key_size <= 4096 or loaded.key_size % 8:
        raise PeerError(
            "an issuer key is an RSA key of 2048 to 4096 bits; this one is not", rule=Rule.ISSUER_KEY
        )
    return loaded


def _numbers(key: bytes) -> tuple[int, int, int]:
    public = _public_key(key)
    numbers = public.public_numbers()
    return numbers.n, numbers.e, public.key_size


class _Arithmetic(NamedTuple):
    power: Callable[[int, int, int], int]
    secret_power: Callable[[int, int, int], int]
    inverse: Callable[[int, int], int]


@functools.cache
def _arithmetic() -> _Arithmetic:
    """Return gmpy2's arithmetic where it is installed: 8 times as fast, hardened for secret exponents."""
    try:
        gmpy2 = importlib.import_module("gmpy2")
    except ImportError:
        return _Arithmetic(pow, pow, lambda r, n: pow(r, -1, n))

    def secret_power(z: int, d: int, n: int) -> int:
        # A server signs beside its other work: no thread is to wait for the long multiplications.
        gmpy2.get_context().allow_release_gil = True
        return int(gmpy2.powmod_sec(z, d, n))

    return _Arithmetic(
        lambda z, e, n: int(gmpy2.powmod(z, e, n)), secret_power, lambda r, n: int(gmpy2.invert(r, n))
    )
