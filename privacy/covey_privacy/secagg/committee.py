"""Committees: how a phone and everyone else checks who the decryptors are, and what binds keys to them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from covey_privacy import wire
from covey_privacy.errors import PeerError, ServerError
from covey_privacy.fixed_records import layout
from covey_privacy.merkle import Tree
from covey_privacy.protocol_rules import Rule
from covey_privacy.secagg.keys import verify
from covey_privacy.secagg.messages import (
    BOX_KEY,
    DRAW,
    ROSTER,
    VOLUNTEER,
    CommitteeFile,
    Draw,
    DrawnCommittee,
    RosterHead,
    Seat,
    VolunteerOffer,
    document_digest,
)
from covey_privacy.secagg.shape import Shape
from covey_privacy.secagg.terms import Kind, RoundInfo, digest_of_fields
from covey_privacy.signatures import Signed, Verify, open_signed, to_sign


@dataclass(frozen=True, slots=True)
class Committee:
    """A committee that was checked. Member j's box key is `box_keys[j - 1]`; it signs with `signers[j - 1]`.

    `evidence` is what the contributions' context binds: the organisations' signatures, or the signed draw.
    `volunteers` is the size of the roster that the members were drawn of, 0 where nothing was drawn.
    """

    kind: Kind
    shape: Shape
    box_keys: tuple[bytes, ...]
    signers: tuple[bytes, ...]
    evidence: bytes
    volunteers: int = 0

    @property
    def boxed(self) -> range:
        """The decryptors, by number, whose shares are sealed and sent: R + 1 to m."""
        return range(self.shape.threshold + 1, self.shape.members + 1)


@dataclass(frozen=True, slots=True)
class Committees:
    """The checked committees of a round, and the context that binds every key, challenge and signature."""

    each: tuple[Committee, ...]
    context: bytes

    @property
    def volunteers(self) -> int:
        """The size of the roster that a committee was drawn of, 0 where none was."""
        return sum(committee.volunteers for committee in self.each)

    def of_kind(self, kind: Kind) -> Committee:
        """Return the committee of a kind. Raises ServerError where the round has none."""
        for committee in self.each:
            if committee.kind == kind:
                return committee
        raise ServerError(f"the round has no {kind.name.lower()} committee", rule=Rule.COMMITTEE_KIND)


@lru_cache(maxsize=8)
def check_committees(data: bytes, info: RoundInfo, verify: Verify = verify) -> Committees:
    """Return the committees in a committee file. The same file is checked once in a process.

    Standing: each organisation that the terms name signed its box key. Drawn: the registry signed roster and
    draw, the nonce is the manifest's, the members are distinct and hold good tickets and signatures, and the
    shape is no weaker than the rule for the roster's actual size.

    Raises:
        ServerError: the committees are not those of the round.
        PeerError: a member's ticket or signature is not good.
    """
    file = wire.decode(CommitteeFile, data)
    found: list[Committee] = []
    if Kind.STANDING in info.terms.kinds:
        found.append(_standing(file.seats, info, verify))
    if Kind.DRAWN in info.terms.kinds:
        if file.drawn is None:
            raise ServerError("the file has no drawn committee", rule=Rule.COMMITTEE_KIND)
        found.append(_drawn(file.drawn, info, verify))
    if len(found) != bool(file.seats) + (file.drawn is not None):
        raise ServerError("the file has a committee that the terms do not name", rule=Rule.COMMITTEE_KIND)
    box_keys = [key for committee in found for key in committee.box_keys]
    if len(set(box_keys)) < len(box_keys):
        raise ServerError("two decryptors have one box key", rule=Rule.COMMITTEE_MEMBERS)
    evidence = [committee.kind.label + committee.evidence for committee in found]
    return Committees(tuple(found), digest_of_fields(b"covey/2/context", info.digest, *evidence))


def box_key_statement(digest: bytes, kind: Kind, box_key: bytes) -> bytes:
    """Return what an organisation signs for a round: its box key, for the manifest of that digest."""
    return to_sign(BOX_KEY, digest + kind.label + box_key)


def volunteer_statement(digest: bytes, box_key: bytes) -> bytes:
    """Return what a volunteer's round key signs."""
    return to_sign(VOLUNTEER, digest + box_key)


def check_volunteer(volunteer: VolunteerOffer, info: RoundInfo, verify: Verify = verify) -> None:
    """Raise PeerError unless ticket and signature of a volunteer are good for the round."""
    assert info.volunteer is not None  # noqa: S101  # RoundInfo has it wherever a committee is drawn
    volunteer.ticket.check(info.volunteer, verify)
    statement = volunteer_statement(info.digest, volunteer.box_key)
    if not verify(volunteer.round_key, statement, volunteer.signature):
        raise PeerError(
            "a volunteer's box key is not signed by its ticket's round key", rule=Rule.VOLUNTEER_SIGNATURE
        )


