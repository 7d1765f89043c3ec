"""A second implementation of secure aggregation in one message. It imports nothing of ours.

`Volunteer`, `Organisation`, `Phone` and `Decryptor` say what these parties say, from their seeds in a vector.
`Coordinator` checks what they sent and decodes the sum. A party that refuses raises `Refusal`, whose text is
who is to blame.
"""

import base64
import hashlib
import itertools
from typing import NamedTuple

import cbor2
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, padding
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import load_der_private_key
from second_arithmetic import (
    N,
    Shape,
    are_elements,
    corrupt_phones,
    errors,
    is_sound,
    pack,
    pad,
    q,
    total_of,
    uniform,
    unpack,
    unwords,
    values_at,
    words,
)
from second_edwards import (
    BASE,
    SMALL_ENCODINGS,
    L,
    P,
    add,
    clamped,
    decode,
    encode,
    little,
    negative,
    packed,
    scalar_of_hash,
    times,
    u_of,
    x_of,
)
from second_primitives import (
    cut,
    emsa_pss,
    exchange,
    hkdf,
    public_of,
    root_of,
    sha,
    signed_text,
    u32,
    verified,
)

STANDING, DRAWN = 1, 2
KINDS = {"standing": STANDING, "drawn": DRAWN}
ZEROS = bytes(32)


class Refusal(Exception):  # noqa: N818  # it is what the page calls it
    """What a party does not accept; its text is who is to blame."""


def require(holds, blame="ServerError"):
    if not holds:
        raise Refusal(blame)


# Encodings


def H(*fields):  # noqa: N802  # as on the page
    return sha(*(u32(len(field)) + field for field in fields))


def cbor(*fields):
    return cbor2.dumps(list(fields), canonical=True)


def number(field):
    return type(field) is int and 0 <= field < 2**32


def octets(least, most=None, step=1):
    most = least if most is None else most
    return lambda field: type(field) is bytes and least <= len(field) <= most and len(field) % step == 0


def text(field):
    return type(field) is str and 1 <= len(field) <= 2**17


def array(*kinds):
    return lambda field: type(field) is list and len(field) == len(kinds) and fits(kinds, field)


def fits(kinds, fields):
    return all(kind(field) for kind, field in zip(kinds, fields, strict=True))


def read(data, *kinds):
    """The fields of an array, each of its kind, with nothing behind it."""
    try:
        fields = cbor2.loads(data)
        require(array(*kinds)(fields) and cbor(*fields) == data, "PeerError")
    except (cbor2.CBORError, ValueError, TypeError):
        raise Refusal("PeerError") from None
    return fields


DIGEST, SIGNATURE, DOCUMENT = octets(32), octets(64), octets(1, 4096)
TICKET = array(DIGEST, DIGEST, octets(256))
PLACES = octets(0, 40_000, 4)
LOGGED = array(text, lambda field: type(field) is int and 0 <= field < 2**64, octets(0, 64 * 32, 32))
DEALT = array(octets(32, 2**17, 32), octets(0, 2**16), octets(1, 2**17), SIGNATURE)


def places(field):
    return [int.from_bytes(each, "big") for each in cut(field, 4)]


def is_signed(key, context, body, signature):
    """By the strict rule: canonical key and R, neither of small order, S below L."""
    points_sound = all(
        little(point) % 2**255 < P and point not in SMALL_ENCODINGS for point in (key, signature[:32])
    )
    return (
        points_sound and little(signature[32:]) < L and verified(key, signed_text(context, body), signature)
    )


def open_head(key, context, document, *kinds):
    try:
        body, signature = read(document, octets(1, 4096), SIGNATURE)
        require(is_signed(key, context, body, signature))
        return read(body, *kinds)
    except Refusal:
        raise Refusal("ServerError") from None


class Tape:
    """The random bytes of a seed, from the front."""

    def __init__(self, seed):
        self.left = iter(hashlib.shake_256(b"covey/2/vector" + bytes.fromhex(seed)).digest(2**12))

    def __call__(self, count):
        return bytes(itertools.islice(self.left, count))


# The round


class Committee(NamedTuple):
    kind: int
    shape: Shape
    box_keys: list
    signers: list
    evidence: bytes

    @property
    def label(self):
        return bytes([self.kind])

    @property
    def boxed(self):
        return range(self.shape.threshold + 1, self.shape.members + 1)


