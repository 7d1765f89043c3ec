"""Registries that lie or restart, volunteers, tickets and keys."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
from secagg_rounds import SETTINGS, contribute, vectors

from covey_privacy import wire
from covey_privacy.errors import MisuseError, PeerError, PrivacyError, ServerError
from covey_privacy.protocol_rules import Rule
from covey_privacy.secagg import notary
from covey_privacy.secagg.committee import (
    box_key_statement,
    check_committees,
    check_draw,
    draw_of,
    sort_roster,
    volunteer_statement,
)
from covey_privacy.secagg.contribution import statement
from covey_privacy.secagg.contributor import Contributor
from covey_privacy.secagg.messages import (
    DRAW,
    FINAL,
    INCLUDED,
    CommitteeFile,
    Entry,
    FinalRequest,
    IncludeRequest,
    Leaf,
    Retraction,
    Seat,
    SetHead,
    VolunteerOffer,
)
from covey_privacy.secagg.notary import MemoryRecords, Notary, RefusedMembersError
from covey_privacy.secagg.terms import Kind, RoundInfo
from covey_privacy.secagg.volunteer import Volunteer
from covey_privacy.signatures import SigningKey, open_signed, sign
from covey_privacy.tickets import Role
from covey_simulations.scenarios.in_process_round import Issuer, Players, new_issuers

P = 2**255 - 19


def _again(played) -> Notary:
    """The notary after a restart: made anew over its records."""
    return Notary(played.info, played.registry, played.records)


def _volunteers(played):
    keys = played.issuers[1].round_keys(40, played.random)
    return [Volunteer(played.info, key).volunteer() for key in keys]


def _unseated(issuers, kind="drawn", **changes) -> Players:
    return Players(dataclasses.replace(SETTINGS[kind], **changes), issuers)


def test_a_second_included_set_is_refused_and_leaves_no_trace(players, kind):
    played = players(kind)
    contribute(played, vectors(12, 40))
    request = played.close()
    signed = played.notary.include(played.file, request)
    before = dict(played.records.entries), dict(played.records.spent), played.notary.state
    whole = wire.decode(IncludeRequest, request)
    smaller = wire.encode(dataclasses.replace(whole, entries=whole.entries[:-1]))
    with pytest.raises(PrivacyError) as refused:
        played.notary.include(played.file, smaller)
    assert refused.value.rule == Rule.SIGNED_ONCE
    assert before == (played.records.entries, played.records.spent, played.notary.state)
    assert played.notary.include(played.file, request) == signed


def test_a_restarted_registry_signs_the_same_and_no_second_set(players, kind):
    """Killed after it signed and logged, before it answered: the record is what counts."""
    played = players(kind)
    contribute(played, vectors(12, 40))
    request = played.close()
    signed = played.notary.include(played.file, request)
    notary = _again(played)
    if played.setting.drawn:
        drawn = wire.decode(CommitteeFile, played.file).drawn
        for message in played.offers:
            notary.volunteer(message)
        assert notary.roster() == drawn.roster
        assert notary.draw(played._nonce) == drawn
    assert notary.include(played.file, request) == signed
    smaller = dataclasses.replace(wire.decode(IncludeRequest, request), entries=())
    with pytest.raises(PrivacyError):
        notary.include(played.file, wire.encode(smaller))


def test_a_ticket_is_spent_once_ever(players, kind, issuers):
    played = players(kind)
    contribute(played, vectors(12, 40))
    played.include()
    later = Players(dataclasses.replace(played.setting, length=41), issuers, records=played.records)
    later.issuers = (issuers[0], new_issuers()[1]) if later.setting.drawn else issuers
    later.__post_init__()
    later.seat()
    contribute(later, vectors(12, 41))
    with pytest.raises(RefusedMembersError) as refused:
        later.include()
    assert set(refused.value.members.values()) == {Rule.TICKET_SPENT}
    assert len(refused.value.members) == 12


def test_who_volunteers_twice_is_refused(issuers):
    played = _unseated(issuers)
    key = played.issuers[1].round_keys(1, played.random)[0]
    message = Volunteer(played.info, key).volunteer()
    played.notary.volunteer(message)
    played.notary.volunteer(message)
    with pytest.raises(PeerError) as refused:
        played.notary.volunteer(Volunteer(played.info, key).volunteer())
    assert refused.value.rule == Rule.TICKET_SPENT
    assert len(played.notary.state.volunteers) == 1


def test_tickets_of_one_role_do_not_serve_the_other(issuers):
    played = _unseated(issuers, "both")
    contribute_key = played.round_keys[0]
    with pytest.raises(PeerError) as refused:
        played.notary.volunteer(Volunteer(played.info, contribute_key).volunteer())
    assert refused.value.rule == Rule.TICKET_SIGNATURE
    played.seat()
    volunteer_key = played.issuers[1].round_keys(1, played.random)[0]
    phone = Contributor(played.info, played.accepted, volunteer_key)
    with pytest.raises(PeerError) as refused:
        played.collector.add(phone.contribute(played.file, np.zeros(40, np.int64)))
    assert refused.value.rule == Rule.TICKET_SIGNATURE


def test_of_a_whole_batch_one_ticket_serves_a_round(issuers):
    """A person with all tickets of two slots contributes once and volunteers once."""
    played = _unseated(issuers, "both")
    batch = {
        (issuer.key.role, issuer.key.slot): issuer.round_keys(1, played.random)[0]
        for issuer in (*issuers, *(Issuer(role, 2) for role in Role))
    }
    good = []
    for which, key in batch.items():
        offer = Volunteer(played.info, key).volunteer()
        if which == (Role.VOLUNTEER, 1):
            played.notary.volunteer(offer)
            good.append(which)
            continue
        with pytest.raises(PeerError, match="role volunteer, slot 1") as refused:
            played.notary.volunteer(offer)
        assert refused.value.rule == Rule.TICKET_SIGNATURE
    played = _unseated(issuers, "both")
    played.seat()
    for which, key in batch.items():
        message = Contributor(played.info, played.accepted, key).contribute(
            played.file, np.zeros(40, np.int64)
        )
        if which == (Role.CONTRIBUTE, 1):
            played.collector.add(message)
            good.append(which)
            continue
        with pytest.raises(PeerError, match="role contribute, slot 1") as refused:
            played.collector.add(message)
        assert refused.value.rule == Rule.TICKET_SIGNATURE
    assert good == [(Role.VOLUNTEER, 1), (Role.CONTRIBUTE, 1)]


def test_a_volunteers_box_key_is_its_own(issuers):
    played = _unseated(issuers)
    key, other = played.issuers[1].round_keys(2, played.random)
    message = wire.decode(VolunteerOffer, Volunteer(played.info, key).volunteer())
    another = wire.decode(VolunteerOffer, Volunteer(played.info, other).volunteer())
    stolen = dataclasses.replace(message, box_key=another.box_key)
    with pytest.raises(PeerError) as refused:
        played.notary.volunteer(wire.encode(stolen))
    assert refused.value.rule == Rule.VOLUNTEER_SIGNATURE
    with pytest.raises(PeerError):
        played.notary.volunteer(wire.encode(dataclasses.replace(message, ticket=another.ticket)))


BOX_KEYS = {
    "zero": bytes(32),
    "one": (1).to_bytes(32, "little"),
    "order 8": bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    "minus one": (P - 1).to_bytes(32, "little"),
    "p": P.to_bytes(32, "little"),
    "p + 9": (P + 9).to_bytes(32, "little"),
    "twist": (2).to_bytes(32, "little"),
}


@pytest.mark.parametrize("box_key", BOX_KEYS.values(), ids=BOX_KEYS)
def test_a_box_key_of_the_wrong_kind_is_refused(issuers, box_key):
    played = _unseated(issuers)
    key = played.issuers[1].round_keys(1, played.random)[0]
    signature = SigningKey(key.secret).sign(volunteer_statement(played.info.digest, box_key))
    message = VolunteerOffer(key.ticket, box_key, signature)
    with pytest.raises(PeerError) as refused:
        played.notary.volunteer(wire.encode(message))
    assert refused.value.rule == Rule.KEY_ENCODING


ROUND_KEYS = {
    "identity": (1).to_bytes(32, "little"),
    "minus zero": (1 | 1 << 255).to_bytes(32, "little"),
    "order 2": (P - 1).to_bytes(32, "little"),
    "order 4": bytes(32),
    "order 8": bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    "non-canonical": P.to_bytes(32, "little"),
    "off the curve": (2).to_bytes(32, "little"),
}


@pytest.mark.parametrize("round_key", ROUND_KEYS.values(), ids=ROUND_KEYS)
def test_a_round_key_of_the_wrong_kind_is_refused(players, kind, round_key, monkeypatch):
    played = players(kind)
    contribute(played, vectors(12, 40))
    request = wire.decode(IncludeRequest, played.close())
    entry = request.entries[0]
    ticket = dataclasses.replace(entry.ticket, round_key=round_key)
    leaf = dataclasses.replace(entry.leaf, round_key=round_key)
    entries = sorted((dataclasses.replace(entry, ticket=ticket, leaf=leaf), *request.entries[1:]), key=_key)
    with pytest.raises(RefusedMembersError) as refused:
        played.notary.include(played.file, wire.encode(dataclasses.replace(request, entries=tuple(entries))))
    assert round_key in refused.value.members
    # Signature and ticket of a key of mixed order can be good: the key's own check must not hang on them.
    monkeypatch.setattr(notary, "check_entry", lambda *_: None)
    with pytest.raises(RefusedMembersError) as refused:
        played.notary.include(played.file, wire.encode(dataclasses.replace(request, entries=tuple(entries))))
    assert refused.value.members == {round_key: Rule.KEY_ENCODING}


def _key(entry: Entry) -> bytes:
    return entry.leaf.round_key


@pytest.mark.parametrize("change", ["S + L", "S", "R"])
def test_a_signature_that_another_library_might_take_is_refused(players, kind, change):
    played = players(kind)
    contribute(played, vectors(12, 40))
    request = wire.decode(IncludeRequest, played.close())
    entry = request.entries[0]
    order = 2**252 + 27742317777372353535851937790883648493
    s = int.from_bytes(entry.signature[32:], "little")
    changed = {
        "S + L": entry.signature[:32] + (s + order).to_bytes(32, "little"),
        "S": entry.signature[:32] + ((s + 1) % order).to_bytes(32, "little"),
        "R": (1).to_bytes(32, "little") + entry.signature[32:],
    }[change]
    entries = (dataclasses.replace(entry, signature=changed), *request.entries[1:])
    with pytest.raises(PeerError) as refused:
        played.notary.include(played.file, wire.encode(dataclasses.replace(request, entries=entries)))
    assert refused.value.rule == Rule.CONTRIBUTION_SIGNATURE


def test_a_retracted_key_takes_no_part_and_is_dead(players, kind):
    played = players(kind)
    messages = contribute(played, vectors(12, 40))
    phones = list(played.contributors())
    retraction = phones[3].retract()
    with pytest.raises(MisuseError):
        phones[3].contribute(played.file, np.zeros(40, np.int64))
    played.notary.retract(retraction)
    with pytest.raises(RefusedMembersError) as refused:
        played.include()
    key = played.round_keys[3].ticket.round_key
    assert refused.value.members == {key: Rule.TICKET_SPENT}
    played.aggregator.leave_out([key])
    result = played.finish()
    assert result.members == len(messages) - 1
    assert (result.vector == np.delete(vectors(12, 40), 3, 0).sum(axis=0)).all()


def test_a_retraction_comes_before_the_set_is_included_and_from_the_key_itself(players, kind):
    played = players(kind)
    contribute(played, vectors(12, 40))
    one, two = list(played.contributors())[:2]
    retraction, other = one.retract(), two.retract()
    for forged in (
        dataclasses.replace(retraction, ticket=other.ticket),
        dataclasses.replace(retraction, manifest=bytes(32)),
        Retraction(played.info.digest, retraction.ticket, bytes(64)),
    ):
        with pytest.raises(PeerError) as refused:
            played.notary.retract(forged)
        assert refused.value.rule == Rule.CONTRIBUTION_SIGNATURE
    bare = dataclasses.replace(retraction.ticket, signature=bytes(256))
    with pytest.raises(PeerError) as refused:
        played.notary.retract(dataclasses.replace(retraction, ticket=bare))
    assert refused.value.rule == Rule.TICKET_SIGNATURE
    played.include()
    with pytest.raises(PeerError) as refused:
        played.notary.retract(retraction)
    assert refused.value.rule == Rule.RETRACTED


def test_who_withdraws_after_sending_is_not_in_the_set(players, kind):
    """The retraction was signed with the message, whose making erased the round key's secret."""
    played = players(kind)
    phones, given = list(played.contributors()), vectors(12, 40)
    for phone, vector in zip(phones, given, strict=True):
        played.collector.add(phone.contribute(played.file, vector))
    restarted = Contributor(played.info, played.accepted, Contributor.load(phones[3].dump()))
    played.notary.retract(restarted.retract())
    with pytest.raises(RefusedMembersError) as refused:
        played.include()
    assert set(refused.value.members) == {played.round_keys[3].ticket.round_key}
    played.aggregator.leave_out(refused.value.members)
    assert (played.finish().vector == np.delete(given, 3, 0).sum(axis=0)).all()


