"""Certificates made from what a phone keeps and what everyone can read; the phone's network is the caller's.

    claims = [claim_key(key.secret) for key in round_keys]          # while the secrets exist
    data = certify_participation(claim, leaves, documents, note, tree.node, operator, view)
    data = certify_absence(claims, since, until, entries, tree.node, published, operator, view)

Which claims an absence is to be proved of: those of every round key that could still have been in a set at
the moment of the withdrawal. That is every unused ticket's, for a contribution under any of them would break
the promise, and that of every contribution whose round had no final set in the log. Where such a round's set
was included before the withdrawal, its final set follows, and absence can be certified since that one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from covey_privacy import wire
from covey_privacy.certificate import (
    AbsenceSince,
    Certificate,
    Claim,
    LoggedDocument,
    Participation,
    distinct_sets,
    keep_known_lines,
    sets_among,
    verify_certificate,
)
from covey_privacy.checkpoint import open_note
from covey_privacy.errors import MisuseError, ServerError
from covey_privacy.joint_proof import prove_leaves
from covey_privacy.merkle import Node
from covey_privacy.protocol_rules import Rule
from covey_privacy.secagg.keys import verify
from covey_privacy.secagg.leaves import JointAbsence, LeafSet
from covey_privacy.secagg.log_entries import LogView
from covey_privacy.secagg.messages import Leaf, SetHead
from covey_privacy.signatures import Verify


def certify_participation(
    claim: Claim,
    leaves: Sequence[Leaf],
    manifest: LoggedDocument,
    head: LoggedDocument,
    note: str,
    node: Node,
    operator: bytes,
    view: LogView,
    *,
    evidence: LoggedDocument | None = None,
    verify: Verify = verify,
) -> bytes:
    """Return the certificate that the claimed round key's contribution is in a round's final set.

    Args:
        claim: the phone's own.
        leaves: the final set's, as published.
        manifest: the round's signed manifest and its place in the log.
        head: the signed head of the final set and its place in the log.
        note: a checkpoint over both, with its cosignatures.
        node: gives the log's subtrees: `Tree.node`, or `tiles.Reader.node`.
        operator: the public key of the shop's operator.
        view: the log's name, the registry's key and the witnesses.
        evidence: the round's signed evidence and its place in the log, where it is known.

    Raises:
        MisuseError: the round key is not in the set.
        PeerError: as `verify_certificate`, which is asked before the certificate is returned.
        ServerError: likewise.
    """
    presence = LeafSet(leaves).presence(claim.round_key)
    places = sorted(each.index for each in (manifest, head, evidence) if each is not None)
    proof = prove_leaves(node, places, open_note(note, view.registry, verify).size)
    kept = keep_known_lines(note, view)
    participation = Participation(claim, presence, manifest, head, evidence, kept, proof)
    data = wire.encode(Certificate(participation, None))
    verify_certificate(data, operator, view, verify)
    return data


def certify_absence(
    claims: Sequence[Claim],
    since: str,
    until: str,
    entries: Sequence[bytes],
    node: Node,
    published: Mapping[bytes, Sequence[Leaf]],
    operator: bytes,
    view: LogView,
    *,
    round_ids: Mapping[bytes, str] | None = None,
    verify: Verify = verify,
) -> bytes:
    """Return the certificate that no set logged between two checkpoints holds any of the claimed round keys.

    Args:
        claims: the phone's own, in any order.
        since: the checkpoint that the phone saw when its owner withdrew, with its cosignatures.
        until: a later one.
        entries: all log entries from the size of `since` to that of `until`, as they were hashed.
        node: gives the subtrees of the log: `Tree.node`, or `tiles.Reader.node`.
        published: the leaves of each set among the entries, by the set's root.
        operator: the public key of the shop's operator.
        view: the log's name, the registry's key and the witnesses.
        round_ids: names of rounds by manifest digest, for errors.

    Raises:
        ServerError: a set holds one of the keys (`Rule.WITHDRAWN_KEY`; the text names the round), published
            leaves are not the set's, or as `verify_certificate`.
        MisuseError: a set's leaves are not given.
        PeerError: as `verify_certificate`, which is asked before the certificate is returned.
    """
    ordered = tuple(sorted(claims, key=lambda claim: claim.round_key))
    keys = [claim.round_key for claim in ordered]
    heads = [head for _, head in sets_among(entries, view.registry, verify)]
    names = round_ids or {}
    absences = tuple(_prove_absence(head, keys, published, names) for head in distinct_sets(heads))
    start, end = (open_note(note, view.registry, verify).size for note in (since, until))
    absence = AbsenceSince(
        ordered,
        keep_known_lines(since, view),
        keep_known_lines(until, view),
        tuple(entries),
        prove_leaves(node, range(start, end), end),
        absences,
    )
    data = wire.encode(Certificate(None, absence))
    verify_certificate(data, operator, view, verify)
    return data


def _prove_absence(
    head: SetHead,
    keys: Sequence[bytes],
    published: Mapping[bytes, Sequence[Leaf]],
    names: Mapping[bytes, str],
) -> JointAbsence:
    named = f"round {names[head.manifest]!r}" if head.manifest in names else f"round {head.manifest.hex()}"
    if head.root not in published:
        raise MisuseError(
            f"the leaves of a set of {named} are not at hand; its coordinator publishes them",
            rule=Rule.EVERY_SET,
        )
    members = LeafSet(published[head.root])
    members.require_head(head)
    present = {leaf.round_key for leaf in members.leaves}.intersection(keys)
    if present:
        raise ServerError(
            f"absence cannot be certified: a set of {named}, which was logged since, holds a contribution "
            f"under round key {min(present).hex()}",
            rule=Rule.WITHDRAWN_KEY,
        )
    return members.joint_absence(keys)