class Round:
    """What everyone knows of a round."""

    def __init__(self, given):
        terms = bytes.fromhex(given["terms"])
        (
            self.length, self.drop, self.steps, self.honest, self.issued, self.gamma, self.lost, self.most,
            organisations, standing, self.bands, self.nonce_hash, self.limit,
        ) = cbor2.loads(terms)  # fmt: skip
        self.organisations, self.digest = cut(organisations, 32), sha(terms)
        self.standing = standing and Shape(*standing)
        self.issuers = {
            role: load_der_private_key(bytes.fromhex(der), None) for role, der in given["issuers"].items()
        }
        self.registry, self.witness = (
            ed25519.Ed25519PrivateKey.from_private_bytes(bytes.fromhex(given[who]))
            .public_key()
            .public_bytes_raw()
            for who in ("registry", "witness")
        )
        self.log = given["log"]
        self.corrupt = corrupt_phones(self.gamma, self.issued, (self.limit + 1) / 2**64)
        self.least_set = self.honest + self.corrupt + 1

    def is_ticket(self, role, ticket):
        pss = padding.PSS(padding.MGF1(hashes.SHA384()), 48)
        message = ticket[32:64] + ticket[:32]
        try:
            self.issuers[role].public_key().verify(ticket[64:], message, pss, hashes.SHA384())
        except InvalidSignature:
            return False
        return True

    def is_sampled(self, round_key):
        drawn = int.from_bytes(H(b"covey/2/sample", self.context, round_key)[:8], "big")
        return self.limit == 2**64 - 1 or drawn <= self.limit

    def read_committees(self, file):
        """Check a committee file; know its committees and the context that binds them."""
        drawn_kind = array(DOCUMENT, DOCUMENT, octets(416, 416 * 1024, 416))
        seats, drawn = read(file, octets(0, 9 * 96, 96), lambda field: field is None or drawn_kind(field))
        committees = []
        if self.standing:
            committees.append(self.read_seats([(seat[:32], seat[32:]) for seat in cut(seats, 96)]))
        if self.bands:
            require(drawn is not None)
            committees.append(self.read_drawn(*drawn))
        require(len(committees) == (seats != b"") + (drawn is not None))
        box_keys = [key for committee in committees for key in committee.box_keys]
        require(len({*box_keys}) == len(box_keys))
        self.committees = committees
        evidence = [committee.label + committee.evidence for committee in committees]
        self.context = H(b"covey/2/context", self.digest, *evidence)

    def read_seats(self, seats):
        require(len(seats) == len(self.organisations))
        for organisation, (box_key, signature) in zip(self.organisations, seats, strict=True):
            signed = self.digest + bytes([STANDING]) + box_key
            require(is_signed(organisation, "secagg/box-key", signed, signature))
        evidence = H(*(box_key + signature for box_key, signature in seats))
        box_keys = [box_key for box_key, _ in seats]
        return Committee(STANDING, self.standing, box_keys, self.organisations, evidence)

    def read_drawn(self, roster, draw, members):
        of, size, _ = open_head(self.registry, "secagg/roster", roster, DIGEST, number, DIGEST)
        kinds = (DIGEST, DIGEST, DIGEST, DIGEST)
        drawn_for, of_roster, nonce, of_members = open_head(self.registry, "secagg/draw", draw, *kinds)
        require(of == drawn_for == self.digest and of_roster == sha(roster) and of_members == sha(members))
        require(sha(nonce) == self.nonce_hash)
        shape = next((Shape(*shape) for least, most, shape in self.bands if least <= size <= most), None)
        require(shape and is_sound(shape, size, self.corrupt, self.lost))
        members = cut(members, 416)
        require(len(members) == len({member[:32] for member in members}) == shape.members)
        for member in members:
            require(self.is_ticket("volunteer", member[:320]), "PeerError")
            signed = self.digest + member[320:352]
            require(is_signed(member[:32], "secagg/volunteer", signed, member[352:]), "PeerError")
        box_keys = [member[320:352] for member in members]
        return Committee(DRAWN, shape, box_keys, [member[:32] for member in members], sha(draw))

    def committee(self, kind):
        return next((each for each in self.committees if each.kind == kind), None)

    def share_key(self, shared, committee, round_key, salt, decryptor):
        return hkdf(shared, self.context + committee.label + round_key + salt + u32(decryptor))

    def coefficients(self, committee, leaf):
        """r: three rows of C."""
        chunks = committee.shape.chunks(self.length)
        seed = H(b"covey/2/challenge", self.context, committee.label, *cut(leaf[:96], 32))
        return cut(uniform(seed, 3 * chunks), chunks)

    def is_contribution(self, leaf, signature):
        return is_signed(leaf[:32], "secagg/contribution", self.digest + self.context + leaf, signature)