def test_one_signed_draw_is_written_in_one_way(players):
    """Other encodings of the same draw would give other contexts, and so other samples, to choose among."""
    played = players("drawn")
    file = wire.decode(CommitteeFile, played.file)
    for name in ("draw", "roster"):
        longer = b"\x98\x02" + getattr(file.drawn, name)[1:]
        changed = dataclasses.replace(file, drawn=dataclasses.replace(file.drawn, **{name: longer}))
        with pytest.raises(ServerError) as refused:
            check_committees(wire.encode(changed), played.info)
        assert refused.value.rule == Rule.HEAD_SIGNATURE


def test_no_more_members_are_taken_than_the_terms_allow(players, kind):
    played = players(kind)
    messages = contribute(played, vectors(12, 40))
    assert played.collector.add(messages[0]) is False
    extra = played.issuers[0].round_keys(13, played.random)[12]
    message = Contributor(played.info, played.accepted, extra).contribute(played.file, np.zeros(40, np.int64))
    with pytest.raises(PeerError) as refused:
        played.collector.add(message)
    assert refused.value.rule == Rule.LEAST_SET


def test_a_set_is_included_for_the_draw_that_was_signed(players):
    """A registry whose key signed a second draw elsewhere includes no set for it."""
    played = players("drawn")
    file = wire.decode(CommitteeFile, played.file)
    members = file.drawn.members[::-1]
    draw = sign(DRAW, draw_of(played.info.digest, file.drawn.roster, played._nonce, members), played.registry)
    changed = dataclasses.replace(file, drawn=dataclasses.replace(file.drawn, members=members, draw=draw))
    played.file = wire.encode(changed)
    contribute(played, vectors(12, 40))
    with pytest.raises(ServerError) as refused:
        played.include()
    assert refused.value.rule == Rule.SIGNED_ONCE


