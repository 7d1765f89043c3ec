"""Altered messages of a vector's round: what a lying party sends in the place of an honest message.

Each function yields names and messages. Signatures are made anew by whoever sends the message, so that a
message is refused for the alteration and not for its signature, unless the signature is what was altered.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol, cast

import numpy as np

from covey_privacy import wire
from covey_privacy.secagg.aggregator import Aggregator, Checking, CollectingSums, Excluding
from covey_privacy.secagg.committee import box_key_statement, draw_of, volunteer_statement
from covey_privacy.secagg.contribution import leaf_of, statement
from covey_privacy.secagg.curve25519 import BASE, ORDER
from covey_privacy.secagg.decryptor import complaints_statement, opening_statement
from covey_privacy.secagg.field import Q, to_bytes
from covey_privacy.secagg.leaves import LeafSet
from covey_privacy.secagg.messages import (
    DISPUTE,
    DRAW,
    FINAL,
    INCLUDED,
    LEAF_SIZE,
    ROSTER,
    CheckRequest,
    CommitteeFile,
    Complaints,
    Contribution,
    Dealing,
    DisputeProof,
    DisputeRequest,
    Draw,
    DrawnCommittee,
    FinalRequest,
    Grant,
    IncludeRequest,
    Logged,
    Opening,
    OpenRequest,
    RosterHead,
    Seat,
    SetHead,
    VolunteerOffer,
    unpack_leaves,
)
from covey_privacy.secagg.terms import Kind, RoundInfo
from covey_privacy.secagg.volunteer import DecryptorKeys, public_box_key
from covey_privacy.signatures import SigningKey, open_signed, sign
from covey_privacy.tickets import RoundKey

Altered = Iterator[tuple[str, bytes]]

OTHER = hashlib.sha256(b"covey/2/vector other").digest()
"""Stands for another round's digest, context, nonce, salt, point or secret."""
NO_ELEMENT = to_bytes(np.array([Q]))
"""The least word that is none."""
_TWIST = (2).to_bytes(32, "little")
"""u = 2 is on the twist."""


class AlterableRound(Protocol):
    """The parts of a vector's round (`rounds.VectorRound`) that alterations read."""

    info: RoundInfo
    registry: SigningKey
    nonce: bytes
    aggregator: Aggregator
    file: bytes
    secrets: dict[bytes, RoundKey]
    keys: dict[tuple[Kind, int], DecryptorKeys]

    @property
    def phones(self) -> Sequence[tuple[RoundKey, Any]]:
        """The round keys of the contributors, each with what it draws from."""

    @property
    def volunteers(self) -> Sequence[tuple[RoundKey, Any]]:
        """The round keys of the volunteers, each with what it draws from."""

    def fork_log(self, signed: bytes) -> Logged:
        """Return where a head would stand in a copy of the log."""


def of_volunteer(round_: AlterableRound, offers: Sequence[bytes]) -> Altered:
    """To the registry: tickets, box keys and signatures that do not belong together, and unsound keys."""
    one, two = (wire.decode(VolunteerOffer, offer) for offer in offers[:2])
    contributing = round_.phones[0][0].ticket
    yield "box key of another volunteer", wire.encode(replace(one, box_key=two.box_key))
    yield "ticket of another volunteer", wire.encode(replace(one, ticket=two.ticket))
    yield "ticket to contribute", wire.encode(replace(one, ticket=contributing))
    yield "box key on the twist", _volunteer(round_, one, _TWIST)
    yield "box key of zeros", _volunteer(round_, one, bytes(32))


def of_committee_file(round_: AlterableRound) -> Altered:
    """To a phone: committees that are not the round's."""
    file = wire.decode(CommitteeFile, round_.file)
    if file.seats:
        yield from _of_seats(round_, file)
    if file.drawn is not None:
        for name, drawn in _of_drawn(round_, file.drawn):
            yield name, wire.encode(replace(file, drawn=drawn))
    if not file.seats:
        seat = Seat(public_box_key(OTHER), bytes(64))
        yield "a committee that the terms do not name", wire.encode(replace(file, seats=(seat,)))
    elif file.drawn is None:
        volunteer = VolunteerOffer(round_.phones[0][0].ticket, public_box_key(OTHER), bytes(64))
        drawn = DrawnCommittee(OTHER, OTHER, (volunteer,))
        yield "a committee that the terms do not name", wire.encode(replace(file, drawn=drawn))
    else:
        yield "seats left out", wire.encode(replace(file, seats=()))
        yield "drawn committee left out", wire.encode(replace(file, drawn=None))
        first = file.drawn.members[0]
        secret = round_.secrets[first.round_key].secret
        signed = volunteer_statement(round_.info.digest, file.seats[0].box_key)
        twin = replace(first, box_key=file.seats[0].box_key, signature=SigningKey(secret).sign(signed))
        drawn = _draw(round_, file.drawn, (twin, *file.drawn.members[1:]))
        yield "box key of an organisation in the drawn committee", wire.encode(replace(file, drawn=drawn))


