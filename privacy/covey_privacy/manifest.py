"""The manifest: everything a round will do, signed by the operator and logged before anyone takes part."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

from covey_privacy import wire
from covey_privacy.dp import Charge, Encoding, SkellamMechanism
from covey_privacy.errors import ServerError
from covey_privacy.protocol_rules import Rule
from covey_privacy.secagg.terms import Kind, RoundInfo, RoundTerms
from covey_privacy.signatures import SigningKey, Verify, open_signed, sign, verify
from covey_privacy.tickets import IssuerKey, IssuerKeys, Role

CONTEXT = "manifest"

Length = Annotated[int, wire.Range(1, 2**24)]
Norm = Annotated[float, wire.Range(1e-6, 1e6)]
Scale = Annotated[float, wire.Range(1e-6, 1e9)]
Sigma = Annotated[float, wire.Range(0, 1e9)]
Epsilon = Annotated[float, wire.Range(0, 100)]

FIRST = bytes(32)
"""Stands for the manifest before the first of a chain."""


@dataclass(frozen=True, slots=True)
class Step:
    """One round of a plan: what decides its cost. The fields mean what they mean in a `Manifest`."""

    query: wire.Name
    length: Length
    norm: Norm
    scale: Scale
    sigma: Sigma
    bits: Annotated[int, wire.Range(8, 32)]

    @property
    def mechanism(self) -> SkellamMechanism:
        """What the step costs a person."""
        encoding = Encoding(self.length, self.norm, self.scale, self.bits, bytes(32))
        return SkellamMechanism.for_encoding(encoding, self.sigma)


@dataclass(frozen=True, slots=True)
class Plan:
    """The budget plan of a training: its steps, fixed before the first begins; together they cost `epsilon`.

    Every manifest of the chain carries the same plan.
    """

    epsilon: Epsilon
    steps: Annotated[tuple[Step, ...], wire.Size(1, 16)]


@dataclass(frozen=True, slots=True)
class Windows:
    """Until when a round's steps may be taken, in POSIX seconds."""

    volunteer: wire.U64
    contribute: wire.U64
    check: wire.U64
    open: wire.U64

    @property
    def in_order(self) -> bool:
        """Whether each window closes before the next one does."""
        return self.volunteer <= self.contribute < self.check < self.open