def sort_roster(volunteers: Sequence[VolunteerOffer]) -> tuple[VolunteerOffer, ...]:
    """Return volunteers in the order of a roster: by round key. Raises PeerError where a key comes twice."""
    ordered = tuple(sorted(volunteers, key=lambda volunteer: volunteer.round_key))
    if len({volunteer.round_key for volunteer in ordered}) < len(ordered):
        raise PeerError("a round key stands in the roster twice", rule=Rule.ONE_CONTRIBUTION)
    return ordered


def roster_head(digest: bytes, roster: Sequence[VolunteerOffer]) -> RosterHead:
    """Return the head of a sorted roster."""
    return RosterHead(digest, len(roster), Tree([volunteer.leaf for volunteer in roster]).root())


def draw_members(
    roster: Sequence[VolunteerOffer], signed_roster: bytes, nonce: bytes, members: int
) -> tuple[VolunteerOffer, ...]:
    """Return the first `members` of the roster by H(H(signed roster, nonce), u32(place))."""
    beacon = digest_of_fields(signed_roster, nonce)
    places = sorted(range(len(roster)), key=lambda place: hashlib.sha256(beacon + place.to_bytes(4)).digest())
    return tuple(roster[place] for place in places[:members])


def check_draw(
    drawn: DrawnCommittee, roster: Sequence[VolunteerOffer], info: RoundInfo, verify: Verify = verify
) -> None:
    """Raise ServerError unless a committee is what its signed roster and nonce give.

    Whoever has the whole roster can check this: an auditor, or a volunteer.
    """
    committee = _drawn(drawn, info, verify)
    head = open_signed(RosterHead, ROSTER, drawn.roster, info.registry, verify, "registry")
    nonce = open_signed(Draw, DRAW, drawn.draw, info.registry, verify, "registry").nonce
    members = draw_members(roster, drawn.roster, nonce, committee.shape.members)
    if head != roster_head(info.digest, roster) or members != drawn.members:
        raise ServerError("the committee is not the one that roster and nonce give", rule=Rule.DRAW_ORDER)


def draw_of(digest: bytes, signed_roster: bytes, nonce: bytes, members: Sequence[VolunteerOffer]) -> Draw:
    """Return the draw that the registry signs."""
    records = layout(VolunteerOffer).pack(members)
    return Draw(digest, document_digest(signed_roster), nonce, hashlib.sha256(records).digest())


def _standing(seats: tuple[Seat, ...], info: RoundInfo, verify: Verify) -> Committee:
    terms = info.terms
    assert terms.standing is not None  # noqa: S101  # its kind is named by it
    if len(seats) != len(terms.organisations):
        raise ServerError(
            f"{len(seats)} seats came for {len(terms.organisations)} organisations",
            rule=Rule.COMMITTEE_MEMBERS,
        )
    for place, (organisation, seat) in enumerate(zip(terms.organisations, seats, strict=True), 1):
        if not verify(
            organisation, box_key_statement(info.digest, Kind.STANDING, seat.box_key), seat.signature
        ):
            raise ServerError(
                f"the box key of organisation {place} is not signed by its pinned key; it gets no share",
                rule=Rule.ORGANISATION_SIGNATURE,
            )
    evidence = digest_of_fields(*[seat.box_key + seat.signature for seat in seats])
    box_keys = tuple(seat.box_key for seat in seats)
    return Committee(Kind.STANDING, terms.standing, box_keys, terms.organisations, evidence)


def _drawn(drawn: DrawnCommittee, info: RoundInfo, verify: Verify) -> Committee:
    try:
        roster = open_signed(RosterHead, ROSTER, drawn.roster, info.registry, verify, "registry")
        draw = open_signed(Draw, DRAW, drawn.draw, info.registry, verify, "registry")
    except PeerError as error:
        raise ServerError(str(error), rule=Rule.HEAD_SIGNATURE) from None
    if any(wire.encode(wire.decode(Signed, each)) != each for each in (drawn.roster, drawn.draw)):
        # Else one signed draw, written in several ways, would give several contexts to choose among.
        raise ServerError("a signed head is not in its one encoding", rule=Rule.HEAD_SIGNATURE)
    if roster.manifest != info.digest or draw != draw_of(
        info.digest, drawn.roster, draw.nonce, drawn.members
    ):
        raise ServerError(
            "roster, draw and members are not of this round and of each other", rule=Rule.HEAD_SIGNATURE
        )
    if hashlib.sha256(draw.nonce).digest() != info.terms.nonce_hash:
        raise ServerError("the draw's nonce is not the manifest's", rule=Rule.DRAW_NONCE)
    shape = info.terms.drawn_shape(roster.size)
    if not len(drawn.members) == len({each.round_key for each in drawn.members}) == shape.members:
        raise ServerError(
            f"{len(drawn.members)} decryptors came, {shape.members} distinct ones were expected",
            rule=Rule.COMMITTEE_MEMBERS,
        )
    for member in drawn.members:
        check_volunteer(member, info, verify)
    box_keys = tuple(member.box_key for member in drawn.members)
    signers = tuple(member.round_key for member in drawn.members)
    return Committee(Kind.DRAWN, shape, box_keys, signers, document_digest(drawn.draw), roster.size)
