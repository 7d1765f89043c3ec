"""docs/primitives.md in plain Python. It imports nothing of Covey."""

import hashlib
import hmac
import math

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ed25519, x25519


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def u32(number):
    return number.to_bytes(4, "big")


def cut(data, size):
    return [data[start : start + size] for start in range(0, len(data), size)]


def signed_text(context, body):
    return b"covey/1/" + context.encode() + b"\0" + body


def verified(key, message, signature):
    try:
        ed25519.Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def exchange(secret, public):
    theirs = x25519.X25519PublicKey.from_public_bytes(public)
    return x25519.X25519PrivateKey.from_private_bytes(secret).exchange(theirs)


def public_of(secret):
    return x25519.X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


def hkdf(secret, info):
    pseudorandom = hmac.digest(bytes(32), secret, "sha256")
    return hmac.digest(pseudorandom, info + b"\1", "sha256")


def emsa_pss(message, salt):
    """RFC 8017, 9.1.1, for a key of 2048 bits, with SHA-384, MGF1 and a salt of 48 bytes."""
    digest = hashlib.sha384(bytes(8) + hashlib.sha384(message).digest() + salt).digest()
    mask = b"".join(hashlib.sha384(digest + u32(i)).digest() for i in range(5))[:207]
    block = bytes(a ^ b for a, b in zip(bytes(158) + b"\1" + salt, mask, strict=True))
    return int.from_bytes(bytes([block[0] & 0x7F]) + block[1:] + digest + b"\xbc", "big")


def root_of(leaf, index, size, proof):
    """RFC 9162, 2.1.3.2."""
    last = size - 1
    for sibling in proof:
        if index % 2 or index == last:
            leaf = sha(b"\1", sibling, leaf)
            while index and not index % 2:
                index, last = index // 2, last // 2
        else:
            leaf = sha(b"\1", leaf, sibling)
        index, last = index // 2, last // 2
    return leaf if last == 0 else None


def hadamard(block):
    size, half = len(block), 1
    while half < size:
        for i in range(size):
            if not i & half:
                block[i], block[i + half] = block[i] + block[i + half], block[i] - block[i + half]
        half *= 2
    return [entry / math.sqrt(size) for entry in block]


def encode(vector, norm, scale, seed, random):
    """A vector as integers: clipped, rotated, scaled, rounded."""
    peak = max(map(abs, vector)) or 1.0
    length = math.sqrt(sum((entry / peak) ** 2 for entry in vector)) or 1.0
    vector = [entry / peak * min(peak, norm * (1 - 1e-5) / length) for entry in vector]
    rest = len(vector) % 1024
    padded = len(vector) - rest + (1 << (rest - 1).bit_length() if rest else 0)
    bits = hashlib.shake_256(b"covey/1/rotation\0" + seed).digest((padded + 7) // 8)
    vector += [0.0] * (padded - len(vector))
    vector = [-x if bits[i // 8] >> 7 - i % 8 & 1 else x for i, x in enumerate(vector)]
    scaled = [entry * scale for block in cut(vector, 1024) for entry in hadamard(block)]
    clip, root = norm * scale, math.sqrt(padded)
    most = min((clip + root) ** 2, clip**2 + padded / 4 + clip + root / 2)
    for _ in range(64):
        draws = [int.from_bytes(word, "little") for word in cut(random(4 * padded), 4)]
        whole = [math.floor(x + draw / 2**32) for x, draw in zip(scaled, draws, strict=True)]
        if sum(entry * entry for entry in whole) <= most:
            return whole
    return [math.trunc(entry) for entry in scaled]