def values_of(share, rows):
    """What the proof's three polynomials are at the point of a share: r F + B."""
    return [
        (sum(r * f for r, f in zip(row, share[:-3], strict=True)) + blinding) % q
        for row, blinding in zip(rows, share[-3:], strict=True)
    ]


def inclusion(leaves, index):
    """RFC 9162, 2.1.3.1, over leaf hashes."""
    if len(leaves) == 1:
        return []
    middle = 1 << (len(leaves) - 1).bit_length() - 1
    if index < middle:
        return [*inclusion(leaves[:middle], index), tree_of(leaves[middle:])]
    return [*inclusion(leaves[middle:], index - middle), tree_of(leaves[:middle])]


def tree_of(leaves):
    """RFC 9162, 2.1.1, over leaf hashes."""
    if len(leaves) == 1:
        return leaves[0]
    middle = 1 << (len(leaves) - 1).bit_length() - 1
    return sha(b"\1", tree_of(leaves[:middle]), tree_of(leaves[middle:]))


def root(leaves):
    return tree_of([sha(b"\0", leaf) for leaf in leaves])


# Who sends something


def certify(round_, role, tape):
    """A round key with its ticket; the registry's blind signature in the middle."""
    key = ed25519.Ed25519PrivateKey.from_private_bytes(tape(32))
    public, prefix, salt = key.public_key().public_bytes_raw(), tape(32), tape(48)
    private = round_.issuers[role].private_numbers()
    n, r = private.public_numbers.n, 0
    while not 0 < r < n:
        r = int.from_bytes(tape(256), "big")
    blinded = emsa_pss(prefix + public, salt) * pow(r, private.public_numbers.e, n) % n
    a, b = pow(blinded, private.dmp1, private.p), pow(blinded, private.dmq1, private.q)
    power = b + (a - b) * private.iqmp % private.p * private.q  # blinded^d, RFC 8017, 5.1.2
    signature = power * pow(r, -1, n) % n
    return key, [public, prefix, signature.to_bytes(256, "big")]


class Volunteer:
    def __init__(self, round_, seed):
        self.tape = Tape(seed)
        self.signing, self.ticket = certify(round_, "volunteer", self.tape)
        self.box = self.tape(32)
        signed = signed_text("secagg/volunteer", round_.digest + public_of(self.box))
        self.message = cbor(self.ticket, public_of(self.box), self.signing.sign(signed))


class Organisation:
    def __init__(self, round_, seed):
        self.tape = Tape(seed)
        self.signing = ed25519.Ed25519PrivateKey.from_private_bytes(self.tape(32))
        self.box = self.tape(32)
        signed = round_.digest + bytes([STANDING]) + public_of(self.box)
        self.seat = public_of(self.box) + self.signing.sign(signed_text("secagg/box-key", signed))