def test_the_nonce_is_the_manifests(issuers):
    played = _unseated(issuers)
    for message in _volunteers(played):
        played.notary.volunteer(message)
    played.notary.roster()
    with pytest.raises(ServerError) as refused:
        played.notary.draw(bytes(32))
    assert refused.value.rule == Rule.DRAW_NONCE


def test_whoever_has_the_roster_sees_another_draw(issuers):
    played = _unseated(issuers)
    for message in _volunteers(played):
        played.notary.volunteer(message)
    roster = sort_roster(list(played.notary.state.volunteers.values()))
    played.notary.roster()
    drawn = played.notary.draw(played._nonce)
    check_draw(drawn, roster, played.info)
    outsider = next(each for each in roster if each not in drawn.members)
    members = (outsider, *drawn.members[1:])
    draw = sign(DRAW, draw_of(played.info.digest, drawn.roster, played._nonce, members), played.registry)
    for changed, shown in (
        (dataclasses.replace(drawn, members=members, draw=draw), roster),
        (drawn, roster[1:]),
    ):
        with pytest.raises(ServerError) as refused:
            check_draw(changed, shown, played.info)
        assert refused.value.rule == Rule.DRAW_ORDER


def test_one_roster_a_round(issuers):
    """A volunteer left out, or one more: another roster under the same records is refused."""
    played = _unseated(issuers)
    messages = _volunteers(played)
    for message in messages[1:]:
        played.notary.volunteer(message)
    signed = played.notary.roster()
    assert played.notary.roster() == signed
    with pytest.raises(MisuseError):
        played.notary.volunteer(messages[0])
    again = _again(played)
    for message in messages:
        again.volunteer(message)
    with pytest.raises(ServerError) as refused:
        again.roster()
    assert refused.value.rule == Rule.SIGNED_ONCE


