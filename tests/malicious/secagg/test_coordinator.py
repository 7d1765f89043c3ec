"""Coordinators that lie: about who sent, about the set, about the committee, and about the log."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from secagg_rounds import contribute, seats, vectors

from covey_privacy import wire
from covey_privacy.checkpoint import Checkpoint
from covey_privacy.checkpoint import sign_checkpoint as sign_checkpoint
from covey_privacy.errors import AbortError, MisuseError, PeerError, PrivacyError, ServerError
from covey_privacy.merkle import leaf_hash
from covey_privacy.protocol_rules import Rule
from covey_privacy.secagg.aggregator import Aggregator
from covey_privacy.secagg.committee import box_key_statement, check_committees, draw_of
from covey_privacy.secagg.contributor import Accepted, Contributor
from covey_privacy.secagg.decryptor import Decryptor
from covey_privacy.secagg.field import Q
from covey_privacy.secagg.leaves import LeafSet
from covey_privacy.secagg.log_entries import entry_of
from covey_privacy.secagg.messages import (
    DRAW,
    FINAL,
    INCLUDED,
    ROSTER,
    CheckRequest,
    CommitteeFile,
    Contribution,
    DrawnCommittee,
    IncludeRequest,
    Logged,
    OpenRequest,
    RosterHead,
    SetHead,
)
from covey_privacy.secagg.notary import RefusedMembersError
from covey_privacy.secagg.terms import Kind, digest_of_fields
from covey_privacy.secagg.volunteer import offer_seat
from covey_privacy.signatures import SigningKey, open_signed, sign
from covey_privacy.witness import cosign
from covey_simulations.scenarios.in_process_round import NOW, WITNESS

VECTOR = np.zeros(40, np.int64)


def _included(played):
    contribute(played, vectors(12, 40))
    return wire.decode(IncludeRequest, played.close())


def _refused(played, request, rule):
    with pytest.raises(PrivacyError) as refused:
        played.notary.include(played.file, wire.encode(request))
    assert refused.value.rule == rule


def test_nobody_is_in_the_set_who_did_not_sign(players, kind):
    played = players(kind)
    request = _included(played)
    first, *others = request.entries
    stolen = dataclasses.replace(first, signature=others[0].signature)
    _refused(played, dataclasses.replace(request, entries=(stolen, *others)), Rule.CONTRIBUTION_SIGNATURE)
    other_body = dataclasses.replace(first, leaf=dataclasses.replace(first.leaf, body=bytes(32)))
    _refused(played, dataclasses.replace(request, entries=(other_body, *others)), Rule.CONTRIBUTION_SIGNATURE)
    other_ticket = dataclasses.replace(first, ticket=others[0].ticket)
    _refused(
        played, dataclasses.replace(request, entries=(other_ticket, *others)), Rule.CONTRIBUTION_SIGNATURE
    )
    forged = dataclasses.replace(first, ticket=dataclasses.replace(first.ticket, signature=bytes(256)))
    _refused(played, dataclasses.replace(request, entries=(forged, *others)), Rule.TICKET_SIGNATURE)


def test_a_refusal_names_every_bad_member(players, kind):
    played = players(kind)
    request = _included(played)
    bad = [dataclasses.replace(entry, signature=bytes(64)) for entry in request.entries[:3]]
    with pytest.raises(RefusedMembersError) as refused:
        played.notary.include(
            played.file, wire.encode(dataclasses.replace(request, entries=(*bad, *request.entries[3:])))
        )
    assert set(refused.value.members) == {entry.leaf.round_key for entry in bad}
    played.aggregator.leave_out(refused.value.members)
    signed = played.notary.include(played.file, played.close())
    played.aggregator.included(signed, played.log.append(signed))


def test_nobody_is_in_the_set_twice(players, kind):
    played = players(kind)
    request = _included(played)
    twice = (request.entries[0], *request.entries)
    _refused(played, dataclasses.replace(request, entries=twice), Rule.LEAVES)
    _refused(played, dataclasses.replace(request, entries=request.entries[::-1]), Rule.LEAVES)


def test_one_size_for_all(players, kind):
    played = players(kind)
    request = _included(played)
    first = dataclasses.replace(request.entries[0], size=request.entries[0].size + 1)
    _refused(
        played, dataclasses.replace(request, entries=(first, *request.entries[1:])), Rule.CONTRIBUTION_SIZE
    )


def test_a_message_of_another_round_or_committee_is_refused(players, kind, issuers):
    played, other = players(kind), players(kind)
    (message, *_) = contribute(other, vectors(12, 40))
    with pytest.raises(PeerError) as refused:
        played.collector.add(message)
    assert refused.value.rule == Rule.CONTRIBUTION_SIGNATURE


def test_the_same_message_again_counts_once_and_another_is_refused(players, kind):
    played = players(kind)
    one = contribute(played, vectors(12, 40))[0]
    assert played.collector.add(one) is False
    again = next(iter(played.contributors())).contribute(played.file, VECTOR)
    with pytest.raises(PeerError) as refused:
        played.collector.add(again)
    assert refused.value.rule == Rule.ONE_CONTRIBUTION


def test_a_phone_makes_one_message_under_a_round_key(players, kind):
    played = players(kind)
    contributor = next(iter(played.contributors()))
    message = contributor.contribute(played.file, VECTOR)
    with pytest.raises(MisuseError) as refused:
        contributor.contribute(played.file, VECTOR)
    assert refused.value.rule == Rule.STEP_ORDER
    dumped = contributor.dump()
    assert played.round_keys[0].secret not in dumped
    again = Contributor(played.info, played.accepted, Contributor.load(dumped))
    assert again.state.message == message
    with pytest.raises(MisuseError):
        again.contribute(played.file, VECTOR)
    again.retract()
    with pytest.raises(MisuseError):
        again.contribute(played.file, VECTOR)


def test_two_deals_under_one_round_key_share_no_pad(players, kind):
    """Fresh salt: the difference of two messages of one key tells nothing of the vectors."""
    played = players(kind, length=2000)
    zero, made = np.zeros(2000, np.int64), []
    for _ in range(2):
        contributor = next(iter(played.contributors()))
        made.append(wire.decode(Contribution, contributor.contribute(played.file, zero)))
    assert made[0].salt != made[1].salt
    lower = [np.frombuffer(each.vector, "<u2", 2000).astype(int) for each in made]
    difference = (lower[0] - lower[1]) % 2**16
    assert 0.45 < (difference < 2**15).mean() < 0.55
    assert len(np.unique(difference)) > 1900


def _forged(played, context, head):
    """A head that the registry signed, whatever it says."""
    return sign(context, head, played.registry)


def _check(played, seat, signed, logged, request=None):
    base = wire.decode(CheckRequest, request or played.aggregator.check_request(*seat))
    changed = dataclasses.replace(base, head=signed, logged=logged)
    return played.decryptors[seat].check(wire.encode(changed), NOW)


def _head(played, signed, context=INCLUDED):
    return open_signed(SetHead, context, signed, played.registry.public)


def test_a_decryptor_checks_a_set_that_the_registry_signed_and_logged(players, kind):
    played = players(kind)
    contribute(played, vectors(12, 40))
    played.include()
    seat = min(played.decryptors)
    state = played.aggregator.state
    head = _head(played, state.head)
    cases = {
        Rule.HEAD_SIGNATURE: sign(INCLUDED, head, SigningKey(bytes(32))),
        Rule.LOG_INCLUSION: state.head,
    }
    with pytest.raises(ServerError) as refused:
        _check(played, seat, cases[Rule.HEAD_SIGNATURE], state.logged)
    assert refused.value.rule == Rule.HEAD_SIGNATURE
    with pytest.raises(ServerError) as refused:
        _check(played, seat, state.head, dataclasses.replace(state.logged, index=state.logged.index + 1))
    for changes, rule in (
        ({"manifest": bytes(32)}, Rule.HEAD_SIGNATURE),
        ({"context": bytes(32)}, Rule.HEAD_SIGNATURE),
        ({"before": b"1" * 32}, Rule.HEAD_SIGNATURE),
        ({"root": bytes(32)}, Rule.LEAVES),
        ({"size": head.size + 1}, Rule.LEAVES),
    ):
        signed = _forged(played, INCLUDED, dataclasses.replace(head, **changes))
        with pytest.raises(ServerError) as refused:
            _check(played, seat, signed, played.log.append(signed))
        assert refused.value.rule == rule, changes
    wrong_context = _forged(played, FINAL, head)
    with pytest.raises(ServerError) as refused:
        _check(played, seat, wrong_context, played.log.append(wrong_context))
    assert refused.value.rule == Rule.HEAD_SIGNATURE
    unlogged = dataclasses.replace(state.logged, proof=(bytes(32), *state.logged.proof[1:]))
    if state.logged.proof:
        with pytest.raises(ServerError) as refused:
            _check(played, seat, state.head, unlogged)
        assert refused.value.rule == Rule.LOG_INCLUSION
    elsewhere = Checkpoint("other.example/log", 1, leaf_hash(entry_of(state.head)))
    note = sign_checkpoint(elsewhere, played.registry)
    note += cosign(note, WITNESS, played.log._witness, NOW)
    with pytest.raises(ServerError) as refused:
        _check(played, seat, state.head, Logged(note, 0, ()))
    assert refused.value.rule == Rule.LOG_ORIGIN
    plain = dataclasses.replace(state.logged, note=state.logged.note.rsplit("—", 1)[0])
    with pytest.raises(ServerError) as refused:
        _check(played, seat, state.head, plain)
    assert refused.value.rule == Rule.WITNESSES
    with pytest.raises(ServerError) as refused:
        played.decryptors[seat].check(played.aggregator.check_request(*seat), NOW + 4000)
    assert refused.value.rule == Rule.WITNESSES
    assert _check(played, seat, state.head, state.logged)


def test_a_decryptor_checks_one_set_and_answers_the_same_again(players, kind):
    played = players(kind)
    contribute(played, vectors(12, 40))
    played.include()
    seat = min(played.decryptors)
    decryptor, request = played.decryptors[seat], played.aggregator.check_request(*seat)
    said = decryptor.check(request, NOW)
    assert decryptor.check(request, NOW) == said
    other = dataclasses.replace(wire.decode(CheckRequest, request), claims=bytes(12 * 12))
    with pytest.raises(ServerError) as refused:
        decryptor.check(wire.encode(other), NOW)
    assert refused.value.rule == Rule.STEP_ONCE


def test_a_decryptor_opens_one_set(players, kind):
    """Two final sets, signed by a registry that colludes: a decryptor opens the first."""
    played = players(kind)
    contribute(played, vectors(12, 40))
    played.include()
    played.check()
    played.finalize()
    seat = min(played.decryptors)
    decryptor, request = played.decryptors[seat], played.open_request()
    said = decryptor.open(request, NOW)
    assert decryptor.open(request, NOW) == said
    members = played.aggregator.state.before.members
    smaller = members.without([3])
    head = _head(played, played.aggregator.state.head, FINAL)
    signed = _forged(played, FINAL, dataclasses.replace(head, size=len(smaller), root=smaller.root))
    second = wire.encode(OpenRequest(signed, played.log.append(signed), (3,)))
    with pytest.raises(ServerError) as refused:
        decryptor.open(second, NOW)
    assert refused.value.rule == Rule.STEP_ONCE
    restarted = Decryptor(
        played.info, played.aggregator.committees, Decryptor.load(decryptor.dump()), played.log.view
    )
    assert restarted.open(request, NOW) == said
    with pytest.raises(ServerError):
        restarted.open(second, NOW)
    assert decryptor.dump().find(played.round_keys[0].secret) == -1


def test_an_opening_is_of_the_set_that_was_checked_without_the_excluded(players, kind):
    played = players(kind)
    contribute(played, vectors(12, 40))
    played.include()
    played.check()
    played.finalize()
    seat = min(played.decryptors)
    decryptor = played.decryptors[seat]
    head = _head(played, played.aggregator.state.head, FINAL)
    logged = played.aggregator.state.logged
    for changes, excluded, rule in (
        ({}, (3,), Rule.LEAVES),
        ({"before": bytes(32)}, (), Rule.HEAD_SIGNATURE),
        ({"manifest": bytes(32)}, (), Rule.HEAD_SIGNATURE),
        ({"context": bytes(32)}, (), Rule.HEAD_SIGNATURE),
        ({}, (4, 3), Rule.LEAVES),
        ({}, (3, 3), Rule.LEAVES),
        ({}, (12,), Rule.LEAVES),
    ):
        signed = _forged(played, FINAL, dataclasses.replace(head, **changes))
        request = OpenRequest(signed, played.log.append(signed), excluded)
        with pytest.raises(ServerError) as refused:
            decryptor.open(wire.encode(request), NOW)
        assert refused.value.rule == rule, (changes, excluded)
    unlogged = OpenRequest(_forged(played, FINAL, head), dataclasses.replace(logged, index=0), ())
    with pytest.raises(ServerError) as refused:
        decryptor.open(wire.encode(unlogged), NOW)
    assert refused.value.rule == Rule.LOG_INCLUSION


def test_steps_out_of_order_are_refused(players, kind):
    played = players(kind)
    contribute(played, vectors(12, 40))
    played.include()
    decryptor = next(iter(played.decryptors.values()))
    for step in (decryptor.open, decryptor.dispute):
        with pytest.raises(MisuseError) as refused:
            step(b"", NOW)
        assert refused.value.rule == Rule.STEP_ORDER
    decryptor.expire(NOW)
    with pytest.raises(MisuseError):
        decryptor.check(b"", NOW)
    assert len(decryptor.dump()) < 40


FLOORS = {"honest": 8, "issued": 80, "gamma": 0.05}
"""Eight noise shares, four corrupt phones and oneself: a set has 13 members at least."""


@pytest.mark.parametrize("phones", [12, 13])
def test_a_set_with_all_corrupt_phones_and_few_others_is_not_opened(players, phones, monkeypatch):
    """The floor counts corrupt phones as a number: those who were issued tickets, not a share of the set."""
    played = players("standing", phones=phones, **FLOORS)
    assert played.info.terms.least_set == 13
    contribute(played, vectors(phones, 40))
    if phones == 13:
        assert played.finish().members == 13
        return
    with pytest.raises(AbortError) as refused:
        played.close()
    assert refused.value.rule == Rule.LEAST_SET
    monkeypatch.setattr(Aggregator, "_require_enough", lambda *_: None)
    with pytest.raises(ServerError) as refused:
        played.include()
    assert refused.value.rule == Rule.LEAST_SET
    request = wire.decode(IncludeRequest, played.close())
    members = LeafSet([entry.leaf for entry in request.entries])
    head = SetHead(played.info.digest, played.aggregator.committees.context, 12, members.root, bytes(32))
    signed = _forged(played, INCLUDED, head)
    played.aggregator.included(signed, played.log.append(signed))
    seat = min(played.decryptors)
    with pytest.raises(ServerError) as refused:
        played.decryptors[seat].check(played.aggregator.check_request(*seat), NOW)
    assert refused.value.rule == Rule.LEAST_SET


def test_a_final_set_is_no_smaller_than_the_floor(players):
    """A registry that colludes signs a final set below the floor: no decryptor opens it."""
    played = players("standing", phones=13, **FLOORS)
    contribute(played, vectors(13, 40))
    played.include()
    played.check()
    members = played.aggregator.state.members
    smaller = members.without([0])
    head = SetHead(played.info.digest, played.aggregator.committees.context, 12, smaller.root, members.root)
    signed = _forged(played, FINAL, head)
    decryptor = next(iter(played.decryptors.values()))
    with pytest.raises(ServerError) as refused:
        decryptor.open(wire.encode(OpenRequest(signed, played.log.append(signed), (0,))), NOW)
    assert refused.value.rule == Rule.LEAST_SET


def _refuses(played, file, rule, accepted=None):
    contributor = Contributor(played.info, accepted or played.accepted, played.round_keys[0])
    with pytest.raises(PrivacyError) as refused:
        contributor.contribute(file, VECTOR)
    assert refused.value.rule == rule
    contributor.contribute(played.file, VECTOR)


def test_a_phone_deals_to_the_rounds_organisations_alone(players):
    played = players("standing")
    file = wire.decode(CommitteeFile, played.file)
    stranger = SigningKey(b"s" * 32)
    _, seat = offer_seat(played.info.digest, stranger.secret)
    substituted = (seat, *file.seats[1:])
    other_round = offer_seat(bytes(32), played.organisations[0].secret)[1]
    swapped = (file.seats[1], file.seats[0], *file.seats[2:])
    for seats_, rule in (
        (substituted, Rule.ORGANISATION_SIGNATURE),
        ((other_round, *file.seats[1:]), Rule.ORGANISATION_SIGNATURE),
        (swapped, Rule.ORGANISATION_SIGNATURE),
        (file.seats[:3], Rule.COMMITTEE_MEMBERS),
        ((), Rule.COMMITTEE_MEMBERS),
    ):
        _refuses(played, wire.encode(CommitteeFile(seats_, None)), rule)


def test_a_substituted_box_key_is_refused_whatever_the_registry_signed(players):
    """The registry's key signs nothing that stands for an organisation's."""
    played = players("standing")
    file = wire.decode(CommitteeFile, played.file)
    _, seat = offer_seat(played.info.digest, played.registry.secret)
    _refuses(played, wire.encode(CommitteeFile((seat, *file.seats[1:]), None)), Rule.ORGANISATION_SIGNATURE)


def test_two_organisations_cannot_share_a_box_key(players):
    played = players("standing")
    file = wire.decode(CommitteeFile, played.file)
    box_key = file.seats[0].box_key
    statement = box_key_statement(played.info.digest, Kind.STANDING, box_key)
    copied = dataclasses.replace(
        file.seats[1], box_key=box_key, signature=played.organisations[1].sign(statement)
    )
    seats_ = (file.seats[0], copied, *file.seats[2:])
    _refuses(played, wire.encode(CommitteeFile(seats_, None)), Rule.COMMITTEE_MEMBERS)


@pytest.mark.parametrize("kind", ["drawn", "both"])
def test_a_phone_deals_to_the_drawn_committee_alone(players, kind):
    played, other = players(kind), players(kind)
    file = wire.decode(CommitteeFile, played.file)
    drawn, elsewhere = file.drawn, wire.decode(CommitteeFile, other.file).drawn

    def changed(**fields):
        return wire.encode(dataclasses.replace(file, drawn=dataclasses.replace(drawn, **fields)))

    own = dataclasses.replace(drawn.members[0], box_key=bytes([9]) + bytes(31))
    for data, rule in (
        (changed(members=(own, *drawn.members[1:])), Rule.HEAD_SIGNATURE),
        (changed(members=drawn.members[::-1]), Rule.HEAD_SIGNATURE),
        (changed(members=drawn.members[1:]), Rule.HEAD_SIGNATURE),
        (changed(roster=elsewhere.roster), Rule.HEAD_SIGNATURE),
        (changed(draw=elsewhere.draw), Rule.HEAD_SIGNATURE),
        (wire.encode(dataclasses.replace(file, drawn=elsewhere)), Rule.HEAD_SIGNATURE),
        (wire.encode(dataclasses.replace(file, drawn=None)), Rule.COMMITTEE_KIND),
    ):
        _refuses(played, data, rule)


def test_a_committee_that_the_terms_do_not_name_is_refused(players):
    standing, drawn = players("standing"), players("drawn")
    both = CommitteeFile(
        wire.decode(CommitteeFile, standing.file).seats, wire.decode(CommitteeFile, drawn.file).drawn
    )
    for played in standing, drawn:
        _refuses(played, wire.encode(both), Rule.COMMITTEE_KIND)


def test_a_phone_accepts_the_kinds_and_organisations_of_its_profile(players, kind):
    played = players(kind)
    key = played.round_keys[0]
    with pytest.raises(ServerError) as refused:
        Contributor(played.info, Accepted(played.accepted.organisations, frozenset(), 0), key)
    assert refused.value.rule == Rule.COMMITTEE_KIND
    if played.organisations:
        pinned = frozenset(played.accepted.organisations - {played.organisations[2].public})
        with pytest.raises(ServerError) as refused:
            Contributor(played.info, dataclasses.replace(played.accepted, organisations=pinned), key)
        assert refused.value.rule == Rule.ORGANISATION_SIGNATURE


def test_production_refuses_a_small_pool_where_the_drawn_committee_stands_alone(players):
    production = Accepted(kinds=frozenset({(Kind.DRAWN,)}))
    played = players("drawn")
    _refuses_pool = Contributor(played.info, production, played.round_keys[0])
    with pytest.raises(ServerError) as refused:
        _refuses_pool.contribute(played.file, VECTOR)
    assert refused.value.rule == Rule.LEAST_COHORT
    both = players("both")
    accepted = dataclasses.replace(both.accepted, least_pool=400)
    Contributor(both.info, accepted, both.round_keys[0]).contribute(both.file, VECTOR)


def test_messages_of_one_kind_of_committee_mean_nothing_to_another(players):
    """The kinds stand in the context of every key: a standing dealing does not fit a round of both."""
    standing, both = players("standing"), players("both")
    (message, *_) = contribute(standing, vectors(12, 40))
    with pytest.raises(PeerError):
        both.collector.add(message)


def test_another_vector_than_the_terms_say_is_not_padded(players, kind):
    played = players(kind)
    contributor = next(iter(played.contributors()))
    for vector in (
        np.zeros(39, np.int64),
        np.zeros((40, 1), np.int64),
        np.zeros(40),
        np.full(40, Q // 2 + 1),
        np.full(40, -(Q // 2) - 1),
        np.full(40, np.iinfo(np.int64).min),
    ):
        with pytest.raises(MisuseError) as refused:
            contributor.contribute(played.file, vector)
        assert refused.value.rule == Rule.VECTOR_RANGE
    contributor.contribute(played.file, VECTOR)


def test_a_phone_that_is_not_sampled_sends_nothing_and_is_not_taken(players, kind):
    numbers, terms = [], None
    while not terms or not min(numbers) <= terms.sample < max(numbers):
        played = players(kind, sample=2**62)
        context, terms = played.aggregator.committees.context, played.info.terms
        numbers = [_sampling_number(context, key.ticket.round_key) for key in played.round_keys]
    for contributor, number in zip(played.contributors(), numbers, strict=True):
        if number <= terms.sample:
            played.collector.add(contributor.contribute(played.file, VECTOR))
            continue
        with pytest.raises(PeerError) as refused:
            contributor.contribute(played.file, VECTOR)
        assert refused.value.rule == Rule.SAMPLED


def _sampling_number(context, round_key):
    return int.from_bytes(digest_of_fields(b"covey/2/sample", context, round_key)[:8])


def test_garbage_is_refused_by_every_party(players, kind):
    played = players(kind)
    contribute(played, vectors(12, 40))
    garbage = [b"", b"\x80", b"\x81\x00", bytes(played.aggregator.sizes.whole), b"\xff" * 100]
    for data in garbage:
        for take in (
            lambda each: check_committees(each, played.info),
            played.collector.add,
            lambda each: played.notary.include(played.file, each),
        ):
            with pytest.raises(PrivacyError):
                take(data)
    played.include()
    seat = seats(played, played.aggregator.committees.each[0].kind)[0]
    for data in garbage:
        for take in (
            lambda each: played.decryptors[seat].check(each, NOW),
            played.aggregator.complain,
            played.notary.final,
        ):
            with pytest.raises(PrivacyError):
                take(data)
    played.check()
    played.finalize()
    assert played.open().members == 12


@pytest.fixture
def colluding(players):
    """`colluding(change)`: a drawn round whose registry signs any roster, nonce and members."""

    def seated(change):
        played = players("drawn")
        drawn = wire.decode(CommitteeFile, played.file).drawn
        roster = open_signed(RosterHead, ROSTER, drawn.roster, played.registry.public)
        nonce, members, roster = change(played._nonce, drawn.members, roster)
        signed = sign(ROSTER, roster, played.registry)
        draw = sign(DRAW, draw_of(played.info.digest, signed, nonce, members), played.registry)
        return played, wire.encode(CommitteeFile((), DrawnCommittee(signed, draw, members)))

    return seated


COLLUSIONS = {
    "another nonce": (lambda nonce, members, roster: (bytes(32), members, roster), Rule.DRAW_NONCE),
    "a member less": (lambda nonce, members, roster: (nonce, members[1:], roster), Rule.COMMITTEE_MEMBERS),
    "a member twice": (
        lambda nonce, members, roster: (nonce, (members[0], *members[:-1]), roster),
        Rule.COMMITTEE_MEMBERS,
    ),
    "a bad ticket": (
        lambda nonce, members, roster: (nonce, (_with_ticket(members[0]), *members[1:]), roster),
        Rule.TICKET_SIGNATURE,
    ),
    "a box key of its own": (
        lambda nonce, members, roster: (
            nonce,
            (dataclasses.replace(members[0], box_key=b"9" + bytes(31)), *members[1:]),
            roster,
        ),
        Rule.VOLUNTEER_SIGNATURE,
    ),
    "a smaller roster": (
        lambda nonce, members, roster: (nonce, members, dataclasses.replace(roster, size=20)),
        Rule.COMMITTEE_SHAPE,
    ),
    "a roster of another round": (
        lambda nonce, members, roster: (nonce, members, dataclasses.replace(roster, manifest=bytes(32))),
        Rule.HEAD_SIGNATURE,
    ),
}


def _with_ticket(member):
    ticket = dataclasses.replace(member.ticket, signature=bytes(len(member.ticket.signature)))
    return dataclasses.replace(member, ticket=ticket)


@pytest.mark.parametrize(("change", "rule"), COLLUSIONS.values(), ids=COLLUSIONS)
def test_a_phone_checks_a_draw_whatever_the_registry_signed(colluding, change, rule):
    played, file = colluding(change)
    _refuses(played, file, rule)
