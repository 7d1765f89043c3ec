"""Test vectors: whole rounds from given randomness, message by message, and messages that must be refused.

    python -m covey_privacy.vectors tests/vectors           # play again and compare
    python -m covey_privacy.vectors tests/vectors --write   # after a change of the protocol

A vector gives the secrets of issuer and registry, the manifest and each device's seed, then every message in
the order of the phases, and the sum. A device's random bytes are SHAKE-256 of "covey/1/vector" and its seed,
given out from the front in the order in which the protocol needs them: round key, the message's prefix, salt
and blinding factor of its ticket; then mask key, parcel key, self-mask seed; then the shares' coefficients.
Another implementation that is given the same says the same.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from covey_privacy import blind_rsa, ticket_signer, tickets, wire
from covey_privacy.errors import MisuseError, PrivacyError
from covey_privacy.five_phases import Aggregator, Participant, Sum, Terms
from covey_privacy.manifest import Manifest
from covey_privacy.signatures import SigningKey
from covey_privacy.ticket_signer import TicketSigner
from covey_privacy.tickets import IssuerKeys

STEPS = ("share", "mask", "agree", "open")
"""What a device is told for, after its advert."""

ROUNDS = {"all-stay": (4, ()), "one-drops-out": (8, (5,))}
"""Rounds by name: how many devices, and which of them, by number, fall silent before their vector."""

PURPOSES = ("analytics", "personalize")
EPOCH = 20_000
LENGTH = 12
RANDOM_BYTES = 2**15

Json = dict[str, Any]


class Tape:
    """The random bytes of a seed, each given out once."""

    def __init__(self, seed: bytes) -> None:
        self._left = hashlib.shake_256(b"covey/1/vector" + seed).digest(RANDOM_BYTES)

    def __call__(self, count: int) -> bytes:
        """Return the next bytes. Raises MisuseError when there are no more."""
        if count > len(self._left):
            raise MisuseError(f"a vector's device may use {RANDOM_BYTES} random bytes, not more")
        taken, self._left = self._left[:count], self._left[count:]
        return taken


class Round:
    """A vector's round. `devices` are by place in the roster; `told` holds what each was told, by step."""

    def __init__(self, given: Json) -> None:
        self._given = given
        self._signer = blind_rsa.Signer(_private(bytes.fromhex(given["issuer"])))
        issuer_keys = wire.decode(IssuerKeys, bytes.fromhex(given["issuer_keys"]))
        self._registry = SigningKey(bytes.fromhex(given["registry"]))
        manifest = wire.decode(Manifest, bytes.fromhex(given["manifest"]))
        digest = hashlib.sha256(bytes.fromhex(given["manifest"])).digest()
        self.terms = Terms(manifest, digest, issuer_keys, self._registry.public)
        self.devices: dict[int, Participant] = {}
        self.told: dict[str, dict[int, bytes]] = {}

    def play(self, until: str | None = None) -> Json:
        """Return every message and the sum; up to, and without, the step `until` where that is given."""
        return dict(self._played(until))

    def _played(self, until: str | None) -> Iterator[tuple[str, Any]]:
        aggregator, joined = Aggregator(self.terms), [self._device(seed) for seed in self._given["devices"]]
        adverts = [device.advertise() for device in joined]
        yield "adverts", [advert.hex() for advert in adverts]
        roster = aggregator.freeze(adverts)
        countersignature = roster.head().countersign(self._registry)
        directory = aggregator.countersigned(countersignature)
        self.devices = {directory.index(device.round_key) or 0: device for device in joined}
        gone = {directory.index(joined[number].round_key) for number in self._given["drop_out"]}
        tell: dict[str, Callable[[dict[int, bytes]], dict[int, bytes]]] = {
            "share": lambda _: {place: directory.view(place) for place in sorted(self.devices)},
            "mask": lambda said: _without(aggregator.deliver(said.values()), gone),
            "agree": lambda said: self._survivors(aggregator, said),
            "open": lambda said: aggregator.gather(said.values()),
        }
        said: dict[int, bytes] = {}
        for step in STEPS:
            self.told[step] = tell[step](said)
            if step == until:
                return
            said = {place: self.act(step, place, message) for place, message in self.told[step].items()}
            yield step, [[place, self.told[step][place].hex(), said[place].hex()] for place in said]
        yield "sum", aggregator.total(said.values()).vector.tolist()

    def act(self, step: str, place: int, message: bytes) -> bytes:
        """Let a device take a step."""
        vector = (np.full(LENGTH, place + 1, np.uint32),) if step == "mask" else ()
        said: bytes = getattr(self.devices[place], step)(message, *vector)
        return said

    def _device(self, seed: str) -> Participant:
        tape = Tape(bytes.fromhex(seed))
        issuers = [self.terms.issuer]
        (pending,) = tickets.request(issuers, tape)
        # What blinds the signer's own arithmetic is no part of what it answers.
        (key,) = tickets.receive(issuers, [pending], [self._signer.blind_sign(pending.blinded)])
        return Participant(self.terms, key, random=tape)

    def _survivors(self, aggregator: Aggregator, said: dict[int, bytes]) -> dict[int, bytes]:
        total = Sum(len(self.devices), self.terms.manifest.length, self.terms.manifest.bits)
        for masked in said.values():
            total.add(masked)
        return dict.fromkeys(said, aggregator.survive([total.message()]))