def test_a_shape_is_held_against_the_roster_as_it_is(issuers):
    """Fewer volunteered than the shape was worked out for: nobody signs, and no phone would deal."""
    played = _unseated(issuers)
    for message in _volunteers(played)[:20]:
        played.notary.volunteer(message)
    with pytest.raises(ServerError) as refused:
        played.notary.roster()
    assert refused.value.rule == Rule.COMMITTEE_SHAPE


def test_nobody_is_left_out_of_the_final_set_without_proof(players, kind):
    played = players(kind)
    contribute(played, vectors(12, 40))
    played.include()
    played.check()
    with pytest.raises(ServerError) as refused:
        played.notary.final(wire.encode(FinalRequest((3,), (), ())))
    assert refused.value.rule == Rule.EXCLUSION
    complaints = tuple(played.aggregator.state.complaints.values())
    with pytest.raises(ServerError) as refused:
        played.notary.final(wire.encode(FinalRequest((3,), complaints, ())))
    assert refused.value.rule == Rule.EXCLUSION
    forged = dataclasses.replace(complaints[0], members=(3,))
    with pytest.raises(PeerError):
        played.notary.final(wire.encode(FinalRequest((3,), (forged,), ())))
    signed = played.notary.final(wire.encode(FinalRequest((), complaints, ())))
    assert played.notary.final(wire.encode(FinalRequest((), (), ()))) == signed