def of_contribution(round_: AlterableRound, data: bytes) -> Altered:
    """To the coordinator: a phone's message with parts of others, and what its round key signs amiss."""
    message = wire.decode(Contribution, data)
    other = round_.phones[1][0].ticket
    context = round_.aggregator.committees.context
    yield "other salt", wire.encode(replace(message, salt=OTHER))
    yield "ticket of another phone", wire.encode(replace(message, ticket=other))
    forged = replace(message.ticket, signature=other.signature)
    yield "signature of another ticket", _resigned(round_, replace(message, ticket=forged), context)
    if round_.volunteers:
        volunteer = round_.volunteers[0][0].ticket
        yield "ticket to volunteer", _resigned(round_, replace(message, ticket=volunteer), context)
    yield "signed for other committees", _resigned(round_, message, OTHER)
    s = int.from_bytes(message.signature[32:], "little") + ORDER
    beyond = message.signature[:32] + s.to_bytes(32, "little")
    yield "signature with S + L", wire.encode(replace(message, signature=beyond))
    first, *rest = message.dealings
    wrong = Dealing(first.boxes, NO_ELEMENT + first.proof[4:])
    yield "proof with no element", _resigned(round_, replace(message, dealings=(wrong, *rest)), context)
    shifted = Dealing(first.boxes[:-1], first.proof + b"\0")
    yield "proof and boxes of other sizes", wire.encode(replace(message, dealings=(shifted, *rest)))
    if rest:
        swapped = replace(message, dealings=message.dealings[::-1])
        yield "dealings of the two committees swapped", wire.encode(swapped)


def after_contribution(round_: AlterableRound, data: bytes) -> tuple[str, bytes]:
    """To the coordinator: a second message of the same round key."""
    message = wire.decode(Contribution, data)
    context = round_.aggregator.committees.context
    return "second message", _resigned(round_, replace(message, salt=OTHER), context)


def of_include_request(round_: AlterableRound) -> Altered:
    """To the registry: sets that are not distinct, sorted, of this round or of members in good order."""
    request = wire.decode(IncludeRequest, round_.aggregator.close())
    first, second, *rest = request.entries
    yield "other committees", wire.encode(replace(request, context=OTHER))
    other_leaf = replace(second.leaf, round_key=first.leaf.round_key)
    for name, entries in {
        "a member twice": (first, first, second, *rest),
        "order reversed": request.entries[::-1],
        "one member": (first,),
        "other size": (replace(first, size=first.size + 1), second, *rest),
        "ticket of another": (replace(first, ticket=second.ticket), second, *rest),
        "leaf of another": (replace(first, leaf=other_leaf), second, *rest),
        "signature of another": (replace(first, signature=second.signature), second, *rest),
    }.items():
        yield name, wire.encode(replace(request, entries=entries))


def of_included_head(round_: AlterableRound, signed: bytes) -> Altered:
    """To the coordinator: a head of another set."""
    head = open_signed(SetHead, INCLUDED, signed, round_.registry.public)
    yield "other root", sign(INCLUDED, replace(head, root=OTHER), round_.registry)
    yield "signed as final", sign(FINAL, head, round_.registry)


