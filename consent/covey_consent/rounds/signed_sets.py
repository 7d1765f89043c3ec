"""The sets that the registry signed: what evidence is held against, and the leaves that anyone may read.

sets = read_signed_sets(session, round_id)
leaves = find_leaves(session, root)         # of an included or a final set
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from sqlalchemy.orm import Session

from covey_consent.errors import UnknownError
from covey_consent.rounds.state import read_signed
from covey_consent.rounds.tables import IncludedSet, PublishedSet
from covey_privacy import wire
from covey_privacy.evidence import SignedSets
from covey_privacy.secagg.messages import FINAL, INCLUDED, LEAF_SIZE, ROSTER, RosterHead, SetHead
from covey_privacy.secagg.notary_messages import SetLeaves
from covey_privacy.signatures import Signed


def read_signed_sets(session: Session, round_id: str) -> SignedSets:
    """Return the heads of a round's sets, as far as they are signed, and the size of its roster."""
    signed = read_signed(session, round_id, (ROSTER, INCLUDED, FINAL))
    bodies = {context: wire.decode(Signed, entry).body for context, entry in signed.items()}
    roster = wire.decode(RosterHead, bodies[ROSTER]).size if ROSTER in bodies else 0
    included = wire.decode(SetHead, bodies[INCLUDED]) if INCLUDED in bodies else None
    final = wire.decode(SetHead, bodies[FINAL]) if FINAL in bodies else None
    return SignedSets(included, final, roster)


def find_leaves(session: Session, root: bytes) -> SetLeaves:
    """Return the leaves of the signed set with this root. Raises UnknownError."""
    found = session.get(PublishedSet, root)
    if found is None:
        raise UnknownError(f"no included or final set with the root {root.hex()} was signed")
    leaves = session.get_one(IncludedSet, found.round_id).leaves
    gone = set(unpack_places(found.excluded))
    if not gone:
        return SetLeaves(leaves)
    kept = range(0, len(leaves), LEAF_SIZE)
    return SetLeaves(b"".join([leaves[at : at + LEAF_SIZE] for at in kept if at // LEAF_SIZE not in gone]))


def add_included_set(
    round_id: str, committees: bytes, leaves: bytes, session: Session, signed: bytes
) -> None:
    """Keep the included set with the head `signed`; part of the write that keeps the head."""
    session.add(IncludedSet(round_id=round_id, committees=committees, leaves=leaves))
    session.flush()  # The next row refers to it.
    session.add(PublishedSet(root=_root(signed), round_id=round_id, excluded=b""))


def add_final_set(round_id: str, excluded: Sequence[int], session: Session, signed: bytes) -> None:
    """Keep whom the final set with the head `signed` leaves out; part of the write that keeps the head."""
    if excluded:
        session.add(PublishedSet(root=_root(signed), round_id=round_id, excluded=pack_places(excluded)))


def pack_places(places: Sequence[int]) -> bytes:
    """Return the places of members in an included set, in ascending order, in four bytes each."""
    distinct = sorted(set(places))
    return struct.pack(f">{len(distinct)}I", *distinct)


def unpack_places(packed: bytes) -> Sequence[int]:
    """Return the places that `pack_places` packed."""
    return struct.unpack(f">{len(packed) // 4}I", packed)


def _root(signed: bytes) -> bytes:
    return wire.decode(SetHead, wire.decode(Signed, signed).body).root
