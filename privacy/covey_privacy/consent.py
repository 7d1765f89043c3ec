"""What a phone and the registry say to each other: notices, enrolment, decisions, tickets, the log's head.

A phone signs what it sends with the device key that it enrolled; the registry signs notices.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Annotated

from covey_privacy import wire
from covey_privacy.tickets import SIGNATURE_LENGTH, IssuerKey

GRANTED = "granted"
REFUSED = "refused"
WITHDRAWN = "withdrawn"

NOTICE = "notice"
ENROLMENT = "enrolment"
DECISION = "decision"
SYNC = "sync"
TICKETS = "tickets"

LEAF_ISSUER = b"I"
LEAF_MANIFEST = b"M"
LEAF_ROSTER = b"R"
LEAF_EVIDENCE = b"E"
LEAF_NOTICE = b"N"
LEAF_EPOCH_END = b"X"

Epsilon = Annotated[float, wire.Range(0, 100)]
Blinded = Annotated[bytes, wire.Size(SIGNATURE_LENGTH)]
Proof = Annotated[tuple[wire.Bytes32, ...], wire.Records(0, 64)]
Milliseconds = wire.U64


@dataclass(frozen=True, slots=True)
class NoticeText:
    """A notice in one language."""

    language: wire.Name
    title: wire.Text
    text: wire.Text

    @property
    def digest(self) -> bytes:
        """SHA-256 of what the person was shown."""
        return hashlib.sha256(wire.encode(self)).digest()


@dataclass(frozen=True, slots=True)
class Notice:
    """What is asked for one purpose, and the most privacy that it may cost a person in a year.

    `basis` is "consent" or "contract": a contract's purpose needs no consent, every other defaults to off.
    `epsilon` caps this purpose, `epsilon_total` all purposes together, both a year at `delta`.
    """

    purpose: wire.Name
    version: wire.U32
    basis: wire.Name
    epsilon: Epsilon
    epsilon_total: Epsilon
    delta: Annotated[float, wire.Range(1e-12, 1e-2)]
    texts: Annotated[tuple[NoticeText, ...], wire.Size(1, 16)]

    def text(self, language: str) -> NoticeText:
        """Return the notice in `language`, or in its first language where that is missing."""
        return next((text for text in self.texts if text.language == language), self.texts[0])


@dataclass(frozen=True, slots=True)
class Notices:
    """All current notices, each a `Signed` by the registry: the same download for everyone."""

    notices: Annotated[tuple[Annotated[bytes, wire.Size(1, 2**16)], ...], wire.Size(0, 64)]


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A device makes itself known by the key that will sign its decisions."""

    device: wire.Bytes32
    at: Milliseconds


@dataclass(frozen=True, slots=True)
class Decision:
    """One person's choice for one purpose, made on one text of one notice. Nothing is bundled."""

    device: wire.Bytes32
    purpose: wire.Name
    state: wire.Name
    notice_version: wire.U32
    language: wire.Name
    text_digest: wire.Bytes32
    method: wire.Name
    at: Milliseconds


@dataclass(frozen=True, slots=True)
class Batch:
    """Signed messages of many devices in one request: enrolments or decisions, taken all or none."""

    signed: Annotated[tuple[Annotated[bytes, wire.Size(1, 2**12)], ...], wire.Size(1, 10_000)]
    devices: Annotated[tuple[wire.Bytes32, ...], wire.Size(1, 10_000)]


@dataclass(frozen=True, slots=True)
class Sync:
    """A device asks what the registry holds of its choices, and for the log's head since `log_size`."""

    device: wire.Bytes32
    at: Milliseconds
    log_size: wire.U64


@dataclass(frozen=True, slots=True)
class Choice:
    """The choice that stands for one purpose."""

    purpose: wire.Name
    state: wire.Name
    notice_version: wire.U32


@dataclass(frozen=True, slots=True)
class Synced:
    """The answer: the standing choices, a checkpoint, and its consistency with the one before.

    `notices` is SHA-256 of the encoded `Notices` in force: only who has others downloads them again.
    """

    at: Milliseconds
    choices: Annotated[tuple[Choice, ...], wire.Size(0, 64)]
    checkpoint: Annotated[str, wire.Size(1, 4096)]
    consistency: Proof
    notices: wire.Bytes32


@dataclass(frozen=True, slots=True)
class TicketRequest:
    """A device asks for its one batch of tickets for a purpose set and epoch."""

    device: wire.Bytes32
    at: Milliseconds
    purposes: wire.Names
    epoch: wire.U64
    blinded: Annotated[tuple[Blinded, ...], wire.Size(1, 64)]


@dataclass(frozen=True, slots=True)
class BlindSignatures:
    """The answer to a ticket request, in its order."""

    signatures: Annotated[tuple[Blinded, ...], wire.Size(1, 64)]


@dataclass(frozen=True, slots=True)
class Issuer:
    """An issuer key: how many tickets make a batch, and where in the log the key stands."""

    key: IssuerKey
    batch: Annotated[int, wire.Range(1, 64)]
    index: wire.U64


@dataclass(frozen=True, slots=True)
class EpochEnd:
    """An epoch was ended before its time: its tickets count no more, and it gets no others."""

    epoch: wire.U64
    at: Milliseconds
    reason: wire.Text


@dataclass(frozen=True, slots=True)
class Inclusion:
    """A leaf's place in the log of a given size, with its proof."""

    index: wire.U64
    size: wire.U64
    proof: Proof


@dataclass(frozen=True, slots=True)
class Entries:
    """A run of log entries, oldest first, each as it was hashed: one kind byte, then the logged bytes."""

    entries: Annotated[tuple[Annotated[bytes, wire.Size(1, 2**16)], ...], wire.Size(0, 1024)]


@dataclass(frozen=True, slots=True)
class ConsistencyProof:
    """The proof that the log of `size` leaves begins with the log of `old`."""

    old: wire.U64
    size: wire.U64
    proof: Proof
