"""A second phone: docs/protocol.md in plain Python. It takes nothing from Covey.

`Phone` plays a device of a frozen round, `total` the coordinator's last step.
"""

import hashlib
import itertools

import cbor2
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, padding
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import load_der_private_key
from second_primitives import (
    SHARE,
    combine,
    cut,
    emsa_pss,
    exchange,
    hkdf,
    pack,
    parameters,
    public_of,
    ring_neighbours,
    root_of,
    sha,
    signed_text,
    split,
    stream,
    u32,
    unpack,
    verified,
)

NEIGHBOUR, PARCEL, SIGNED, OPENING = 484, 148, 68, 68


class Refusal(Exception):  # noqa: N818  # it is what the page calls it
    """What a phone does not answer; its text is who is to blame."""


def require(holds, blame="ServerError"):
    if not holds:
        raise Refusal(blame)


def cbor(*fields):
    return cbor2.dumps(list(fields), canonical=True)


def number(field):
    return type(field) is int and 0 <= field < 2**32


def octets(size):
    return lambda field: type(field) is bytes and len(field) == size


def records(size, least=0):
    return lambda field: type(field) is bytes and len(field) % size == 0 and len(field) >= least * size


def proofs(field):
    return type(field) is list and all(map(records(32), field))


def read(data, *kinds):
    """The fields of an array, each of its kind, with nothing behind it."""
    try:
        fields = cbor2.loads(data)
        good = [kind(field) for kind, field in zip(kinds, fields, strict=True)]
    except (cbor2.CBORError, ValueError, TypeError):
        raise Refusal("PeerError") from None
    require(all(good) and cbor(*fields) == data, "PeerError")
    return fields