def test_the_terms_fit_together(players, kind):
    info = players(kind).info
    terms = info.terms
    changes = [
        ({"length": 5000, "steps": 1.0}, Rule.ROUNDING),
        ({"drop": 7}, Rule.ROUNDING),
        ({"length": 5000, "steps": 1e4, "drop": 9}, Rule.ROUNDING),
        ({"organisations": (), "standing": None, "bands": ()}, Rule.COMMITTEE_KIND),
    ]
    if terms.standing:
        changes += [
            ({"organisations": terms.organisations[:3]}, Rule.COMMITTEE_MEMBERS),
            ({"organisations": terms.organisations[:1] * 4}, Rule.COMMITTEE_MEMBERS),
            ({"organisations": ()}, Rule.COMMITTEE_KIND),
            ({"standing": dataclasses.replace(terms.standing, privacy=3)}, Rule.COMMITTEE_SHAPE),
            ({"standing": dataclasses.replace(terms.standing, packing=2)}, Rule.COMMITTEE_SHAPE),
        ]
    for fields, rule in changes:
        with pytest.raises(ServerError) as refused:
            dataclasses.replace(info, terms=dataclasses.replace(terms, **fields))
        assert refused.value.rule == rule, fields


def test_a_drawn_committee_needs_an_issuer_of_its_own(players):
    info = players("drawn").info
    for volunteer in (None, info.contribute):
        with pytest.raises(MisuseError):
            RoundInfo(info.terms, info.digest, info.registry, info.contribute, volunteer)


def test_a_leaf_that_names_another_key_than_its_ticket_is_refused(players, kind):
    played = players(kind)
    contribute(played, vectors(12, 40))
    request = wire.decode(IncludeRequest, played.close())
    own = SigningKey(b"7" * 32)
    leaf = Leaf(own.public, bytes(32), bytes(32), bytes(32))
    context = played.aggregator.committees.context
    signature = own.sign(statement(played.info.digest, context, leaf))
    entry = dataclasses.replace(request.entries[0], leaf=leaf, signature=signature)
    entries = tuple(sorted((entry, *request.entries[1:]), key=_key))
    with pytest.raises(RefusedMembersError) as refused:
        played.notary.include(played.file, wire.encode(dataclasses.replace(request, entries=entries)))
    assert refused.value.members == {own.public: Rule.CONTRIBUTION_SIGNATURE}


def test_records_keep_all_or_nothing_and_the_first_entry():
    records = MemoryRecords()
    assert records.keep(b"one", b"signed", [b"a", b"b"], b"claim") == (b"signed", [])
    assert records.keep(b"two", b"other", [b"c", b"a"], b"other claim") == (None, [b"a"])
    assert b"c" not in records.spent
    assert records.keep(b"one", b"second", [b"d"], b"claim") == (b"signed", ())
    assert b"d" not in records.spent
    assert records.entries == {b"one": b"signed"}


