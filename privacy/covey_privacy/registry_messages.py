"""What a phone and the registry say to each other: notices, enrolment, decisions, tickets, the log's head.

A phone signs what it sends with the device key that it enrolled; the registry signs notices.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from covey_privacy import wire
from covey_privacy.semver import Semver
from covey_privacy.tickets import MOST_TICKETS, SIGNATURE_LENGTH, IssuerKeys

GRANTED = "granted"
REFUSED = "refused"
WITHDRAWN = "withdrawn"

METHODS = ("toggle", "dialog", "settings")
"""How a person may decide: by an act of their own, for this purpose alone."""

NOTICE = "notice"
ENROLMENT = "enrolment"
DECISION = "decision"
SYNC = "sync"
TICKETS = "tickets"

LEAF_ISSUER = b"I"
LEAF_MANIFEST = b"M"
LEAF_EVIDENCE = b"E"
LEAF_NOTICE = b"N"
LEAF_EPOCH_END = b"X"
LEAF_CONSENT = b"C"
LEAF_ROSTER = b"R"
"""Entries that earlier versions logged. Nothing writes them any more; no other kind may have the letter."""

Epsilon = Annotated[float, wire.Range(0, 100)]
Blinded = Annotated[bytes, wire.Size(SIGNATURE_LENGTH)]
ProofHashes = Annotated[tuple[wire.Bytes32, ...], wire.Records(0, 64)]
Milliseconds = wire.U64


@dataclass(frozen=True, slots=True)
class NoticeText:
    """A notice in one language, or in that of one region: `language` is a BCP 47 tag, "en" or "zh-CN"."""

    language: wire.Name
    title: wire.Text
    text: Annotated[str, wire.Size(0, 2**14)]

    @property
    def digest(self) -> bytes:
        """SHA-256 of what the person was shown."""
        return hashlib.sha256(wire.encode(self)).digest()


@dataclass(frozen=True, slots=True)
class Notice:
    """What is asked for one purpose, and the most privacy that it may cost a person in a year.

    A grant holds for every text of one `version`: another `minor` or `patch` informs, and asks nothing anew.
    `basis` is "consent" or "contract": a contract's purpose needs no consent, every other defaults to off.
    `epsilon` caps this purpose, `epsilon_total` all purposes together, both a year at `delta`.
    """

    purpose: wire.Name
    version: wire.U32
    minor: wire.U32
    patch: wire.U32
    basis: wire.Name
    epsilon: Epsilon
    epsilon_total: Epsilon
    delta: Annotated[float, wire.Range(1e-12, 1e-2)]
    texts: Annotated[tuple[NoticeText, ...], wire.Size(1, 16)]

    @property
    def number(self) -> Semver:
        """The version with minor and patch, which say what is newer."""
        return Semver(self.version, self.minor, self.patch)

    @property
    def semver(self) -> str:
        """The number in writing: "2.1.0"."""
        return str(self.number)

    def text(self, language: str) -> NoticeText:
        """Return the notice in `language` ("zh-CN", else "zh": RFC 4647, 3.4), else in its first language."""
        written = {text.language.lower(): text for text in self.texts}
        return next((written[tag] for tag in _ever_wider(language) if tag in written), self.texts[0])


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
    consistency: ProofHashes
    notices: wire.Bytes32


@dataclass(frozen=True, slots=True)
class TicketRequest:
    """A device asks for its one batch of a purpose set and epoch: a ticket under each of its issuer keys."""

    device: wire.Bytes32
    at: Milliseconds
    purposes: wire.Names
    epoch: wire.U64
    blinded: Annotated[tuple[Blinded, ...], wire.Size(1, MOST_TICKETS)]


@dataclass(frozen=True, slots=True)
class BlindSignatures:
    """The answer to a ticket request, in its order.

    `issued` counts the batches for the purpose set that the person was issued within a year, with this one;
    `yearly` is the most. What the person's phone did not fetch itself counts against its caps.
    """

    signatures: Annotated[tuple[Blinded, ...], wire.Size(1, MOST_TICKETS)]
    issued: Annotated[int, wire.Range(1, 2**32 - 1)]
    yearly: Annotated[int, wire.Range(1, 2**32 - 1)]


@dataclass(frozen=True, slots=True)
class Issuer:
    """The issuer keys of a purpose set and epoch, and where in the log they stand."""

    keys: IssuerKeys
    index: wire.U64


@dataclass(frozen=True, slots=True)
class EpochEnd:
    """An epoch was ended before its time: its tickets count no more, and it gets no others."""

    epoch: wire.U64
    at: Milliseconds
    reason: wire.Text


@dataclass(frozen=True, slots=True)
class LogIndex:
    """The registry's answer to what it logged: the entry's index."""

    index: wire.U64


@dataclass(frozen=True, slots=True)
class Inclusion:
    """A leaf's place in the log of a given size, with its proof."""

    index: wire.U64
    size: wire.U64
    proof: ProofHashes


@dataclass(frozen=True, slots=True)
class Entries:
    """A run of log entries, oldest first, each as it was hashed: one kind byte, then the logged bytes."""

    entries: Annotated[tuple[Annotated[bytes, wire.Size(1, 2**16)], ...], wire.Size(0, 1024)]


@dataclass(frozen=True, slots=True)
class ConsistencyProof:
    """The proof that the log of `size` leaves begins with the log of `old`."""

    old: wire.U64
    size: wire.U64
    proof: ProofHashes


def _ever_wider(tag: str) -> Iterator[str]:
    """Yield a language tag in lower case, then without its last subtag, and so on."""
    subtags = tag.lower().split("-")
    while subtags:
        yield "-".join(subtags)
        subtags.pop()
        # A single letter only introduces the subtag behind it.
        if subtags and len(subtags[-1]) == 1:
            subtags.pop()
