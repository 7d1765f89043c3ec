"""A round's state, read from the database as the notary left it.

    rows = read_rows(session, round_id, FINAL)
    notary = Notary(info, key, records, state_of(rows, info))

`read_rows` takes the database's time and `state_of` the processor's, so that each runs in its own thread.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from covey_consent.rounds.manifests import find_round
from covey_consent.rounds.tables import IncludedSet, RoundVolunteer, SignedEntry
from covey_consent.storage.models import LogEntry
from covey_privacy import wire
from covey_privacy.secagg.committee import check_committees, draw_members, sort_roster
from covey_privacy.secagg.leaves import LeafSet
from covey_privacy.secagg.log_entries import LEAF_SECAGG
from covey_privacy.secagg.messages import (
    DISPUTE,
    DRAW,
    FINAL,
    INCLUDED,
    ROSTER,
    Draw,
    DrawnCommittee,
    VolunteerOffer,
    unpack_leaves,
)
from covey_privacy.secagg.notary import (
    CommitteeDrawn,
    NotaryState,
    Rostered,
    SetFinal,
    SetIncluded,
    TakingVolunteers,
)
from covey_privacy.secagg.notary_messages import RoundEntries, RoundEntry
from covey_privacy.secagg.terms import RoundInfo
from covey_privacy.signatures import Signed

STEPS = (ROSTER, DRAW, INCLUDED, DISPUTE, FINAL)
"""Contexts of what is signed, in the order of a round."""


@dataclass(frozen=True, slots=True)
class RoundRows:
    """What the database holds of a round. `signed` has roster, draw, included and final set by context.

    `offers` are the volunteers, where no set is included; `committees` and `leaves` are of the included set.
    """

    signed: Mapping[str, bytes]
    offers: Sequence[bytes] = ()
    committees: bytes = b""
    leaves: bytes = b""


def read_round_rows(session: Session, round_id: str, step: str) -> RoundRows:
    """Return what the round's state before or at `step` is made of.

    A step that was taken is answered alike at any time: what was signed in later steps is left out.
    """
    steps = STEPS[: STEPS.index(step) + 1]
    signed = read_signed(session, round_id, [each for each in steps if each != DISPUTE])
    if INCLUDED in signed:
        included = session.get_one(IncludedSet, round_id)
        return RoundRows(signed, (), included.committees, included.leaves)
    return RoundRows(signed, session.scalars(select(RoundVolunteer.offer).filter_by(round_id=round_id)).all())


def read_signed(session: Session, round_id: str, contexts: Collection[str]) -> dict[str, bytes]:
    """Return what was signed in a round under these contexts, each of which is signed once."""
    query = (
        select(SignedEntry.context, LogEntry.entry)
        .join(LogEntry, SignedEntry.index == LogEntry.index)
        .where(SignedEntry.round_id == round_id, SignedEntry.context.in_(contexts))
    )
    return {context: entry.removeprefix(LEAF_SECAGG) for context, entry in session.execute(query)}


def read_entries(session: Session, round_id: str) -> RoundEntries:
    """Return a round's signed manifest, all that was signed in it, in the log's order, and its evidence.

    Raises UnknownError.
    """
    logged = find_round(session, round_id)
    query = (
        select(LogEntry.index, LogEntry.entry)
        .join(SignedEntry, SignedEntry.index == LogEntry.index)
        .where(SignedEntry.round_id == round_id)
        .order_by(LogEntry.index)
    )
    entries = [RoundEntry(index, entry.removeprefix(LEAF_SECAGG)) for index, entry in session.execute(query)]
    evidence = None
    if logged.evidence is not None and logged.evidence_index is not None:
        evidence = RoundEntry(logged.evidence_index, logged.evidence)
    return RoundEntries(logged.manifest, logged.manifest_index, tuple(entries), evidence)


def state_of(rows: RoundRows, info: RoundInfo) -> NotaryState:
    """Return the notary's state. Takes up to some tenths of a second: run it in a thread."""
    signed = rows.signed
    if INCLUDED in signed:
        members = LeafSet(unpack_leaves(rows.leaves))
        included = SetIncluded(check_committees(rows.committees, info), members, signed[INCLUDED])
        return SetFinal(included, signed[FINAL]) if FINAL in signed else included
    volunteers = [wire.decode(VolunteerOffer, offer) for offer in rows.offers]
    if ROSTER not in signed:
        return TakingVolunteers(
            {volunteer.round_key: volunteer for volunteer in volunteers},
            {volunteer.box_key: volunteer.round_key for volunteer in volunteers},
        )
    roster = sort_roster(volunteers)
    if DRAW not in signed:
        return Rostered(roster, signed[ROSTER])
    nonce = wire.decode(Draw, wire.decode(Signed, signed[DRAW]).body).nonce
    shape = info.terms.drawn_shape(len(roster))
    drawn = draw_members(roster, signed[ROSTER], nonce, shape.members)
    return CommitteeDrawn(DrawnCommittee(signed[ROSTER], signed[DRAW], drawn))