def of_check_request(round_: AlterableRound, data: bytes) -> Altered:
    """To a decryptor: heads that the registry did not sign, log or mean so, and what is another member's."""
    request = wire.decode(CheckRequest, data)
    members = len(request.leaves) // LEAF_SIZE
    swapped = _swap(request.leaves, members)
    yield "leaves swapped", wire.encode(replace(request, leaves=swapped))
    yield "claims swapped", wire.encode(replace(request, claims=_swap(request.claims, members)))
    if request.boxes:
        yield "boxes swapped", wire.encode(replace(request, boxes=_swap(request.boxes, members)))
    yield "claims left out", wire.encode(replace(request, claims=b""))
    yield from _of_logged(request, request.logged)
    head = open_signed(SetHead, INCLUDED, request.head, round_.registry.public)
    least = LeafSet(unpack_leaves(request.leaves)[:1])
    heads: dict[str, tuple[str, SetHead]] = {
        "other committees": (INCLUDED, replace(head, context=OTHER)),
        "other round": (INCLUDED, replace(head, manifest=OTHER)),
        "other root": (INCLUDED, replace(head, root=OTHER)),
        "follows another set": (INCLUDED, replace(head, before=OTHER)),
        "signed as final": (FINAL, head),
        "one member": (INCLUDED, replace(head, size=1, root=least.root)),
    }
    for name, (context, other) in heads.items():
        signed = sign(context, other, round_.registry)
        changed = replace(request, head=signed, logged=round_.fork_log(signed))
        if name == "one member":
            part = {field: getattr(request, field) for field in ("leaves", "boxes", "claims")}
            changed = replace(changed, **{k: each[: len(each) // members] for k, each in part.items()})
        yield name, wire.encode(changed)


def after_check_request(data: bytes) -> tuple[str, bytes]:
    """To a decryptor: another set after it checked one."""
    request = wire.decode(CheckRequest, data)
    return "second check", wire.encode(replace(request, claims=bytes(len(request.claims))))


def of_complaints(round_: AlterableRound, seat: tuple[Kind, int], data: bytes) -> Altered:
    """To the coordinator: complaints of another, and about what is not in the set."""
    message = wire.decode(Complaints, data)
    yield "of another decryptor", wire.encode(replace(message, decryptor=message.decryptor % 2 + 1))
    yield "of no decryptor", wire.encode(replace(message, decryptor=0))
    changed: dict[str, dict[str, Any]] = {
        "about another set": {"root": OTHER},
        "about no member": {"members": (2**32 - 1,)},
        "about one member twice": {"members": (0, 0)},
    }
    for name, changes in changed.items():
        yield name, _signed_complaints(round_, seat, replace(message, **changes))


def of_dispute_request(round_: AlterableRound, data: bytes) -> Altered:
    """To a decryptor: grants for others, and what the dealer did not sign."""
    request = wire.decode(DisputeRequest, data)
    grant = open_signed(Grant, DISPUTE, request.grant, round_.registry.public)
    dealt, members = request.dealt, len(cast(Checking, round_.aggregator.state).members)
    yield "another member", wire.encode(replace(request, member=(request.member + 1) % members))
    grants: dict[str, dict[str, Any]] = {
        "granted to another decryptor": {"decryptor": grant.decryptor % 2 + 1},
        "granted for another leaf": {"leaf": OTHER},
        "granted for other committees": {"context": OTHER},
    }
    for name, changes in grants.items():
        signed = sign(DISPUTE, replace(grant, **changes), round_.registry)
        yield name, wire.encode(replace(request, grant=signed, logged=round_.fork_log(signed)))
    for name, other in {
        "box that was not dealt": replace(dealt, box=dealt.box[::-1] or b"box"),
        "proof that was not dealt": replace(dealt, proofs=bytes(len(dealt.proofs))),
        "digests swapped": replace(dealt, digests=_swap(dealt.digests, len(dealt.digests) // 32)),
        "a digest left out": replace(dealt, digests=dealt.digests[32:]),
    }.items():
        yield name, wire.encode(replace(request, dealt=other))
    yield from _of_logged(request, request.logged)


def of_dispute_proof(round_: AlterableRound, data: bytes) -> Altered:
    """To the coordinator: points that are not the shared one, and members that are not at fault."""
    proof = wire.decode(DisputeProof, data)
    for name, changes in {
        "other point": {"point": BASE},
        "response with L added": {"response": _add_order(proof.shown.response)},
        "challenge of zeros": {"challenge": bytes(32)},
    }.items():
        yield name, wire.encode(replace(proof, shown=replace(proof.shown, **changes)))
    state = cast(Checking, round_.aggregator.state)
    complained = {member for each in state.complaints.values() for member in each.members}
    honest = next(place for place in range(len(state.members)) if place not in complained)
    yield "about an honest member", wire.encode(replace(proof, member=honest))
    yield "about no member", wire.encode(replace(proof, member=2**32 - 1))
    yield "of another decryptor", wire.encode(replace(proof, decryptor=proof.decryptor % 2 + 1))


def of_final_request(round_: AlterableRound, data: bytes) -> Altered:
    """To the registry: members left out without proof."""
    request = wire.decode(FinalRequest, data)
    members = range(len(cast(Excluding, round_.aggregator.state).members))
    spared = [place for place in members if place not in request.excluded]
    more = tuple(sorted((*request.excluded, spared[0])))
    yield "an honest member left out", wire.encode(replace(request, excluded=more))
    if request.excluded:
        yield "complaints and proofs left out", wire.encode(FinalRequest(request.excluded, (), ()))
    first = request.complaints[0]
    forged = replace(first, members=(spared[0],))
    complaints = (forged, *request.complaints[1:])
    yield "complaints that were not made", wire.encode(replace(request, complaints=complaints))


def of_final_head(round_: AlterableRound, signed: bytes) -> Altered:
    """To the coordinator: a head of another set."""
    head = open_signed(SetHead, FINAL, signed, round_.registry.public)
    yield "other root", sign(FINAL, replace(head, root=OTHER), round_.registry)
    yield "follows another set", sign(FINAL, replace(head, before=OTHER), round_.registry)


def of_open_request(round_: AlterableRound, data: bytes) -> Altered:
    """To a decryptor: final sets that the registry did not sign, log or mean so."""
    request = wire.decode(OpenRequest, data)
    members = cast(CollectingSums, round_.aggregator.state).before.members
    spared = [place for place in range(len(members)) if place not in request.excluded]
    more = tuple(sorted((*request.excluded, spared[0])))
    yield "one more left out", wire.encode(replace(request, excluded=more))
    yield "a member left out twice", wire.encode(replace(request, excluded=(0, 0)))
    yield "no member left out", wire.encode(replace(request, excluded=(2**32 - 1,)))
    yield from _of_logged(request, request.logged)
    head = open_signed(SetHead, FINAL, request.head, round_.registry.public)
    whole, least = members.root, members.without(range(1, len(members)))
    heads: dict[str, tuple[str, SetHead, tuple[int, ...]]] = {
        "other committees": (FINAL, replace(head, context=OTHER), request.excluded),
        "other round": (FINAL, replace(head, manifest=OTHER), request.excluded),
        "follows another set": (FINAL, replace(head, before=OTHER), request.excluded),
        "signed as included": (INCLUDED, head, request.excluded),
        "one member": (FINAL, replace(head, size=1, root=least.root), tuple(range(1, len(members)))),
    }
    if request.excluded:
        heads["everyone included"] = (FINAL, replace(head, size=len(members), root=whole), ())
    for name, (context, other, excluded) in heads.items():
        signed = sign(context, other, round_.registry)
        yield name, wire.encode(OpenRequest(signed, round_.fork_log(signed), excluded))


def after_open_request(data: bytes) -> tuple[str, bytes]:
    """To a decryptor: another set after it opened one."""
    request = wire.decode(OpenRequest, data)
    return "second opening", wire.encode(replace(request, excluded=(*request.excluded, 2**32 - 1)))


def of_opening(round_: AlterableRound, seat: tuple[Kind, int], data: bytes) -> Altered:
    """To the coordinator: sums of another, for another set, and of what are no elements."""
    message = wire.decode(Opening, data)
    yield "of another decryptor", wire.encode(replace(message, decryptor=message.decryptor % 2 + 1))
    yield "of no decryptor", wire.encode(replace(message, decryptor=0))
    yield "sums that were not signed", wire.encode(replace(message, sums=bytes(len(message.sums))))
    changed: dict[str, dict[str, Any]] = {
        "for another set": {"head": OTHER},
        "a word that is no element": {"sums": NO_ELEMENT + message.sums[4:]},
        "a word too few": {"sums": message.sums[4:] or bytes(8)},
    }
    for name, changes in changed.items():
        unsigned = replace(message, **changes)
        context = round_.aggregator.committees.context
        signature = SigningKey(round_.keys[seat].signing).sign(opening_statement(context, unsigned))
        yield name, wire.encode(replace(unsigned, signature=signature))


def _of_seats(round_: AlterableRound, file: CommitteeFile) -> Altered:
    first, second, *rest = file.seats
    key, digest = SigningKey(round_.keys[Kind.STANDING, 1].signing), round_.info.digest
    others = {
        "for another round": box_key_statement(OTHER, Kind.STANDING, first.box_key),
        "for another kind": box_key_statement(digest, Kind.DRAWN, first.box_key),
    }
    small = replace(first, box_key=bytes(32))
    small = replace(small, signature=key.sign(box_key_statement(digest, Kind.STANDING, small.box_key)))
    yield "a box key of zeros", wire.encode(replace(file, seats=(small, second, *rest)))
    yield "seats swapped", wire.encode(replace(file, seats=(second, first, *rest)))
    yield "a seat left out", wire.encode(replace(file, seats=file.seats[:-1]))
    other = replace(first, box_key=public_box_key(OTHER))
    yield "a box key that was not signed", wire.encode(replace(file, seats=(other, second, *rest)))
    for name, signed in others.items():
        seat = replace(first, signature=key.sign(signed))
        yield f"a box key signed {name}", wire.encode(replace(file, seats=(seat, second, *rest)))


def _of_drawn(round_: AlterableRound, drawn: DrawnCommittee) -> Iterator[tuple[str, DrawnCommittee]]:
    first, second, *rest = drawn.members
    roster = open_signed(RosterHead, ROSTER, drawn.roster, round_.registry.public)
    yield "members swapped", replace(drawn, members=(second, first, *rest))
    yield "other nonce", _draw(round_, drawn, drawn.members, OTHER)
    fewer = sign(ROSTER, replace(roster, size=len(drawn.members) - 1), round_.registry)
    yield "a roster too small for the shape", _draw(round_, replace(drawn, roster=fewer), drawn.members)
    stranger = sign(ROSTER, roster, SigningKey(OTHER))
    yield "roster not signed by the registry", _draw(round_, replace(drawn, roster=stranger), drawn.members)
    draw = open_signed(Draw, DRAW, drawn.draw, round_.registry.public)
    yield "draw not signed by the registry", replace(drawn, draw=sign(DRAW, draw, SigningKey(OTHER)))
    elsewhere = sign(ROSTER, replace(roster, manifest=OTHER), round_.registry)
    yield "roster of another round", _draw(round_, replace(drawn, roster=elsewhere), drawn.members)
    yield "a member left out", _draw(round_, drawn, drawn.members[:-1])
    yield "a member twice", _draw(round_, drawn, (first, first, *rest))
    forged = replace(first, ticket=replace(first.ticket, signature=second.ticket.signature))
    yield "ticket of another member", _draw(round_, drawn, (forged, second, *rest))
    stolen = replace(first, box_key=second.box_key)
    yield "box key of another member", _draw(round_, drawn, (stolen, second, *rest))
    twin = wire.decode(VolunteerOffer, _volunteer(round_, first, second.box_key))
    yield "two members with one box key", _draw(round_, drawn, (twin, second, *rest))


def _draw(
    round_: AlterableRound,
    drawn: DrawnCommittee,
    members: tuple[VolunteerOffer, ...],
    nonce: bytes | None = None,
) -> DrawnCommittee:
    """Return the members as a draw that the registry signed."""
    draw = draw_of(round_.info.digest, drawn.roster, nonce or round_.nonce, members)
    return DrawnCommittee(drawn.roster, sign(DRAW, draw, round_.registry), members)


def _volunteer(round_: AlterableRound, volunteer: VolunteerOffer, box_key: bytes) -> bytes:
    """Return the volunteer with another box key, which its round key signed."""
    secret = round_.secrets[volunteer.round_key].secret
    signature = SigningKey(secret).sign(volunteer_statement(round_.info.digest, box_key))
    return wire.encode(replace(volunteer, box_key=box_key, signature=signature))


def _resigned(round_: AlterableRound, message: Contribution, context: bytes) -> bytes:
    leaf = leaf_of(message, round_.aggregator.sizes)
    secret = round_.secrets[leaf.round_key].secret
    signature = SigningKey(secret).sign(statement(round_.info.digest, context, leaf))
    return wire.encode(replace(message, signature=signature))


def _signed_complaints(round_: AlterableRound, seat: tuple[Kind, int], message: Complaints) -> bytes:
    signed = complaints_statement(round_.aggregator.committees.context, message)
    return wire.encode(replace(message, signature=SigningKey(round_.keys[seat].signing).sign(signed)))


def _of_logged(request: Any, logged: Any) -> Altered:
    """Yield a request whose head the witnessed log does not show."""
    for name, changes in {
        "not where the log has it": {"index": logged.index + 1},
        "no cosignature": {"note": logged.note.rsplit("—", 1)[0]},
        "proof left out": {"proof": logged.proof[1:], "index": logged.index},
    }.items():
        if name != "proof left out" or logged.proof:
            yield name, wire.encode(replace(request, logged=replace(logged, **changes)))


def _swap(data: bytes, parts: int) -> bytes:
    """Return the first two of equal parts swapped."""
    size = len(data) // parts
    return data[size : 2 * size] + data[:size] + data[2 * size :]


def _add_order(scalar: bytes) -> bytes:
    return (int.from_bytes(scalar, "little") + ORDER).to_bytes(32, "little")