class Phone:
    def __init__(self, given, seed):
        self.tape = iter(hashlib.shake_256(b"covey/1/vector" + bytes.fromhex(seed)).digest(2**15))
        self.drawn_from = seed
        self.terms = cbor2.loads(bytes.fromhex(given["manifest"]))
        self.digest = sha(bytes.fromhex(given["manifest"]))
        self.issuer = load_der_private_key(bytes.fromhex(given["issuer"]), None)
        registry = ed25519.Ed25519PrivateKey.from_private_bytes(bytes.fromhex(given["registry"]))
        self.registry = registry.public_key().public_bytes_raw()
        self.length, self.bits = self.terms[8], self.terms[14]

    def random(self, count):
        return bytes(itertools.islice(self.tape, count))

    def advertise(self):
        self.round = ed25519.Ed25519PrivateKey.from_private_bytes(self.random(32))
        self.name, prefix = self.round.public_key().public_bytes_raw(), self.random(32)
        ticket = [self.name, prefix, self.ticket(prefix + self.name)]
        self.mask_key, self.seal_key, self.seed = (self.random(32) for _ in range(3))
        keys = [public_of(self.mask_key), public_of(self.seal_key), sha(b"covey/1/seed", self.seed)]
        keys.append(self.round.sign(signed_text("advert", self.digest + b"".join(keys))))
        self.leaf = sha(b"\0", *ticket, *keys)
        return cbor(ticket, *keys)

    def ticket(self, message):
        """A ticket's signature, with what the registry answers in its middle."""
        private, salt = self.issuer.private_numbers(), self.random(48)
        n, r = private.public_numbers.n, 0
        while not 0 < r < n:
            r = int.from_bytes(self.random(256), "big")
        blinded = emsa_pss(message, salt) * pow(r, private.public_numbers.e, n) % n
        return (pow(blinded, private.d, n) * pow(r, -1, n) % n).to_bytes(256, "big")

    def share(self, view):
        size, root, countersignature, index, inclusion, neighbours, inclusions = read(
            view, number, octets(32), octets(64), number, records(32), records(NEIGHBOUR, 1), proofs
        )
        head = cbor(self.terms[0], self.digest, size, root)
        require(verified(self.registry, signed_text("roster", head), countersignature))
        beacon = sha(countersignature)
        require(self.terms[17] <= size <= self.terms[18])
        graph = parameters(size, self.terms[15], self.terms[16])
        require(graph)
        degree, self.threshold = graph
        require(root_of(self.leaf, index, size, cut(inclusion, 32)) == root)
        near = [(int.from_bytes(each[:4], "big"), each[4:]) for each in cut(neighbours, NEIGHBOUR)]
        require([peer for peer, _ in near] == ring_neighbours(beacon, size, degree, index))
        require(len(inclusions) == len(near))
        for (peer, advert), shown in zip(near, inclusions, strict=True):
            self.check(advert)
            require(root_of(sha(b"\0", advert), peer, size, cut(shown, 32)) == root)
        self.bind(size, root, beacon)
        self.index, self.size = index, size
        self.peers = {peer: (advert[:32], advert[320:352], advert[352:384]) for peer, advert in near}
        shares = split(self.seed + self.mask_key, self.threshold, len(near), self.random)
        sealed = [u32(peer) + self.seal(peer, share) for peer, share in zip(self.peers, shares, strict=True)]
        return cbor(index, b"".join(sealed))

    def check(self, advert):
        pss = padding.PSS(padding.MGF1(hashes.SHA384()), 48)
        message = advert[32:64] + advert[:32]
        try:
            self.issuer.public_key().verify(advert[64:320], message, pss, hashes.SHA384())
        except InvalidSignature:
            raise Refusal("PeerError") from None
        text = signed_text("advert", self.digest + advert[320:416])
        require(verified(advert[:32], text, advert[416:]), "PeerError")

    def bind(self, size, root, beacon):
        purposes = "+".join(self.terms[3]).encode()
        fields = (self.terms[0].encode(), self.digest, self.terms[7], purposes, u32(size), root, beacon)
        self.context = sha(*(u32(len(field)) + field for field in fields))

    def parcel_key(self, peer, sender, recipient):
        info = b"covey/1/seal" + self.context + u32(sender) + u32(recipient)
        return AESGCM(hkdf(exchange(self.seal_key, self.peers[peer][2]), info)), info

    def seal(self, peer, share):
        key, info = self.parcel_key(peer, self.index, peer)
        return key.encrypt(bytes(12), share, info)

    def unseal(self, peer, sealed):
        key, info = self.parcel_key(peer, peer, self.index)
        try:
            return key.decrypt(bytes(12), sealed, info)
        except InvalidTag:
            raise Refusal("PeerError") from None

    def mask(self, inbox):
        device, parcels = read(inbox, number, records(PARCEL))
        sent = [(int.from_bytes(parcel[:4], "big"), parcel[4:]) for parcel in cut(parcels, PARCEL)]
        require(device == self.index and {peer for peer, _ in sent} <= {*self.peers})
        require(len({peer for peer, _ in sent}) == len(sent) >= self.threshold)
        self.held = {peer: self.unseal(peer, sealed) for peer, sealed in sent}
        vector = [self.index + 1] * self.length
        keys = {peer: self.mask_with(peer) for peer in self.held}
        keys[self.index] = hkdf(self.seed, b"covey/1/self" + self.context)
        for peer, key in keys.items():
            sign = 1 if peer >= self.index else -1
            vector = [a + sign * b for a, b in zip(vector, stream(key, self.length), strict=True)]
        return cbor(self.index, pack([entry % 2**32 for entry in vector], self.bits))

    def mask_with(self, peer):
        low, high = sorted((self.index, peer))
        info = b"covey/1/mask" + self.context + u32(low) + u32(high)
        return hkdf(exchange(self.mask_key, self.peers[peer][1]), info)

    def agree(self, survivors):
        size, bitmap = read(survivors, number, records(1, 1))
        alive = {i for i in range(8 * len(bitmap)) if bitmap[i // 8] >> i % 8 & 1}
        require(size == self.size and len(bitmap) == (size + 7) // 8 and max(alive, default=0) < size)
        require(self.index in alive and len(alive) >= self.terms[19] + int(self.terms[15] * size) + 1)
        require(alive & {*self.peers} <= {*self.held})
        require(len(alive & {*self.held}) >= self.threshold)
        self.alive, self.text = alive, signed_text("survivors", self.context + sha(survivors))
        return cbor(self.index, self.round.sign(self.text))

    def open(self, agreements):
        (said,) = read(agreements, records(SIGNED))
        signed = {int.from_bytes(each[:4], "big"): each[4:] for each in cut(said, SIGNED)}
        near = {peer: keys[0] for peer, keys in self.peers.items() if peer in self.alive & {*signed}}
        good = [peer for peer, key in near.items() if verified(key, self.text, signed[peer])]
        require(len(good) >= self.threshold, "PeerError")
        halves = {p: pair[:SHARE] if p in self.alive else pair[SHARE:] for p, pair in self.held.items()}
        return cbor(self.index, b"".join(u32(peer) + half for peer, half in halves.items()))


def total(phones, masked, opened):
    """The coordinator's sum of what the devices said; the roster's keys are looked up on the phones."""
    some = next(iter(phones.values()))
    vector = [0] * some.length
    for packed in masked.values():
        vector = [a + b for a, b in zip(vector, unpack(packed, some.length, some.bits), strict=True)]
    for owner in {int.from_bytes(each[:4], "big") for said in opened.values() for each in cut(said, OPENING)}:
        shares = {
            [*phones[owner].peers].index(holder) + 1: each[4:]
            for holder, said in opened.items()
            for each in cut(said, OPENING)
            if each[:4] == u32(owner)
        }
        secret = combine(dict(itertools.islice(sorted(shares.items()), some.threshold)))
        for key, sign in left(phones[owner], secret, masked):
            vector = [a + sign * b for a, b in zip(vector, stream(key, some.length), strict=True)]
    return [entry % 2**some.bits for entry in vector]


def left(phone, secret, masked):
    """The streams that an owner left in the sum, and their signs to take them out."""
    if phone.index in masked:
        return [(hkdf(secret, b"covey/1/self" + phone.context), -1)]
    phone.mask_key = secret
    near = [peer for peer in phone.peers if peer in masked]
    return [(phone.mask_with(peer), 1 if peer > phone.index else -1) for peer in near]