def test_of_two_registry_processes_one_signs(players):
    """Both are asked for another included set at once, over the same records: one set is signed."""
    played = players("standing")
    contribute(played, vectors(12, 40))
    whole = wire.decode(IncludeRequest, played.close())
    requests = [wire.encode(dataclasses.replace(whole, entries=whole.entries[place:])) for place in range(8)]
    notaries, together = [_again(played) for _ in requests], Barrier(len(requests))

    def ask(place):
        together.wait()
        try:
            return notaries[place].include(played.file, requests[place])
        except PrivacyError as error:
            return error.rule

    with ThreadPoolExecutor(len(requests)) as pool:
        answers = list(pool.map(ask, range(len(requests))))
    signed = [answer for answer in answers if isinstance(answer, bytes)]
    assert len(signed) == 1
    assert {answer for answer in answers if not isinstance(answer, bytes)} == {Rule.SIGNED_ONCE}
    assert list(played.records.entries.values()) == signed


def test_an_organisations_box_key_is_of_the_right_kind(players):
    """On the twist a phone can deal to it, but nobody could prove anything about what it shares."""
    played = players("standing")
    file = wire.decode(CommitteeFile, played.file)
    box_key = BOX_KEYS["twist"]
    stated = box_key_statement(played.info.digest, Kind.STANDING, box_key)
    seat = Seat(box_key, played.organisations[0].sign(stated))
    played.file = wire.encode(CommitteeFile((seat, *file.seats[1:]), None))
    contribute(played, vectors(12, 40))
    with pytest.raises(PeerError) as refused:
        played.include()
    assert refused.value.rule == Rule.KEY_ENCODING


def test_a_set_is_included_for_the_committees_that_it_was_dealt_to(players, kind):
    played = players(kind)
    contribute(played, vectors(12, 40))
    request = wire.decode(IncludeRequest, played.close())
    with pytest.raises(ServerError) as refused:
        played.notary.include(played.file, wire.encode(dataclasses.replace(request, context=bytes(32))))
    assert refused.value.rule == Rule.COMMITTEE_MEMBERS


@pytest.mark.parametrize("change", ["size", "root", "manifest", "context", "before"])
def test_a_coordinator_takes_the_heads_of_its_own_sets_alone(players, kind, change):
    """A registry that signs other sets: no budget is charged, and no decryptor is asked."""
    played = players(kind)
    contribute(played, vectors(12, 40))
    other = {"size": 11}.get(change, b"1" * 32)
    signed = played.notary.include(played.file, played.close())
    head = open_signed(SetHead, INCLUDED, signed, played.registry.public)
    wrong = sign(INCLUDED, dataclasses.replace(head, **{change: other}), played.registry)
    with pytest.raises(ServerError) as refused:
        played.aggregator.included(wrong, played.log.append(wrong))
    assert refused.value.rule == Rule.LEAVES
    played.aggregator.included(signed, played.log.append(signed))
    played.check()
    signed = played.notary.final(played.aggregator.exclude())
    head = open_signed(SetHead, FINAL, signed, played.registry.public)
    wrong = sign(FINAL, dataclasses.replace(head, **{change: other}), played.registry)
    with pytest.raises(ServerError) as refused:
        played.aggregator.final(wrong, played.log.append(wrong))
    assert refused.value.rule == Rule.LEAVES
    for stranger in (INCLUDED, FINAL):
        forged = sign(stranger, head, SigningKey(b"9" * 32))
        with pytest.raises(ServerError) as refused:
            played.aggregator.final(forged, played.log.append(signed))
        assert refused.value.rule == Rule.HEAD_SIGNATURE
    played.aggregator.final(signed, played.log.append(signed))
    assert played.open().members == 12


def test_two_volunteers_cannot_share_a_box_key(issuers):
    """Drawn together they would make every phone refuse the committee."""
    played = _unseated(issuers)
    one, two = played.issuers[1].round_keys(2, played.random)
    first = wire.decode(VolunteerOffer, Volunteer(played.info, one).volunteer())
    signature = SigningKey(two.secret).sign(volunteer_statement(played.info.digest, first.box_key))
    copied = wire.encode(VolunteerOffer(two.ticket, first.box_key, signature))
    played.notary.volunteer(wire.encode(first))
    played.notary.volunteer(wire.encode(first))
    with pytest.raises(PeerError) as refused:
        played.notary.volunteer(copied)
    assert refused.value.rule == Rule.COMMITTEE_MEMBERS
    assert len(played.notary.state.volunteers) == 1