class Phone:
    """`faults` are a dealer's as vectors write them: kind of committee, decryptor, part."""

    def __init__(self, round_, seed):
        self.round, self.tape = round_, Tape(seed)
        self.signing, self.ticket = certify(round_, "contribute", self.tape)
        self.round_key = self.ticket[0]

    def retract(self):
        signed = self.round.digest + self.round_key
        signature = self.signing.sign(signed_text("secagg/retraction", signed))
        return cbor(self.round.digest, self.ticket, signature)

    def contribute(self, file, vector, faults=()):
        known = self.round
        known.read_committees(file)
        require(known.is_sampled(self.round_key), "PeerError")
        self.salt, entries = self.tape(32), min(known.length, N)
        honest = [self.deal(committee) for committee in known.committees]
        self.seeds = [seed for _, seed, _ in honest]
        seed = [sum(column) % q for column in zip(*(seed[:entries] for seed in self.seeds), strict=True)]
        error = errors(self.tape(32), known.length) if known.length > N else [0] * known.length
        padded = pad(known.digest, seed, known.length)
        packed_vector = pack([sum(each) % q for each in zip(vector, padded, error, strict=True)], known.drop)
        dealt = [self.deal(committee, faults) for committee in known.committees]
        boxes = [box for _, _, sealed in dealt for box in sealed]
        body = H(sha(packed_vector), *map(sha, boxes))
        leaf = self.round_key + self.salt + body
        proofs = [
            words(value for share in first for value in values_of(share, known.coefficients(committee, leaf)))
            for committee, (first, _, _) in zip(known.committees, dealt, strict=True)
        ]
        self.leaf = leaf + sha(*proofs)
        signed = known.digest + known.context + self.leaf
        signature = self.signing.sign(signed_text("secagg/contribution", signed))
        dealings = [[b"".join(sealed), proof] for (_, _, sealed), proof in zip(dealt, proofs, strict=True)]
        return cbor(self.ticket, self.salt, packed_vector, dealings, signature)

    def deal(self, committee, faults=()):
        """The shares of 1 to R, which are streams; the seed that they give; the other shares, sealed."""
        shape, known = committee.shape, self.round
        secret = hashlib.sha512(self.signing.private_bytes_raw()).digest()[:32]
        try:
            shared = [exchange(secret, box_key) for box_key in committee.box_keys]
        except ValueError:
            raise Refusal("PeerError") from None
        keys = [
            known.share_key(each, committee, self.round_key, self.salt, decryptor)
            for decryptor, each in enumerate(shared, 1)
        ]
        chunks, points = shape.chunks(known.length), range(1, shape.threshold + 1)
        first = [uniform(key, chunks + 3) for key in keys[: shape.threshold]]
        own = [(decryptor, part) for kind, decryptor, part in faults if KINDS[kind] == committee.kind]
        for decryptor, part in own:
            if part == "stream":
                first[decryptor - 1][0] = (first[decryptor - 1][0] + 1) % q
        secrets = [values_at(points, first, -place) for place in range(1, shape.packing + 1)]
        seed = [row[chunk] for chunk in range(chunks) for row in secrets]
        boxes = []
        for decryptor in committee.boxed:
            share = values_at(points, first, decryptor)
            if (decryptor, "share") in own:
                share[0] = (share[0] + 1) % q
            if (decryptor, "element") in own:
                share[0] += q
            associated = known.context + committee.label
            box = AESGCM(keys[decryptor - 1]).encrypt(bytes(12), words(share), associated)
            if (decryptor, "box") in own:
                box = box[:-1] + bytes([box[-1] ^ 1])
            boxes.append(box)
        return first, seed, boxes


# Decryptors


