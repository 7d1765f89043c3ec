"""The arithmetic of secure aggregation in one message, in plain integers. It imports nothing of ours.

Streams, packed Shamir sharing, the ring, pads, packing, and the rule for a committee's shape.
"""

import itertools
import math
from fractions import Fraction
from typing import NamedTuple

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from second_primitives import cut, hkdf

q = 2**31 - 2**17 + 1
N = 2048


def little(data):
    return int.from_bytes(data, "little")


def words(elements):
    return b"".join(element.to_bytes(4, "little") for element in elements)


def unwords(data):
    return [little(word) for word in cut(data, 4)]


def are_elements(data):
    return len(data) % 4 == 0 and all(word < q for word in unwords(data))


def stream(key, size):
    return Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor().update(bytes(size))


def uniform(key, count):
    """Words of 31 bits, without those that are not below q."""
    kept, blocks = [], count + 64
    while len(kept) < count:
        kept = [word % 2**31 for word in unwords(stream(key, 4 * blocks)) if word % 2**31 < q]
        blocks *= 2
    return kept[:count]


def lagrange(points, x):
    """What takes a polynomial's values at `points` to its value at x."""
    return [
        math.prod(x - other for other in points if other != point)
        * pow(math.prod(point - other for other in points if other != point), -1, q)
        % q
        for point in points
    ]


def values_at(points, rows, x):
    """The values at x of the polynomials whose values at `points` are `rows`, column by column."""
    weights = lagrange(points, x)
    return [
        sum(weight * value for weight, value in zip(weights, column, strict=True)) % q
        for column in zip(*rows, strict=True)
    ]


def psi():
    """A root of X^N + 1: a power of the least number that is no square."""
    return pow(next(g for g in itertools.count(2) if pow(g, (q - 1) // 2, q) != 1), (q - 1) // (2 * N), q)


def values_at_powers(coefficients, root):
    """The polynomial's values at 1, root, root^2, ...: as many as it has coefficients."""
    if len(coefficients) == 1:
        return coefficients
    even, odd = (values_at_powers(coefficients[start::2], root * root % q) for start in (0, 1))
    left, right, power = [], [], 1
    for a, b in zip(even, odd, strict=True):
        left.append((a + power * b) % q)
        right.append((a - power * b) % q)
        power = power * root % q
    return left + right


def reversed_bits(place):
    return int(f"{place:011b}"[::-1], 2)


def transform(coefficients):
    """The values at psi, psi^3, psi^5, ...; the i-th of them stands where i's bits are reversed."""
    twisted = [c * pow(psi(), i, q) % q for i, c in enumerate(coefficients)]
    values = values_at_powers(twisted, pow(psi(), 2, q))
    return [values[reversed_bits(place)] for place in range(N)]


def untransform(values):
    """The coefficients with those values."""
    ordered = [values[reversed_bits(place)] for place in range(N)]
    twisted = values_at_powers(ordered, pow(psi(), -2, q))
    return [c * pow(N, -1, q) * pow(psi(), -i, q) % q for i, c in enumerate(twisted)]


def pad(digest, seed, length):
    """G(seed): the seed itself, or a_0 seed, a_1 seed, ... in the ring."""
    if length <= N:
        return seed[:length]
    blocks = -(-length // N)
    factors = uniform(hkdf(digest, b"covey/2/ring"), blocks * N)
    values = transform(seed)
    padded = []
    for block in range(blocks):
        products = [a * s % q for a, s in zip(factors[block * N :], values, strict=False)]
        padded += untransform(products)
    return padded[:length]


def errors(key, length):
    """128 coins less 128 coins: bits of words of 64, in four planes."""
    coins = [little(word).bit_count() for word in cut(stream(key, 32 * length), 8)]
    a, b, c, d = (coins[plane * length : (plane + 1) * length] for plane in range(4))
    return [w + x - y - z for w, x, y, z in zip(a, b, c, d, strict=True)]


def pack(entries, drop):
    """The upper 31 - d bits, rounded half up: the lower 16 of these, then the others."""
    rounded = [(entry + (1 << drop) // 2) >> drop for entry in entries]
    lower = b"".join((entry % 2**16).to_bytes(2, "little") for entry in rounded)
    return lower + b"".join((entry >> 16).to_bytes(1 if drop else 2, "little") for entry in rounded)


def unpack(data, length, drop):
    lower, upper = cut(data[: 2 * length], 2), cut(data[2 * length :], 1 if drop else 2)
    return [(little(low) + (little(high) << 16)) << drop for low, high in zip(lower, upper, strict=True)]


def total_of(vectors, drop):
    """The sum of unpacked vectors mod q, less half a unit for each that was rounded."""
    half = len(vectors) // 2 if drop else 0
    return [(sum(column) - half) % q for column in zip(*vectors, strict=True)]


# The shape rule


class Shape(NamedTuple):
    members: int
    privacy: int
    packing: int
    corrects: int

    @property
    def threshold(self):
        return self.privacy + self.packing

    @property
    def answers(self):
        """How many are needed, so that e wrong sums are corrected, or one is noticed."""
        return self.threshold + max(2 * self.corrects, 1)

    def chunks(self, length):
        return -(-min(length, N) // self.packing)


def decimal(share):
    return Fraction(str(float(share)))


def exceeded(volunteers, marked, members, bits):
    """The least x that the marked among the members exceed with a chance of at most 2^-bits."""
    ways = [math.comb(marked, i) * math.comb(volunteers - marked, members - i) for i in range(members + 1)]
    return next(x for x in range(members + 1) if sum(ways[x + 1 :]) << bits <= math.comb(volunteers, members))


def corrupt_phones(gamma, issued, admitted=1):
    """K: of all that were issued tickets; of those that a round samples, the 2^-40 tail."""
    corrupt, chance = math.floor(decimal(gamma) * issued), decimal(admitted)
    odds = [math.comb(corrupt, i) * chance**i * (1 - chance) ** (corrupt - i) for i in range(corrupt + 1)]
    return next(x for x in range(corrupt + 1) if sum(odds[x + 1 :]) <= Fraction(1, 2**40))


def answering(volunteers, lost, members):
    """a: fewer answer with a chance of at most 2^-20."""
    return members - exceeded(volunteers, math.floor(decimal(lost) * volunteers), members, 20)


def is_sound(shape, volunteers, corrupt, lost):
    corrupt = min(corrupt, volunteers)
    return (
        1 <= shape.members <= min(volunteers, 600)
        and shape.packing >= 16
        and shape.privacy > exceeded(volunteers, corrupt, shape.members, 40)
        and shape.corrects >= math.ceil(Fraction(corrupt, volunteers) * shape.members)
        and shape.answers <= answering(volunteers, lost, shape.members)
    )


def least_shape(volunteers, corrupt, lost, packing=16, members=None):
    """The least sound shape, None where there is none. Committees below `members` are not tried."""
    for m in range(members or packing + 2, min(volunteers, 600) + 1):
        wrong = math.ceil(Fraction(min(corrupt, volunteers), volunteers) * m)
        shape = Shape(m, exceeded(volunteers, min(corrupt, volunteers), m, 40) + 1, packing, wrong)
        if shape.answers <= answering(volunteers, lost, m):
            return shape
    return None


def is_proved(shape, answers, corrected):
    return answers - shape.threshold - corrected >= shape.privacy
