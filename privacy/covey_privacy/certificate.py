"""Certificates of a person's own part, made from public evidence and verified offline by anyone.

- `Participation`: the contribution under one round key is in the final set of one round.
- `AbsenceSince`: no set that was logged between two witnessed checkpoints holds a contribution under any of
  some round keys. It carries every log entry between the two: a hash in place of an entry could hide a set.

Each round key comes with a `Claim`, which its holder signed while the key's secret existed: the registry, the
coordinator and readers of public evidence can make no certificate for another's key. A certificate names
nobody, and a copy proves the same for whoever holds the copy. An `AbsenceSince` does not show that its keys
are all that a person held, since the registry issues tickets blindly.

    found = verify_certificate(data, operator, site.log_view)

`covey_privacy.certificate_maker` makes them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from covey_privacy import evidence as evidence_document
from covey_privacy import wire
from covey_privacy.checkpoint import Checkpoint, open_note
from covey_privacy.errors import PeerError, ServerError
from covey_privacy.evidence import Evidence
from covey_privacy.joint_proof import JointProof, head_of_subtrees, root_from_leaves
from covey_privacy.manifest import Manifest, open_manifest
from covey_privacy.merkle import leaf_hash
from covey_privacy.note import ED25519, LIMIT, VerifierKey, parse
from covey_privacy.protocol_rules import Rule
from covey_privacy.registry_messages import (
    LEAF_CONSENT,
    LEAF_EPOCH_END,
    LEAF_EVIDENCE,
    LEAF_ISSUER,
    LEAF_MANIFEST,
    LEAF_NOTICE,
)
from covey_privacy.secagg.keys import verify
from covey_privacy.secagg.leaves import (
    MOST_KEYS,
    JointAbsence,
    Presence,
    verify_joint_absence,
    verify_presence,
)
from covey_privacy.secagg.log_entries import LEAF_SECAGG, LogView, open_head
from covey_privacy.secagg.messages import FINAL, INCLUDED, Draw, Grant, RosterHead, SetHead
from covey_privacy.signatures import Signed, SigningKey, Verify, digest_of, open_signed, to_sign

CLAIM = "certificate/claim"
MOST_ENTRIES = 2**20
WITHOUT_SETS = (LEAF_ISSUER, LEAF_MANIFEST, LEAF_EVIDENCE, LEAF_NOTICE, LEAF_EPOCH_END, LEAF_CONSENT)
"""Kinds of log entries that are no sets. A run with an entry of a kind that is not known proves nothing."""

NoteText = Annotated[str, wire.Size(1, LIMIT)]
EntryBytes = Annotated[bytes, wire.Size(1, 2**16)]


@dataclass(frozen=True, slots=True)
class Claim:
    """A round key, and its signature that its holder claims it."""

    round_key: wire.Bytes32
    signature: wire.Signature

    def check(self, verify: Verify = verify) -> None:
        """Raise PeerError unless the round key signed the claim."""
        if not verify(self.round_key, to_sign(CLAIM, self.round_key), self.signature):
            raise PeerError(
                f"the claim of round key {self.round_key[:8].hex()} is not signed by that key",
                rule=Rule.CLAIM,
            )


@dataclass(frozen=True, slots=True)
class LoggedDocument:
    """A signed document and its place in the log."""

    index: wire.U64
    signed: EntryBytes


@dataclass(frozen=True, slots=True)
class Participation:
    """Proves that a claimed round key's leaf is in the final set of a round.

    `proof` is that of manifest, head and evidence, where there is any, under the checkpoint `note`.
    """

    claim: Claim
    presence: Presence
    manifest: LoggedDocument
    head: LoggedDocument
    evidence: LoggedDocument | None
    note: NoteText
    proof: JointProof


@dataclass(frozen=True, slots=True)
class AbsenceSince:
    """Proves that no set logged between two checkpoints holds any of the claimed round keys.

    `entries` are all entries from the size of the checkpoint `since` to that of `until`, and `before` the
    heads of the complete subtrees over the entries that precede them. `absences` has one proof for each
    distinct set, in the order in which sets first stand among the entries.
    """

    claims: Annotated[tuple[Claim, ...], wire.Records(1, MOST_KEYS)]
    since: NoteText
    until: NoteText
    entries: Annotated[tuple[EntryBytes, ...], wire.Size(0, MOST_ENTRIES)]
    before: JointProof
    absences: Annotated[tuple[JointAbsence, ...], wire.Size(0, MOST_ENTRIES)]


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate of a person's own part: of participation or of absence, one of the two."""

    participation: Participation | None
    absence: AbsenceSince | None


@dataclass(frozen=True, slots=True)
class Participated:
    """What a certificate of participation proves.

    `contributions` counts the final set; `release` is the hash that the round's evidence gives, None where
    the certificate shows no evidence; `witnessed` is when enough witnesses had cosigned, in POSIX seconds.
    """

    round_key: bytes
    manifest: Manifest
    contributions: int
    index: int
    checkpoint: Checkpoint
    witnessed: int
    release: bytes | None