@dataclass(frozen=True, slots=True)
class Manifest:
    """One round's terms.

    `sigma` is the noise's standard deviation a coordinate of the sum, in the vector's units; `scale` turns
    units into integer steps; `length` counts the entries of the encoded vector; `honest` is n_h: how many
    devices' shares must add up to the whole noise. `model` is the hash of all that is public and decides a
    device's vector. A round of a training is step number `step` of its `plan`, and `previous` the digest of
    the signed manifest of the step before.

    `issuer` is the digest of the `IssuerKeys` of the purpose set and epoch, and `slot` the one whose tickets
    the round takes. `terms` are those of secure aggregation, `windows` say until when each step may be taken.
    """

    round_id: wire.Name
    query: wire.Name
    purpose: wire.Name
    purposes: wire.Names
    epoch: wire.U64
    profile: wire.Name
    issuer: wire.Bytes32
    model: wire.Bytes32
    length: Length
    norm: Norm
    scale: Scale
    sigma: Sigma
    epsilon: Epsilon
    delta: Annotated[float, wire.Range(1e-12, 1e-2)]
    bits: Annotated[int, wire.Range(8, 32)]
    gamma: Annotated[float, wire.Range(0, 0.5)]
    honest: Annotated[int, wire.Range(1, 2**32 - 1)]
    least_issued: wire.U32
    least_cell: wire.U32
    plan: Plan | None = None
    step: wire.U32 = 0
    previous: wire.Bytes32 = FIRST
    terms: RoundTerms | None = None
    windows: Windows | None = None
    slot: wire.U32 = 1

    def info(self, digest: bytes, registry: bytes, issuer_keys: IssuerKeys) -> RoundInfo:
        """Return what everyone knows of a round before it begins.

        Args:
            digest: of the signed manifest.
            registry: the registry's public key.
            issuer_keys: the keys of the round's purpose set and epoch.

        Raises:
            ServerError: the manifest has no terms, contradicts itself, or names other issuer keys.
        """
        terms = self.require_terms()
        contribute = self.issuer_key(issuer_keys, Role.CONTRIBUTE)
        drawn = Kind.DRAWN in terms.kinds
        volunteer = self.issuer_key(issuer_keys, Role.VOLUNTEER) if drawn else None
        return RoundInfo(terms, digest, registry, contribute, volunteer)

    def issuer_key(self, issuer_keys: IssuerKeys, role: Role) -> IssuerKey:
        """Return the key of a role's tickets in this round.

        Raises ServerError where the manifest names other issuer keys than these, or a slot that they lack,
        PeerError where the issuer keys are not sound.
        """
        issuer_keys.require_sound()
        named = issuer_keys.digest, issuer_keys.purposes, issuer_keys.epoch
        if named != (self.issuer, self.purposes, self.epoch):
            raise ServerError(
                "the manifest names other issuer keys than those in the registry's log for its purpose set "
                "and epoch",
                rule=Rule.MANIFEST_ISSUER,
            )
        return issuer_keys.key_for(role, self.slot)

    def require_terms(self) -> RoundTerms:
        """Return the terms. Raises ServerError where there are none, or they do not fit the other fields."""
        terms, windows = self.terms, self.windows
        if terms is None or windows is None:
            raise ServerError("the manifest has no terms of secure aggregation", rule=Rule.MANIFEST_TERMS)
        stated = terms.length, terms.honest, terms.gamma, terms.steps
        expected = self.length, self.honest, self.gamma, self.sigma * self.scale
        if stated != expected or not windows.in_order:
            raise ServerError(
                f"the manifest's terms state {stated}, its other fields {expected}, or its windows overlap",
                rule=Rule.MANIFEST_TERMS,
            )
        return terms

    def encoding(self, length: int, digest: bytes) -> Encoding:
        """Return how vectors of `length` entries are written; the manifest's digest draws the rotation."""
        return Encoding(length, self.norm, self.scale, self.bits, digest)

    @property
    def charge(self) -> Charge:
        """What the round costs a person: to the phone's odometer, and to the operator's budget."""
        return Charge(self.round_id, self.purpose, self.as_step.mechanism)

    @property
    def as_step(self) -> Step:
        """The round as a step of a plan."""
        return Step(self.query, self.length, self.norm, self.scale, self.sigma, self.bits)

    @property
    def to_come(self) -> tuple[Charge, ...]:
        """What the later steps of the plan will cost a person."""
        later = self.plan.steps[self.step + 1 :] if self.plan else ()
        return tuple(
            Charge(f"{self.round_id}+{ahead}", self.purpose, step.mechanism)
            for ahead, step in enumerate(later, 1)
        )

    def require_place(self) -> None:
        """Raise ServerError unless the round is the step of its plan that it says, or belongs to none."""
        if self.plan is None:
            if self.step or self.previous != FIRST:
                raise ServerError(
                    "the manifest is a step of a training but states no plan", rule=Rule.MANIFEST_PLAN
                )
            return
        steps = self.plan.steps
        if self.step >= len(steps) or steps[self.step] != self.as_step:
            raise ServerError(
                f"the manifest is not step {self.step} of its own plan", rule=Rule.MANIFEST_PLAN
            )
        if (self.step == 0) != (self.previous == FIRST):
            raise ServerError(
                "the first step of a plan follows no manifest, and every later one does",
                rule=Rule.MANIFEST_PLAN,
            )

    def follows(self, before: Manifest) -> bool:
        """Say whether this is the step after `before`, under the same plan."""
        return (self.plan, self.step) == (before.plan, before.step + 1)

    def noise(self, members: int) -> float:
        """Return the standard deviation of the noise that the devices of a set of `members` add together."""
        return self.sigma * math.sqrt(members / self.honest)


def model_digest(question: bytes, *documents: bytes) -> bytes:
    """Return the hash of all that is public and decides a device's vector.

    `question` is the digest of what is asked, `documents` the signed public documents that it builds on.
    """
    hashes = (hashlib.sha256(document).digest() for document in documents)
    return hashlib.sha256(question + b"".join(hashes)).digest()


def sign_manifest(manifest: Manifest, key: SigningKey) -> bytes:
    """Return the manifest signed by the operator."""
    return sign(CONTEXT, manifest, key)


@lru_cache(maxsize=8)
def open_manifest(data: bytes, operator: bytes, verify: Verify = verify) -> Manifest:
    """Return the manifest in `data`, which is opened once in a process.

    Raises PeerError unless the operator signed it.
    """
    return open_signed(Manifest, CONTEXT, data, operator, verify, "operator")
