"""Forks: two signed heads that are not of one log, and the evidence of them that a third party can judge.

A log may not sign two heads unless the one begins the other (tlog-checkpoint). Its two signatures over heads
that cannot both be true convict it, whoever shows them. What convicts depends on the sizes:

- the same size and different roots: the two notes alone;
- different sizes: the notes, and a proof that the greater tree begins with *another* root than the smaller
  note has. A proof that merely fails convicts nobody, since its bearer may have made it up. Evidence without
  a good proof is open: whoever has the greater tree's tiles can settle it, for the log or against it.

Who wants to accuse keeps the whole note that was seen last, not its size and root alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Annotated

from covey_privacy import wire
from covey_privacy.checkpoint import Checkpoint, head, open_note
from covey_privacy.errors import ForkError, PeerError, ServerError
from covey_privacy.merkle import EMPTY, heads_from_consistency
from covey_privacy.note import LIMIT, parse
from covey_privacy.protocol_rules import Rule
from covey_privacy.signatures import Verify, verify
from covey_privacy.tiles import Fetch, Reader

MOST_HASHES = 64
EVIDENCE_LIMIT = 2**21
"""A proof's hashes, and evidence's bytes, at most."""


class LogVerdict(Enum):
    """What evidence shows about the log whose key signed both of its notes."""

    FORKED = "no log has both heads: it lied"
    CONSISTENT = "the one head continues the other: it did not lie"
    OPEN = "nothing connects the heads: the log has yet to prove them consistent"


@dataclass(frozen=True, slots=True)
class Fork:
    """Evidence: two signed notes, the smaller log's first.

    `proof` (RFC 9162, 2.1.4) is to show that the newer log begins with `root`, at the size of the older one.
    """

    older: Annotated[str, wire.Size(1, LIMIT)]
    newer: Annotated[str, wire.Size(1, LIMIT)]
    root: wire.Bytes32
    proof: Annotated[tuple[wire.Bytes32, ...], wire.Size(0, MOST_HASHES)] = ()


def follow(seen: str, note: str, proof: Sequence[bytes], key: bytes, verify: Verify = verify) -> Checkpoint:
    """Return the head in the signed `note`, which continues the one in the note `seen` ("": none) by `proof`.

    Raises ForkError, with the evidence, when the log `key` signed both and the proof does not connect them;
    ServerError when `note` is not that log's at all. The caller keeps `note` as what it has seen.
    """
    newer = open_note(note, key, verify)
    older = open_note(seen, key, verify) if seen else Checkpoint(newer.origin, 0, EMPTY)
    if newer.origin != older.origin:
        raise ServerError(
            f"the log is {newer.origin!r}; {older.origin!r} was seen before", rule=Rule.LOG_ORIGIN
        )
    if judge(older, newer, older.root, proof) is not LogVerdict.CONSISTENT:
        raise ForkError(
            f"the log of {newer.size} leaves is not shown to continue the {older.size} seen before: it was "
            "rewritten, forked or rolled back; keep the evidence",
            evidence(seen or note, note, proof),
        )
    return newer


def judge(older: Checkpoint, newer: Checkpoint, root: bytes, proof: Sequence[bytes]) -> LogVerdict:
    """Return what two signed heads of one log show, where `proof` says that the newer begins with `root`."""
    if not older.size and older.root != EMPTY:
        return LogVerdict.FORKED
    if older.size == newer.size:
        return LogVerdict.CONSISTENT if older.root == newer.root else LogVerdict.FORKED
    if not older.size:
        return LogVerdict.CONSISTENT
    if heads_from_consistency(older.size, root, newer.size, proof) != (root, newer.root):
        return LogVerdict.OPEN
    return LogVerdict.CONSISTENT if older.root == root else LogVerdict.FORKED


def evidence(seen: str, note: str, proof: Sequence[bytes]) -> bytes:
    """Return the evidence of two signed notes and the `proof` that was to connect them."""
    # A log that was rolled back shows the smaller one last.
    (older, first), (newer, second) = sorted(
        ((head(parse(each)), each) for each in (seen, note)), key=lambda pair: pair[0].size
    )
    hashes = tuple(proof[:MOST_HASHES])
    heads = heads_from_consistency(older.size, older.root, newer.size, hashes)
    # Without a good shape the proof proves nothing.
    return wire.encode(Fork(first, second, heads[0], hashes) if heads else Fork(first, second, older.root))


def check_evidence(data: bytes, key: bytes, verify: Verify = verify) -> LogVerdict:
    """Return what the evidence shows about the log that signs with `key`.

    Raises PeerError when it shows nothing: malformed, or its notes are not both of one log signed by `key`.
    """
    fork = wire.decode(Fork, data, EVIDENCE_LIMIT)
    return judge(*_heads(fork, key, verify), fork.root, fork.proof)


def settle(data: bytes, key: bytes, fetch: Fetch, verify: Verify = verify) -> bytes:
    """Return the evidence with the root and proof that the newer log's tiles give: it is open no more.

    Raises PeerError as `check_evidence` does, ServerError when the tiles do not give the newer note's root.
    """
    fork = wire.decode(Fork, data, EVIDENCE_LIMIT)
    older, newer = _heads(fork, key, verify)
    reader = Reader(newer.size, newer.root, fetch)
    return wire.encode(replace(fork, root=reader.root(older.size), proof=reader.consistency(older.size)))


def _heads(fork: Fork, key: bytes, verify: Verify) -> tuple[Checkpoint, Checkpoint]:
    try:
        older, newer = open_note(fork.older, key, verify), open_note(fork.newer, key, verify)
    except ServerError as error:
        raise PeerError(f"the evidence is none against this log: {error}", rule=Rule.FORK_EVIDENCE) from None
    if older.origin != newer.origin or older.size > newer.size:
        raise PeerError(
            "evidence is two notes of one log, the smaller log's first; this is not", rule=Rule.FORK_EVIDENCE
        )
    return older, newer