@dataclass(frozen=True, slots=True)
class AbsentSince:
    """What a certificate of absence proves, between two sizes of the log and their times in POSIX seconds.

    `sets` counts the heads that were checked, of `rounds` rounds.
    """

    round_keys: tuple[bytes, ...]
    rounds: int
    sets: int
    since: Checkpoint
    since_witnessed: int
    until: Checkpoint
    until_witnessed: int


def claim_key(secret: bytes) -> Claim:
    """Return the claim of the round key that `secret` makes.

    A phone makes it when the ticket arrives and keeps it: the secret is erased once it has dealt, or when its
    owner withdraws. Nobody else needs to see it before its owner hands out a certificate.
    """
    key = SigningKey(secret)
    return Claim(key.public, key.sign(to_sign(CLAIM, key.public)))


def open_certificate(data: bytes) -> Certificate:
    """Return the certificate in `data`, nothing of it verified.

    Raises PeerError unless the bytes are those of exactly one participation or absence, in their one form.
    """
    certificate = wire.decode(Certificate, data)
    parts = certificate.participation, certificate.absence
    if parts.count(None) != 1 or wire.encode(certificate) != data:
        raise PeerError(
            "a certificate is of participation or of absence, as deterministic CBOR; this is neither",
            rule=Rule.MESSAGE_FORM,
        )
    return certificate


def verify_certificate(
    data: bytes, operator: bytes, view: LogView, verify: Verify = verify
) -> Participated | AbsentSince:
    """Return what a certificate proves.

    Args:
        data: the certificate's bytes.
        operator: the public key of the shop's operator, who signs manifests and evidence.
        view: the log's name, the registry's key and the witnesses, as a `SiteDocument.log_view` has them. How
            long ago the witnesses cosigned does not matter: what is found states when they did.

    Raises:
        PeerError: the certificate, a claim or a document of the operator's is malformed or not signed.
        ServerError: a head, a checkpoint or a proof does not hold; `rule` says which.
    """
    certificate = open_certificate(data)
    if certificate.participation is not None:
        return _verify_participation(certificate.participation, operator, view, verify)
    assert certificate.absence is not None  # noqa: S101  # one of the two, by `open_certificate`
    return _verify_absence(certificate.absence, view, verify)


def sets_among(
    entries: Sequence[bytes], registry: bytes, verify: Verify = verify
) -> Iterator[tuple[int, SetHead]]:
    """Yield each head of an included or final set among log entries, with its place among them.

    Raises:
        ServerError: an entry is of an unknown kind, or a set's head is not signed by the registry. A set
            could hide in it.
    """
    for place, entry in enumerate(entries):
        kind, document = entry[:1], entry[1:]
        if kind == LEAF_SECAGG:
            head = _open_set(document, place, registry, verify)
            if head is not None:
                yield place, head
        elif kind not in WITHOUT_SETS:
            raise ServerError(
                f"entry {place} of the run is of kind {kind!r}, which may name members of a round and has no "
                "absence proof here",
                rule=Rule.LOG_ENTRY,
            )


def _verify_participation(
    shown: Participation, operator: bytes, view: LogView, verify: Verify
) -> Participated:
    shown.claim.check(verify)
    checkpoint, witnessed = _open_checkpoint(shown.note, view, verify)
    documents = [(LEAF_MANIFEST, shown.manifest), (LEAF_SECAGG, shown.head)]
    documents += [(LEAF_EVIDENCE, shown.evidence)] if shown.evidence else []
    leaves = {each.index: leaf_hash(kind + each.signed) for kind, each in documents}
    if (
        len(leaves) < len(documents)
        or root_from_leaves(leaves, checkpoint.size, shown.proof) != checkpoint.root
    ):
        raise ServerError(
            f"manifest, head or evidence is not in the log of {checkpoint.size} entries at the places shown: "
            "their proof fails",
            rule=Rule.LOG_INCLUSION,
        )
    manifest = open_manifest(shown.manifest.signed, operator, verify)
    digest = digest_of(shown.manifest.signed)
    head = open_head(SetHead, FINAL, shown.head.signed, view.registry, verify)
    if head.manifest != digest:
        raise ServerError(
            f"the set is of another round than {manifest.round_id!r}, whose manifest is shown",
            rule=Rule.HEAD_SIGNATURE,
        )
    leaf = shown.presence.at.leaf
    if leaf.round_key != shown.claim.round_key:
        raise ServerError("the leaf shown is of another round key than the claimed one", rule=Rule.LEAVES)
    verify_presence(head, leaf, shown.presence)
    release = _release_hash(shown.evidence.signed, digest, operator, verify) if shown.evidence else None
    return Participated(leaf.round_key, manifest, head.size, shown.head.index, checkpoint, witnessed, release)