class Decryptor:
    def __init__(self, round_, kind, keys):
        """`keys`: a `Volunteer` or an `Organisation`."""
        self.round, self.committee = round_, round_.committee(kind)
        self.signing, self.box, self.tape = keys.signing, keys.box, keys.tape
        self.number = self.committee.box_keys.index(public_of(self.box)) + 1
        self.checked = self.opened = None

    def check(self, request, now):
        known, asked = self.round, sha(request)
        if self.checked:
            require(self.checked == asked)
            return self.complaints
        head, logged, leaves, boxes, claims = read(
            request, DOCUMENT, LOGGED, octets(128, 128 * 10_000, 128), octets(0, 2**26), octets(0, 2**26)
        )
        size, of, before = self.read_head("secagg/included", head)
        self.require_logged(head, logged, now)
        leaves = cut(leaves, 128)
        keys = [leaf[:32] for leaf in leaves]
        require(keys == sorted({*keys}) and (size, of) == (len(leaves), root(leaves)))
        require(size >= known.least_set and before == ZEROS)
        chunks = self.committee.shape.chunks(known.length)
        box_size = 4 * (chunks + 3) + 16 if self.number in self.committee.boxed else 0
        require(len(boxes) == box_size * size and len(claims) == 12 * size)
        self.leaves, self.root, self.shares = leaves, of, {}
        for place, leaf in enumerate(leaves):
            box = boxes[place * box_size : (place + 1) * box_size]
            share = self.good_share(self.key_of(leaf), leaf, box, claims[12 * place : 12 * place + 12])
            if share:
                self.shares[place] = share
        bad = [place for place in range(size) if place not in self.shares]
        self.checked, self.complained = asked, bad
        self.complaints = self.sign("secagg/check", of, b"".join(map(u32, bad)))
        return self.complaints

    def dispute(self, request, now):
        known = self.round
        grant, logged, member, dealt = read(request, DOCUMENT, LOGGED, number, DEALT)
        kinds = (DIGEST, DIGEST, DIGEST, number)
        of, context, leaf_hash, decryptor = open_head(known.registry, "secagg/dispute", grant, *kinds)
        require(self.committee.kind == DRAWN and member in self.complained)
        leaf = self.leaves[member]
        expected = (known.digest, known.context, sha(b"\0", leaf), self.number)
        require((of, context, leaf_hash, decryptor) == expected)
        self.require_logged(grant, logged, now)
        require(is_dealt(known, self.committee, leaf, self.number, dealt))
        share = judged_share(known, self.committee, leaf, self.number, dealt, self.key_of(leaf))
        if share:
            self.shares[member] = share
            return None
        bound_to = dispute_context(known, self.committee, leaf, self.number)
        return cbor(member, self.number, dealt, show_point(self.box, leaf[:32], bound_to, self.tape(64)))

    def open(self, request, now):
        known, asked = self.round, sha(request)
        if self.opened:
            require(self.opened == asked)
            return self.opening
        head, logged, excluded = read(request, DOCUMENT, LOGGED, PLACES)
        size, of, before = self.read_head("secagg/final", head)
        self.require_logged(head, logged, now)
        excluded = places(excluded)
        require(before == self.root)
        require(excluded == sorted({*excluded}) and max(excluded, default=0) < len(self.leaves))
        members = [place for place in range(len(self.leaves)) if place not in excluded]
        leaves = [self.leaves[place] for place in members]
        require(leaves and (size, of) == (len(leaves), root(leaves)))
        require(size >= known.least_set)
        require({*members} <= {*self.shares})
        columns = zip(*(self.shares[place][:-3] for place in members), strict=True)
        self.opened = asked
        self.opening = self.sign("secagg/open", sha(head), words(sum(column) % q for column in columns))
        return self.opening

    def sign(self, context, *fields):
        return signed_answer(self.round, context, self.signing, self.committee.kind, self.number, *fields)

    def read_head(self, context, head):
        known = self.round
        kinds = (DIGEST, DIGEST, number, DIGEST, DIGEST)
        of, of_committees, size, set_root, before = open_head(known.registry, context, head, *kinds)
        require((of, of_committees) == (known.digest, known.context))
        return size, set_root, before

    def key_of(self, leaf):
        """What this decryptor shares with the dealer of a leaf."""
        shared = exchange(self.box, packed(u_of(decode(leaf[:32]))))
        return self.round.share_key(shared, self.committee, leaf[:32], leaf[32:64], self.number)

    def good_share(self, key, leaf, box, claim):
        return good_share(self.round, self.committee, leaf, self.number, key, box, claim)

    def require_logged(self, document, logged, now):
        """The document is an entry of the log, whose checkpoint the witness cosigned within the hour."""
        note, index, proof = logged
        body, _, below = note.rpartition("\n\n")
        origin, size, log_root = checkpoint(body)
        *lines, end = below.split("\n")
        require(end == "" and all(line.startswith("— ") for line in lines))
        signatures = [line[2:].partition(" ") for line in lines]
        text_signed = f"{body}\n".encode()
        require(any(self.is_of_registry(origin, line, text_signed) for line in signatures))
        times = [self.cosigned_at(line, text_signed) for line in signatures]
        require(any(time is not None and abs(now - time) <= self.round.log["age"] for time in times))
        leaf = sha(b"\0S", document)
        require(index < size and root_of(leaf, index, size, cut(proof, 32)) == log_root)

    def is_of_registry(self, origin, line, signed):
        name, _, blob = line
        key = self.round.registry
        key_id, signature = split_blob(blob)
        mine = (name, key_id) == (origin, sha(origin.encode() + b"\n\x01" + key)[:4])
        if mine:
            require(verified(key, signed, signature))
        return mine

    def cosigned_at(self, line, signed):
        name, _, blob = line
        key = self.round.witness
        key_id, signature = split_blob(blob)
        if (name, key_id) != (self.round.log["witness"], sha(name.encode() + b"\n\x04" + key)[:4]):
            return None
        time = int.from_bytes(signature[:8], "big")
        require(verified(key, f"cosignature/v1\ntime {time}\n".encode() + signed, signature[8:]))
        return time


