"""A second phone, decryptor and coordinator: docs/one-message.md in plain Python, without Covey's code.

`contribute` makes the one message, `share_of_member` what a decryptor has of it, `total` the sum.
"""

import hashlib
import hmac

import cbor2
import numpy as np
import second_edwards as edwards
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

Q = 2**31 - 2**17 + 1
RING = 2048
STANDING, DRAWN = b"\x01", b"\x02"


def cbor(value):
    return cbor2.dumps(value, canonical=True)


def sha(data):
    return hashlib.sha256(data).digest()


def digest_of_fields(*fields):
    return sha(b"".join(len(field).to_bytes(4, "big") + field for field in fields))


def to_sign(context, body):
    return b"covey/1/" + context + b"\0" + body


def hkdf(secret, info):
    extracted = hmac.digest(bytes(32), secret, "sha256")
    return hmac.digest(extracted, info + b"\x01", "sha256")


def keystream(key, size):
    return Cipher(algorithms.AES256(key), modes.CTR(bytes(16))).encryptor().update(bytes(size))


def elements(key, count):
    """The first `count` words of 31 bits below q."""
    read, kept = count, []
    while len(kept) < count:
        read += 64
        stream = keystream(key, 4 * read)
        kept = [number & 0x7FFFFFFF for number in numbers(stream) if number & 0x7FFFFFFF < Q]
    return kept[:count]


def words(numbers):
    return b"".join(number.to_bytes(4, "little") for number in numbers)


def numbers(data):
    return [int.from_bytes(data[at : at + 4], "little") for at in range(0, len(data), 4)]


def at_point(points, values, x):
    """The value at x of the polynomial of degree below len(points), by Lagrange's formula."""
    total = 0
    for j, value in zip(points, values, strict=True):
        above, below = 1, 1
        for i in points:
            if i != j:
                above, below = above * (x - i) % Q, below * (j - i) % Q
        total += value * above * pow(below, -1, Q)
    return total % Q


