"""docs/primitives.md in plain Python. It takes nothing from Covey: what it says, the page tells."""

import hashlib
import hmac
import math

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ed25519, x25519
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

P = 65537
SHARE = 64


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


def stream(key, length):
    octets = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor().update(bytes(4 * length))
    return [int.from_bytes(word, "little") for word in cut(octets, 4)]


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


def ring_neighbours(beacon, n, degree, index):
    if degree >= n - 1:
        return [other for other in range(n) if other != index]
    order = sorted(range(n), key=lambda i: sha(beacon, u32(i)))
    place = order.index(index)
    return sorted(order[(place + step) % n] for step in range(-degree // 2, degree // 2 + 1) if step)


def parameters(n, gamma, delta):
    """(k, t), or None where no graph is safe and live."""
    if gamma + 2 * delta > 0.9:
        return None
    corrupt, gone = math.floor(gamma * n), math.floor(delta * n)
    if n < 50:
        k, t = n - 1, 2 * n // 3 + 1
        return (k, t) if 2 * t > k + corrupt and t <= k - gone else None
    alive = math.ceil((1 - delta) * n)
    for k in range(2, n, 2):
        bad, ways = corrupt + gone, math.comb(n, k)
        cut_off = n * (n - k - 1) / 2 * (math.comb(bad, k) / ways if bad >= k else 0)

        def at_most(x, marked, k=k, ways=ways):
            return sum(math.comb(marked, i) * math.comb(n - marked, k - i) for i in range(x + 1)) / ways

        most_bad = next(x for x in range(k + 1) if 1 - at_most(x, corrupt) <= 2.0**-41 / n)
        fewest = sum(at_most(x, alive) <= 2.0**-20 / n for x in range(k + 1))
        least = math.ceil((most_bad + k - 1.25) / 2)
        if cut_off < 2.0**-41 and least < fewest:
            return k, max(least + 1, 2)
    return None


def split(secret, threshold, count, tape):
    """Shares 1..count: limb by limb, a polynomial's values as 32-bit words."""
    limbs = [int.from_bytes(limb, "big") for limb in cut(secret, 2)]
    wanted, found = (threshold - 1) * len(limbs), []
    while len(found) < wanted:
        draws = [int.from_bytes(word, "big") & 0x1FFFF for word in cut(tape(8 * wanted + 64), 4)]
        found += [draw for draw in draws if draw < P]
    rows = [limbs, *(found[start : start + len(limbs)] for start in range(0, wanted, len(limbs)))]
    return [
        b"".join(u32(sum(row[i] * x**j for j, row in enumerate(rows)) % P) for i in range(len(limbs)))
        for x in range(1, count + 1)
    ]


def combine(shares):
    """The secret behind exactly t shares by number: Lagrange's value at 0."""
    limbs = [0] * (SHARE // 4)
    for x, share in shares.items():
        others = [y for y in shares if y != x]
        weight = math.prod(others) * pow(math.prod(y - x for y in others), -1, P)
        limbs = [
            (a + weight * int.from_bytes(w, "big")) % P for a, w in zip(limbs, cut(share, 4), strict=True)
        ]
    return b"".join(limb.to_bytes(2, "big") for limb in limbs)


def planes(bits):
    """(shift, width) of each plane."""
    shift = 0
    while shift < bits:
        width = next(width for width in (16, 8, 1) if shift + width <= bits)
        yield shift, width
        shift += width


def pack(vector, bits):
    packed = b""
    for shift, width in planes(bits):
        whole = sum((entry >> shift & (1 << width) - 1) << width * i for i, entry in enumerate(vector))
        packed += whole.to_bytes((width * len(vector) + 7) // 8, "little")
    return packed


def unpack(packed, length, bits):
    vector = [0] * length
    for shift, width in planes(bits):
        size = (width * length + 7) // 8
        whole, packed = int.from_bytes(packed[:size], "little"), packed[size:]
        vector = [v | (whole >> width * i & (1 << width) - 1) << shift for i, v in enumerate(vector)]
    return vector


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
