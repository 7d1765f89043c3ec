"""The manifest: everything a round will do, signed by the operator and logged before anyone takes part."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Annotated

from covey_privacy import wire
from covey_privacy.dp import Charge, Encoding, SkellamMechanism
from covey_privacy.signatures import SigningKey, Verify, open_signed, sign, verify

CONTEXT = "manifest"


@dataclass(frozen=True, slots=True)
class Manifest:
    """One round's terms.

    `sigma` is the noise's standard deviation a coordinate of the sum, in the vector's units; `scale` turns
    units into ring steps; `length` counts the ring entries of the masked vector; `honest` is n_h: how many
    devices' shares must add up to the whole noise.
    """

    round_id: wire.Name
    query: wire.Name
    purpose: wire.Name
    purposes: wire.Names
    epoch: wire.U64
    profile: wire.Name
    issuer: wire.Bytes32
    model: wire.Bytes32
    length: Annotated[int, wire.Range(1, 2**24)]
    norm: Annotated[float, wire.Range(1e-6, 1e6)]
    scale: Annotated[float, wire.Range(1e-6, 1e9)]
    sigma: Annotated[float, wire.Range(0, 1e9)]
    epsilon: Annotated[float, wire.Range(0, 100)]
    delta: Annotated[float, wire.Range(1e-12, 1e-2)]
    bits: Annotated[int, wire.Range(8, 32)]
    gamma: Annotated[float, wire.Range(0, 0.5)]
    dropout: Annotated[float, wire.Range(0, 0.5)]
    least_cohort: wire.U32
    most_cohort: wire.U32
    honest: Annotated[int, wire.Range(1, 2**32 - 1)]
    least_issued: wire.U32
    least_cell: wire.U32

    def least_survivors(self, roster: int) -> int:
        """Return the survivors needed so that `honest` remain without the corrupt and oneself."""
        return self.honest + int(self.gamma * roster) + 1

    def encoding(self, length: int, digest: bytes) -> Encoding:
        """Return how vectors of `length` entries are written; the manifest's digest draws the rotation."""
        return Encoding(length, self.norm, self.scale, self.bits, digest)

    def charge(self, encoding: Encoding) -> Charge:
        """Return what the round costs a person: to the phone's odometer, and to the operator's budget."""
        return Charge(self.round_id, self.purpose, SkellamMechanism.of(encoding, self.sigma))


def model_digest(question: bytes, release: bytes) -> bytes:
    """Return the hash of all that is public and decides a device's vector.

    `question` is the query's digest, `release` the signed release that it builds on, or nothing.
    """
    return hashlib.sha256(question + release).digest()


def sign_manifest(manifest: Manifest, key: SigningKey) -> bytes:
    """Return the manifest signed by the operator."""
    return sign(CONTEXT, manifest, key)


def open_manifest(data: bytes, operator: bytes, verify: Verify = verify) -> Manifest:
    """Return the manifest in `data`. Raises PeerError unless the operator signed it."""
    return open_signed(Manifest, CONTEXT, data, operator, verify, "operator")