class Committee:
    """One committee of a committee file."""

    def __init__(self, kind, shape, box_keys, evidence):
        self.kind, self.box_keys, self.evidence = kind, box_keys, evidence
        self.members, self.privacy, self.packing, self.corrects = shape
        self.threshold = self.privacy + self.packing

    def chunks(self, length):
        return -(-min(length, RING) // self.packing)


def committees_of(file, standing, drawn):
    """The committees in a file, with the shapes (m, T, rho, e) that the terms give."""
    seats, told = cbor2.loads(file)
    found = []
    if seats:
        each = [seats[at : at + 96] for at in range(0, len(seats), 96)]
        found.append(
            Committee(STANDING, standing, [seat[:32] for seat in each], digest_of_fields(*each)),
        )
    if told:
        _, draw, members = told
        each = [members[at : at + 416] for at in range(0, len(members), 416)]
        found.append(Committee(DRAWN, drawn, [member[320:352] for member in each], sha(draw)))
    return found


def context_of(manifest, committees):
    evidence = [committee.kind + committee.evidence for committee in committees]
    return digest_of_fields(b"covey/2/context", manifest, *evidence)


def share_key(secret, context, kind, round_key, salt, decryptor):
    return hkdf(secret, context + kind + round_key + salt + decryptor.to_bytes(4, "big"))


def deal(committee, context, exchange, round_key, salt, length):
    """The first R shares, the seed and the boxes."""
    width, threshold = committee.chunks(length) + 3, committee.threshold
    keys = []
    for number, box_key in enumerate(committee.box_keys, 1):
        secret = exchange.exchange(X25519PublicKey.from_public_bytes(box_key))
        keys.append(share_key(secret, context, committee.kind, round_key, salt, number))
    first = [elements(key, width) for key in keys[:threshold]]
    points = list(range(1, threshold + 1))
    columns = [[share[column] for share in first] for column in range(width)]
    seed = [
        at_point(points, column, -1 - place) for column in columns[:-3] for place in range(committee.packing)
    ]
    boxes = [
        AESGCM(keys[number - 1]).encrypt(
            bytes(12), words(at_point(points, column, number) for column in columns), context + committee.kind
        )
        for number in range(threshold + 1, committee.members + 1)
    ]
    return first, seed[: min(length, RING)], boxes


def evaluation_points():
    """x_i = psi^(2 brv(i) + 1), i from 0 to 2047."""
    psi = pow(5, (Q - 1) // (2 * RING), Q)
    return np.array([pow(psi, 2 * int(f"{i:011b}"[::-1], 2) + 1, Q) for i in range(RING)])


def pad(manifest, seed, length):
    if length <= RING:
        return seed
    points = evaluation_points()
    inverses = np.array([pow(int(x), -1, Q) for x in points])
    blocks = -(-length // RING)
    drawn = np.array(elements(hkdf(manifest, b"covey/2/ring"), blocks * RING)).reshape(blocks, RING)
    values = np.zeros(RING, np.int64)
    for coefficient in reversed(seed):
        values = (values * points + coefficient) % Q
    made = []
    for factor in drawn:
        product = factor * values % Q
        for _ in range(RING):
            made.append(int(product.sum() % Q) * pow(RING, -1, Q) % Q)
            product = product * inverses % Q
    return made[:length]


def errors(key, length):
    """Ones in two words of 64 bits, less the ones in two others."""
    stream = keystream(key, 32 * length)

    def ones(row, entry):
        at = 8 * (row * length + entry)
        return int.from_bytes(stream[at : at + 8], "little").bit_count()

    return [ones(0, i) + ones(1, i) - ones(2, i) - ones(3, i) for i in range(length)]


def pack(vector, drop):
    rounded = [(y + (1 << drop >> 1)) >> drop for y in vector]
    lower = b"".join((y & 0xFFFF).to_bytes(2, "little") for y in rounded)
    return lower + b"".join((y >> 16).to_bytes(1 if drop else 2, "little") for y in rounded)


def unpack(packed, length, drop):
    width = 1 if drop else 2
    upper = packed[2 * length :]
    return [
        int.from_bytes(packed[2 * i : 2 * i + 2], "little")
        + (int.from_bytes(upper[width * i : width * (i + 1)], "little") << 16)
        for i in range(length)
    ]


def challenge(context, kind, round_key, salt, body, chunks):
    seed = digest_of_fields(b"covey/2/challenge", context, kind, round_key, salt, body)
    drawn = elements(seed, 3 * chunks)
    return [drawn[row * chunks : (row + 1) * chunks] for row in range(3)]


def values_of(share, rows):
    """P_0, P_1 and P_2 at the point of a share."""
    chunks = len(rows[0])
    return [
        (sum(r * f for r, f in zip(row, share[:chunks], strict=True)) + share[chunks + place]) % Q
        for place, row in enumerate(rows)
    ]


def leaf_of(ticket, salt, vector, dealings, committees, length):
    """Round key, salt, body digest, proofs digest."""
    digests = [sha(vector)]
    for (boxes, _), committee in zip(dealings, committees, strict=True):
        size = 4 * (committee.chunks(length) + 3) + 16
        digests += [sha(boxes[at : at + size]) for at in range(0, len(boxes), size)]
    return ticket[0], salt, digest_of_fields(*digests), sha(b"".join(proof for _, proof in dealings))


def contribute(secret, ticket, manifest, committees, vector, drop, random):
    """The one message: `ticket` is [round key, prefix, signature], `vector` signed integers."""
    length, salt, round_key = len(vector), random(32), ticket[0]
    context = context_of(manifest, committees)
    exchange = X25519PrivateKey.from_private_bytes(hashlib.sha512(secret).digest()[:32])
    dealt = [deal(each, context, exchange, round_key, salt, length) for each in committees]
    seed = [sum(entry) % Q for entry in zip(*[seed for _, seed, _ in dealt], strict=True)]
    padded = [v + g for v, g in zip(vector, pad(manifest, seed, length), strict=True)]
    if length > RING:
        padded = [y + e for y, e in zip(padded, errors(random(32), length), strict=True)]
    packed = pack([y % Q for y in padded], drop)
    unproved = [[b"".join(boxes), b""] for _, _, boxes in dealt]
    body = leaf_of(ticket, salt, packed, unproved, committees, length)[2]
    dealings = []
    for committee, (first, _, boxes) in zip(committees, dealt, strict=True):
        rows = challenge(context, committee.kind, round_key, salt, body, committee.chunks(length))
        proof = b"".join(words(values_of(share, rows)) for share in first)
        dealings.append([b"".join(boxes), proof])
    leaf = b"".join(leaf_of(ticket, salt, packed, dealings, committees, length))
    key = Ed25519PrivateKey.from_private_bytes(secret)
    signature = key.sign(to_sign(b"secagg/contribution", manifest + context + leaf))
    return cbor([ticket, salt, packed, dealings, signature])


def montgomery(round_key):
    """u = (1 + y) / (1 - y)."""
    p = 2**255 - 19
    y = int.from_bytes(round_key, "little") & (2**255 - 1)
    return ((1 + y) * pow(1 - y, -1, p) % p).to_bytes(32, "little")


def share_of_member(box_secret, number, committee, manifest, committees, message, length):
    """A decryptor's share of one contribution; None where it is not good."""
    ticket, salt, packed, dealings, _ = cbor2.loads(message)
    context, chunks = context_of(manifest, committees), committee.chunks(length)
    round_key, _, body, _ = leaf_of(ticket, salt, packed, dealings, committees, length)
    boxes, proof = dealings[committees.index(committee)]
    shared = X25519PrivateKey.from_private_bytes(box_secret).exchange(
        X25519PublicKey.from_public_bytes(montgomery(round_key))
    )
    key = share_key(shared, context, committee.kind, round_key, salt, number)
    if number <= committee.threshold:
        share = elements(key, chunks + 3)
    else:
        size, place = 4 * (chunks + 3) + 16, number - committee.threshold - 1
        box = boxes[place * size : (place + 1) * size]
        share = numbers(AESGCM(key).decrypt(bytes(12), box, context + committee.kind))
    proved = numbers(proof)
    points = list(range(1, committee.threshold + 1))
    claim = [at_point(points, proved[place::3], number) for place in range(3)]
    rows = challenge(context, committee.kind, round_key, salt, body, chunks)
    return share[:chunks] if values_of(share, rows) == claim else None


def total(manifest, committees, vectors, sums, length, drop):
    """The sum of the members' vectors: `sums` gives each committee's sums of shares, by decryptor."""
    seed = [0] * min(length, RING)
    for committee, opened in zip(committees, sums, strict=True):
        points = sorted(opened)[: committee.threshold]
        for entry in range(len(seed)):
            chunk, place = divmod(entry, committee.packing)
            seed[entry] += at_point(points, [opened[point][chunk] for point in points], -1 - place)
    added = [sum(entry) for entry in zip(*[unpack(each, length, drop) for each in vectors], strict=True)]
    half = len(vectors) // 2 if drop else 0
    summed = [
        ((units << drop) - half - g) % Q
        for units, g in zip(added, pad(manifest, [s % Q for s in seed], length), strict=True)
    ]
    return [x - Q if x > Q // 2 else x for x in summed]


def unsigned(message):
    """A message as its signature covers it: its last field, the signature, is 64 zero bytes."""
    return cbor([*cbor2.loads(message)[:-1], bytes(64)])


def leaf_hash(entry):
    return sha(b"\0" + entry)


def root_of(hashes):
    """The root of RFC 9162, 2.1."""
    if len(hashes) == 1:
        return hashes[0]
    split = 1 << (len(hashes) - 1).bit_length() - 1
    return sha(b"\1" + root_of(hashes[:split]) + root_of(hashes[split:]))


def drawn_members(records, signed_roster, nonce, members):
    """The records of the decryptors: `records` are those of all volunteers, in any order."""
    roster = sorted(records)  # a record begins with the round key
    beacon = digest_of_fields(signed_roster, nonce)
    order = sorted(range(len(roster)), key=lambda place: sha(beacon + place.to_bytes(4, "big")))
    return [roster[place] for place in order[:members]]


def sampling_number(context, round_key):
    return int.from_bytes(digest_of_fields(b"covey/2/sample", context, round_key)[:8], "big")


def shared_secret(context, kind, leaf, number, box_key, shown):
    """The X25519 secret of a dispute's shown point, None where its proof does not hold."""
    bound = digest_of_fields(b"covey/2/dispute", context, kind, leaf, number.to_bytes(4, "big"))
    u, (point, said, answer) = edwards.little(box_key), shown
    y = (u - 1) * pow(u + 1, -1, edwards.P) % edwards.P
    box_point, dealer, shared = (edwards.x_of(y, 0), y), edwards.decode(leaf[:32]), edwards.decode(point)
    challenge_, response = edwards.little(said), edwards.little(answer)

    def commitment(base, public):
        shifted = edwards.negative(edwards.times(challenge_, public))
        return edwards.add(edwards.times(response, base), shifted)

    points = (edwards.BASE, box_point, dealer, shared, commitment(edwards.BASE, box_point))
    found = edwards.scalar_of_hash(
        b"covey/1/equality-proof/challenge\0",
        len(bound).to_bytes(8, "big") + bound,
        *map(edwards.encode, (*points, commitment(dealer, shared))),
    )
    return montgomery(point) if found == challenge_ and response < edwards.L else None