def split_blob(blob):
    try:
        data = base64.b64decode(blob, validate=True)
    except ValueError:
        raise Refusal("ServerError") from None
    require(len(data) > 4 and base64.b64encode(data).decode() == blob)
    return data[:4], data[4:]


def checkpoint(body):
    try:
        origin, size, log_root = body.split("\n")
        return origin, int(size), base64.b64decode(log_root, validate=True)
    except ValueError:
        raise Refusal("ServerError") from None


def signed_answer(known, context, signing, kind, decryptor, *fields):
    """A decryptor's answer; signed are the context and the answer with zeros for its signature."""
    blank = cbor(kind, decryptor, *fields, bytes(64))
    signature = signing.sign(signed_text(context, known.context + blank))
    return cbor(kind, decryptor, *fields, signature)


def good_share(known, committee, leaf, decryptor, key, box, claim):
    """A share that fits what the proof gives at the decryptor's point; None where there is none."""
    width = committee.shape.chunks(known.length) + 3
    if decryptor in committee.boxed:
        try:
            opened = AESGCM(key).decrypt(bytes(12), box, known.context + committee.label)
        except (InvalidTag, ValueError):
            return None
        if len(opened) != 4 * width or not are_elements(opened):
            return None
        share = unwords(opened)
    else:
        share = uniform(key, width)
    fits_proof = values_of(share, known.coefficients(committee, leaf)) == unwords(claim)
    return share if fits_proof else None


# Disputes


def is_dealt(known, committee, leaf, decryptor, dealt):
    """Whether the dealer of the leaf signed what is shown of its message."""
    digests, box, proofs, signature = dealt
    digests = cut(digests, 32)
    enough = len(digests) > len(committee.boxed)
    signed = enough and known.is_contribution(leaf, signature) and H(*digests) == leaf[64:96]
    signed = signed and sha(proofs) == leaf[96:]
    if decryptor not in committee.boxed:
        return signed and box == b""
    return signed and sha(box) == digests[decryptor - committee.shape.members - 1]


def judged_share(known, committee, leaf, decryptor, dealt, key):
    """The share in what the dealer signed, None for a fault. A drawn committee's proof comes last."""
    _, box, proofs, _ = dealt
    proof = proofs[-12 * committee.shape.threshold :]
    if not are_elements(proof):
        return None
    rows = cut(unwords(proof), 3)
    claim = values_at(range(1, committee.shape.threshold + 1), rows, decryptor)
    return good_share(known, committee, leaf, decryptor, key, box, words(claim))


def dispute_context(known, committee, leaf, decryptor):
    return H(b"covey/2/dispute", known.context, committee.label, leaf, u32(decryptor))


def statement(bound_to, box_point, round_key, point):
    return len(bound_to).to_bytes(8, "big") + bound_to + encode(BASE) + box_point + round_key + point


def challenge_of(stated, *commitments):
    return scalar_of_hash(b"covey/1/equality-proof/challenge\0", stated, *map(encode, commitments))


def show_point(box, round_key, bound_to, seed):
    """Chaum and Pedersen: Z = b E, and a proof that b is that of the box key b B (with sign 0)."""
    scalar = clamped(box) % L
    if times(scalar, BASE)[0] % 2:
        scalar = L - scalar
    dealer = decode(round_key)
    point = encode(times(scalar, dealer))
    stated = statement(bound_to, encode(times(scalar, BASE)), round_key, point)
    prefix = b"covey/1/equality-proof/nonce\0"
    nonce = scalar_of_hash(prefix, packed(scalar), seed, hashlib.sha512(stated).digest())
    challenge = challenge_of(stated, times(nonce, BASE), times(nonce, dealer))
    return [point, packed(challenge), packed((nonce + challenge * scalar) % L)]