def _release_hash(signed: bytes, manifest: bytes, operator: bytes, verify: Verify) -> bytes:
    evidence = open_signed(Evidence, evidence_document.CONTEXT, signed, operator, verify, "operator")
    if evidence.manifest != manifest:
        raise ServerError("the evidence shown is of another round", rule=Rule.DOCUMENT_CONTENT)
    return evidence.release


def _verify_absence(shown: AbsenceSince, view: LogView, verify: Verify) -> AbsentSince:
    keys = tuple(claim.round_key for claim in shown.claims)
    if any(a >= b for a, b in itertools.pairwise(keys)):
        raise PeerError("the claims are not sorted by distinct round keys", rule=Rule.CLAIM)
    for claim in shown.claims:
        claim.check(verify)
    since, since_witnessed = _open_checkpoint(shown.since, view, verify)
    until, until_witnessed = _open_checkpoint(shown.until, view, verify)
    _require_run(shown, since, until)
    heads = [head for _, head in sets_among(shown.entries, view.registry, verify)]
    distinct = distinct_sets(heads)
    if len(distinct) != len(shown.absences):
        raise ServerError(
            f"the run of entries has {len(distinct)} sets, and absence is proved from {len(shown.absences)}",
            rule=Rule.EVERY_SET,
        )
    for head, absence in zip(distinct, shown.absences, strict=True):
        verify_joint_absence(head, keys, absence)
    rounds = len({head.manifest for head in heads})
    return AbsentSince(keys, rounds, len(heads), since, since_witnessed, until, until_witnessed)


def _require_run(shown: AbsenceSince, since: Checkpoint, until: Checkpoint) -> None:
    """Raise ServerError unless the entries are all from one checkpoint to the other."""
    if until.size - since.size != len(shown.entries):
        raise ServerError(
            f"from {since.size} to {until.size} entries of the log are asked for; the certificate has "
            f"{len(shown.entries)}",
            rule=Rule.LOG_INCLUSION,
        )
    leaves = {place: leaf_hash(entry) for place, entry in enumerate(shown.entries, since.size)}
    if root_from_leaves(leaves, until.size, shown.before) != until.root:
        raise ServerError(
            f"the entries shown are not those from {since.size} to {until.size} of the log",
            rule=Rule.LOG_INCLUSION,
        )
    if head_of_subtrees(shown.before) != since.root:
        raise ServerError(
            f"the log of {until.size} entries does not begin with the {since.size} of the earlier checkpoint",
            rule=Rule.LOG_CONSISTENCY,
        )


def distinct_sets(heads: Sequence[SetHead]) -> list[SetHead]:
    """Return the first head of each set. Included and final set are the same where nobody was excluded."""
    first: dict[tuple[int, bytes], SetHead] = {}
    for head in heads:
        first.setdefault((head.size, head.root), head)
    return list(first.values())


def _open_checkpoint(note: str, view: LogView, verify: Verify) -> tuple[Checkpoint, int]:
    """Return a witnessed checkpoint of the pinned log, and when enough witnesses had cosigned it."""
    checkpoint = open_note(note, view.registry, verify)
    if checkpoint.origin != view.origin:
        raise ServerError(
            f"the checkpoint is of the log {checkpoint.origin!r}; {view.origin!r} was expected",
            rule=Rule.LOG_ORIGIN,
        )
    witnessed = view.witnesses.reached(note, verify)
    if keep_known_lines(note, view) != note:
        raise ServerError(
            "the checkpoint has a signature line of neither the log nor a witness that the site names, or "
            "names twice; the site document of the certificate's time is needed",
            rule=Rule.NOTE_FORM,
        )
    return checkpoint, witnessed


def keep_known_lines(note: str, view: LogView) -> str:
    """Return the note with one signature line of the log and one of each witness, others left out.

    Nobody checks other lines, so that a certificate with them could be altered unseen.
    """
    parsed = parse(note)
    pinned = (VerifierKey(view.origin, ED25519, view.registry), *view.witnesses.witnesses)
    unseen = {(key.name, key.id): key for key in pinned}
    found = [(unseen.pop((name, key_id), None), blob) for name, key_id, blob in parsed.lines]
    return f"{parsed.text}\n{''.join(key.line(blob) for key, blob in found if key)}"


def _open_set(document: bytes, place: int, registry: bytes, verify: Verify) -> SetHead | None:
    """Return the set's head in an entry of `secagg`, None where the entry is another statement."""
    body = wire.decode(Signed, document).body if _is(Signed, document) else b""
    if not _is(SetHead, body):
        if any(_is(each, body) for each in (RosterHead, Draw, Grant)):
            return None
        raise ServerError(f"entry {place} of the run is no statement of a round's", rule=Rule.LOG_ENTRY)
    try:
        return open_head(SetHead, FINAL, document, registry, verify)
    except ServerError:
        return open_head(SetHead, INCLUDED, document, registry, verify)


def _is(cls: type[Any], body: bytes) -> bool:
    try:
        wire.decode(cls, body)
    except PeerError:
        return False
    return True