def draw(name: str) -> Json:
    """Return what a new vector of that name starts from."""
    count, drop_out = ROUNDS[name]
    private = ticket_signer.generate_private_keys(1)
    issuer_keys, key = TicketSigner.of(PURPOSES, EPOCH, private).keys, private[0]
    seeds = [hashlib.sha256(f"{name} {number}".encode()).hexdigest() for number in range(count)]
    return {
        "issuer": key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()).hex(),
        "issuer_keys": wire.encode(issuer_keys).hex(),
        "registry": hashlib.sha256(name.encode()).hexdigest(),
        "manifest": wire.encode(_manifest(name, issuer_keys, count)).hex(),
        "devices": seeds,
        "drop_out": list(drop_out),
    }


def refused(given: Json, honest: Json) -> list[Json]:
    """Return messages, one bit off, each with the error and the rule that it meets, and at which step.

    Another survivor set may be signed by one device: it opens nothing, because its neighbours signed theirs.
    """
    return [_refused(given, honest, step, part) for step in STEPS for part in range(3)]


def _refused(given: Json, honest: Json, step: str, part: int) -> Json:
    """Return what becomes of a message to the first survivor, a bit flipped at end, middle or front."""
    played = Round(given)
    played.play(until=step)
    place = honest["open"][0][0]
    message = bytearray(played.told[step][place])
    message[(-1, len(message) // 2, 3)[part]] ^= 1
    found = {"step": step, "device": place, "message": message.hex()}
    told = {later: dict(row[:2] for row in honest[later])[place] for later in STEPS[STEPS.index(step) :]}
    for later, sent in {**told, step: message.hex()}.items():
        try:
            played.act(later, place, bytes.fromhex(sent))
        except PrivacyError as error:
            return {**found, "refused_at": later, "error": type(error).__name__, "rule": error.rule}
    return {**found, "refused_at": None, "error": None, "rule": None}


def main(arguments: list[str]) -> int:
    """Compare the vectors in a folder with what is played now, or write them."""
    folder, *write = arguments or ["tests/vectors"]
    wrong = [name for name in ROUNDS if not _same(Path(folder) / f"{name}.json", name, bool(write))]
    for name in wrong:
        sys.stderr.write(f"{name}: the code says other bytes than the vector\n")
    return 1 if wrong else 0


def _same(path: Path, name: str, write: bool) -> bool:
    old = json.loads(path.read_text("utf-8")) if path.exists() else {"given": draw(name)}
    played = Round(old["given"]).play()
    new = {"given": old["given"], "played": played, "refused": refused(old["given"], played)}
    if write:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(new, indent=1) + "\n", "utf-8")
    return write or old == new


def _without(messages: dict[int, bytes], gone: set[int | None]) -> dict[int, bytes]:
    return {place: message for place, message in messages.items() if place not in gone}


def _private(der: bytes) -> rsa.RSAPrivateKey:
    key = load_der_private_key(der, None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise MisuseError("a vector's issuer is an RSA key in PKCS #8; this one is not")
    return key


def _manifest(name: str, issuer_keys: IssuerKeys, count: int) -> Manifest:
    return Manifest(
        round_id=name, query="q1", purpose="analytics", purposes=PURPOSES, epoch=EPOCH, profile="test",
        issuer=issuer_keys.digest, model=bytes(32), length=LENGTH, norm=1.0, scale=64.0, sigma=4.0,
        epsilon=1.0, delta=1e-6, bits=20, gamma=0.0, dropout=0.0, least_cohort=2, most_cohort=count,
        honest=1, least_issued=0, least_cell=50,
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