def shared_secret(box_key, round_key, bound_to, shown):
    """The X25519 secret of both keys, None where the proof does not hold."""
    point, challenge, response = shown
    c, s = little(challenge), little(response)
    y = (little(box_key) - 1) * pow(little(box_key) + 1, -1, P) % P
    box_point, dealer, common = (x_of(y, 0), y), decode(round_key), decode(point)
    if s >= L or None in (dealer[0], common[0]) or little(point) % 2**255 >= P or point in SMALL_ENCODINGS:
        return None
    commitments = [
        add(times(s, base), negative(times(c % L, image)))
        for base, image in ((BASE, box_point), (dealer, common))
    ]
    stated = statement(bound_to, encode(box_point), round_key, point)
    return packed(u_of(common)) if packed(challenge_of(stated, *commitments)) == challenge else None


# The coordinator


class Coordinator:
    def __init__(self, round_):
        self.round, self.contributions, self.openings, self.convicted = round_, {}, {}, set()

    def take_contribution(self, data):
        known = self.round
        most = octets(1, 2**26)
        dealings = [array(octets(0, 2**26), octets(1, 2**16))] * len(known.committees)
        ticket, salt, vector, dealt, signature = read(data, TICKET, DIGEST, most, array(*dealings), SIGNATURE)
        require(len(vector) == known.length * (3 if known.drop else 4), "PeerError")
        boxes = []
        for committee, (sealed, proof) in zip(known.committees, dealt, strict=True):
            size = 4 * (committee.shape.chunks(known.length) + 3) + 16
            require(len(sealed) == size * len(committee.boxed), "PeerError")
            require(len(proof) == 12 * committee.shape.threshold, "PeerError")
            boxes += cut(sealed, size)
        before = self.contributions.get(ticket[0], (data,))
        require(before[0] == data, "PeerError")
        body, proofs = H(sha(vector), *map(sha, boxes)), [proof for _, proof in dealt]
        leaf = ticket[0] + salt + body + sha(*proofs)
        require(known.is_sampled(ticket[0]), "PeerError")
        require(known.is_ticket("contribute", b"".join(ticket)), "PeerError")
        require(known.is_contribution(leaf, signature), "PeerError")
        require(all(map(are_elements, proofs)), "PeerError")
        self.contributions[ticket[0]] = data, leaf, vector, dealt

    @property
    def members(self):
        """The contributions, sorted by round key."""
        return [self.contributions[key] for key in sorted(self.contributions)]

    def parts_for(self, kind, decryptor):
        """What one decryptor is shown of the set: leaves, its boxes, what the proofs give at its point."""
        known, place = self.round, [each.kind for each in self.round.committees].index(kind)
        committee = known.committees[place]
        size = 4 * (committee.shape.chunks(known.length) + 3) + 16
        boxes = claims = b""
        for _, _, _, dealt in self.members:
            sealed, proof = dealt[place]
            if decryptor in committee.boxed:
                boxes += cut(sealed, size)[decryptor - committee.shape.threshold - 1]
            rows = cut(unwords(proof), 3)
            claims += words(values_at(range(1, committee.shape.threshold + 1), rows, decryptor))
        return b"".join(leaf for _, leaf, _, _ in self.members), boxes, claims

    def take_complaints(self, data):
        kind, decryptor, of, members, signature = read(data, number, number, DIGEST, PLACES, SIGNATURE)
        self.require_answer("secagg/check", kind, decryptor, (of, members), signature)
        leaves = [leaf for _, leaf, _, _ in self.members]
        require(of == root(leaves), "PeerError")
        complained = places(members)
        require(complained == sorted({*complained}), "PeerError")
        require(max(complained, default=0) < len(leaves), "PeerError")

    def take_proof(self, data):
        """What a decryptor shows in a dispute."""
        member, decryptor, dealt, shown = read(data, number, number, DEALT, array(DIGEST, DIGEST, DIGEST))
        known, committee = self.round, self.round.committee(DRAWN)
        require(member < len(self.members) and 1 <= decryptor <= committee.shape.members, "PeerError")
        leaf = self.members[member][1]
        require(is_dealt(known, committee, leaf, decryptor, dealt), "PeerError")
        bound_to = dispute_context(known, committee, leaf, decryptor)
        shared = shared_secret(committee.box_keys[decryptor - 1], leaf[:32], bound_to, shown)
        require(shared is not None, "PeerError")
        key = known.share_key(shared, committee, leaf[:32], leaf[32:64], decryptor)
        require(judged_share(known, committee, leaf, decryptor, dealt, key) is None, "PeerError")
        self.convicted.add(member)

    def take_opening(self, data, head):
        kind, decryptor, of, sums, signature = read(
            data, number, number, DIGEST, octets(4, 8192, 4), SIGNATURE
        )
        committee = self.require_answer("secagg/open", kind, decryptor, (of, sums), signature)
        require(of == sha(head) and are_elements(sums), "PeerError")
        require(len(sums) == 4 * committee.shape.chunks(self.round.length), "PeerError")
        self.openings[kind, decryptor] = unwords(sums)

    def require_answer(self, context, kind, decryptor, fields, signature):
        committee = self.round.committee(kind)
        require(committee and 1 <= decryptor <= committee.shape.members, "PeerError")
        signed = self.round.context + cbor(kind, decryptor, *fields, bytes(64))
        require(is_signed(committee.signers[decryptor - 1], context, signed, signature), "PeerError")
        return committee

    def decode(self, excluded):
        """The sum of the members' vectors as signed integers, and the decryptors whose sums are wrong."""
        known = self.round
        entries = min(known.length, N)
        seed, wrong = [0] * entries, []
        for committee in known.committees:
            sums = {j: row for (kind, j), row in self.openings.items() if kind == committee.kind}
            points, liars = agreeing(committee.shape, sums)
            rows = [sums[j] for j in points]
            secrets = [values_at(points, rows, -place) for place in range(1, committee.shape.packing + 1)]
            found = [row[chunk] for chunk in range(len(secrets[0])) for row in secrets]
            seed = [(a + b) % q for a, b in zip(seed, found, strict=False)]
            wrong += [(committee.kind, j) for j in liars]
        kept = [vector for place, (_, _, vector, _) in enumerate(self.members) if place not in excluded]
        total = total_of([unpack(vector, known.length, known.drop) for vector in kept], known.drop)
        padded = pad(known.digest, seed, known.length)
        difference = [(a - b) % q for a, b in zip(total, padded, strict=True)]
        return [entry - q if entry > q // 2 else entry for entry in difference], wrong


def agreeing(shape, sums):
    """R decryptors whose polynomials all but at most e of the others agree with, and those others."""
    most = min(shape.corrects, (len(sums) - shape.threshold) // 2)
    for count in range(most + 1):
        for liars in itertools.combinations(sorted(sums), count):
            honest = [j for j in sorted(sums) if j not in liars]
            points, rest = honest[: shape.threshold], honest[shape.threshold :]
            rows = [sums[j] for j in points]
            if all(values_at(points, rows, j) == sums[j] for j in rest):
                return points, list(liars)
    raise Refusal("AbortError")


# The registry, as far as others recompute it


def head(signing, context, *fields):
    """A signed document."""
    body = cbor(*fields)
    return cbor(body, signing.sign(signed_text(context, body)))


def record(volunteer):
    """A volunteer's message as a record of 416 bytes."""
    ticket, box_key, signature = cbor2.loads(volunteer)
    return b"".join((*ticket, box_key, signature))


def draw(roster, signed_roster, nonce, members):
    """The first members of a sorted roster, in the order of the draw."""
    beacon = H(signed_roster, nonce)
    order = sorted(range(len(roster)), key=lambda place: sha(beacon, u32(place)))
    return [roster[place] for place in order[:members]]


def placed(leaves, place):
    hashes_ = [sha(b"\0", leaf) for leaf in leaves]
    return [cut(leaves[place], 32), place, b"".join(inclusion(hashes_, place))]


def membership(leaves, round_key):
    """That a round key is in a set, or that it is not: its leaf, or the neighbours."""
    keys = [leaf[:32] for leaf in leaves]
    if round_key in keys:
        return cbor(placed(leaves, keys.index(round_key)))
    after = sum(key < round_key for key in keys)
    return cbor([placed(leaves, place) for place in (after - 1, after) if 0 <= place < len(leaves)])
