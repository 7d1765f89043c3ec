"""Decryptors that lie: false complaints convict nobody, wrong sums are corrected or found."""

from __future__ import annotations

import dataclasses

import pytest
from secagg_rounds import contribute, crooked, seats, vectors

from covey_privacy import wire
from covey_privacy.errors import AbortError, PeerError, ServerError
from covey_privacy.protocol_rules import Rule
from covey_privacy.secagg import disputes, equality_proof
from covey_privacy.secagg.decryptor import Decryptor, complaints_statement, opening_statement
from covey_privacy.secagg.field import Q
from covey_privacy.secagg.messages import (
    DISPUTE,
    Complaints,
    Contribution,
    Dealt,
    DisputeProof,
    DisputeRequest,
    Grant,
    Opening,
)
from covey_privacy.secagg.terms import Kind
from covey_privacy.signatures import SigningKey, sign
from covey_simulations.scenarios.in_process_round import NOW


def _signed(decryptor: Decryptor, keys, message):
    """Return a decryptor's message, altered and signed by it again."""
    make = complaints_statement if isinstance(message, Complaints) else opening_statement
    context = decryptor._context
    signature = SigningKey(keys.signing).sign(make(context, message))
    return wire.encode(dataclasses.replace(message, signature=signature))


def _lie(played, seat, members):
    """Let a decryptor complain about some members as well."""
    decryptor = played.decryptors[seat]
    keys = decryptor.state.keys
    honest = decryptor.check(played.aggregator.check_request(*seat), NOW)
    said = dataclasses.replace(wire.decode(Complaints, honest), members=tuple(members))
    return _signed(decryptor, keys, said)


def test_a_false_complaint_of_a_drawn_decryptor_excludes_nobody(players):
    played = players("drawn")
    given = vectors(12, 40)
    contribute(played, given)
    played.include()
    liar = seats(played, Kind.DRAWN)[20]
    played.aggregator.complain(_lie(played, liar, [3]))
    for seat in played.decryptors:
        if seat != liar:
            request = played.aggregator.check_request(*seat)
            played.aggregator.complain(played.decryptors[seat].check(request, NOW))
    assert played.aggregator.to_dispute() == [(3, liar[1])]
    played.finalize()
    result = played.open()
    assert result.excluded == ()
    assert (result.vector == given.sum(axis=0)).all()


@pytest.mark.parametrize("place", [0, 20])
def test_a_liar_that_shows_its_true_point_convicts_nobody(players, place):
    """The dealer signed nothing that is at fault, so opening its share shows a good one."""
    played = players("drawn")
    contribute(played, vectors(12, 40))
    played.include()
    (kind, number) = liar = seats(played, Kind.DRAWN)[place]
    said = _lie(played, liar, [3])
    played.aggregator.complain(said)
    decryptor = played.decryptors[liar]
    grant = played.notary.dispute(said, 3)
    request = played.dispute_request(3, number, grant)
    leaf = played.aggregator.state.members.leaves[3]
    context = disputes.dispute_context(decryptor._context, kind, leaf, number)
    shown = equality_proof.prove(decryptor.state.keys.box, leaf.round_key, context)
    proof = wire.encode(DisputeProof(3, number, _dealt_of(request), shown))
    with pytest.raises(PeerError) as refused:
        played.aggregator.disputed(proof)
    assert refused.value.rule == Rule.DISPUTE


def _dealt_of(request):
    return wire.decode(DisputeRequest, request).dealt


def test_fewer_than_t_false_complaints_exclude_nobody_and_t_of_them_do(players):
    """T is one more than the corrupt decryptors, so T complaints hold one that is honest."""
    for complaining in (1, 0):
        played = players("drawn")
        contribute(played, vectors(12, 40))
        played.include()
        shape = played.aggregator.committees.of_kind(Kind.DRAWN).shape
        for seat in seats(played, Kind.DRAWN)[: shape.privacy - complaining]:
            played.aggregator.complain(_lie(played, seat, [3]))
        out, _ = played.aggregator._excluded(played.aggregator.state)
        assert out == (set() if complaining else {3})


def test_an_organisation_that_complains_alone_about_many_is_treated_as_absent(players):
    played = players("standing")
    given = vectors(12, 40)
    contribute(played, given)
    played.include()
    liar = (Kind.STANDING, 2)
    played.aggregator.complain(_lie(played, liar, [1, 4]))
    for seat in set(played.decryptors) - {liar}:
        request = played.aggregator.check_request(*seat)
        played.aggregator.complain(played.decryptors[seat].check(request, NOW))
    played.finalize()
    assert played.aggregator.state.before.absent == {2}
    result = played.open(absent=[liar])
    assert result.excluded == ()
    assert (result.vector == given.sum(axis=0)).all()


def test_an_organisations_complaint_excludes_the_dealer(players):
    played = players("standing")
    contribute(played, vectors(12, 40))
    played.include()
    played.aggregator.complain(_lie(played, (Kind.STANDING, 2), [4]))
    played.finalize()
    assert played.aggregator.state.before.excluded == (4,)


def test_complaints_are_the_decryptors_own(players, kind):
    played = players(kind)
    contribute(played, vectors(12, 40))
    played.include()
    seat = min(played.decryptors)
    said = wire.decode(Complaints, played.decryptors[seat].check(played.aggregator.check_request(*seat), NOW))
    for changes, rule in (
        ({"members": (3,)}, Rule.EXCLUSION),
        ({"decryptor": said.decryptor + 1}, Rule.EXCLUSION),
        ({"decryptor": 0}, Rule.COMMITTEE_MEMBERS),
        ({"decryptor": 1000}, Rule.COMMITTEE_MEMBERS),
        ({"kind": 3}, Rule.COMMITTEE_MEMBERS),
        ({"root": bytes(32)}, Rule.EXCLUSION),
    ):
        with pytest.raises(PeerError) as refused:
            played.aggregator.complain(wire.encode(dataclasses.replace(said, **changes)))
        assert refused.value.rule == rule


@pytest.mark.parametrize("members", [(3, 3), (4, 3), (12,)])
def test_complaints_are_about_distinct_members_of_the_set(players, kind, members):
    played = players(kind)
    contribute(played, vectors(12, 40))
    played.include()
    with pytest.raises(PeerError) as refused:
        played.aggregator.complain(_lie(played, min(played.decryptors), members))
    assert refused.value.rule == Rule.LEAVES


def _open_with_liars(played, liars, present=None):
    """Open with some decryptors adding one to their sums."""
    played.include()
    played.check()
    played.finalize()
    request = played.open_request()
    for seat in present or played.decryptors:
        decryptor = played.decryptors[seat]
        keys = decryptor.state.keys
        answer = wire.decode(Opening, decryptor.open(request, NOW))
        if seat in liars:
            wrong = (int.from_bytes(answer.sums[:4], "little") + 1 + seat[1]) % Q
            answer = dataclasses.replace(answer, sums=wrong.to_bytes(4, "little") + answer.sums[4:])
        played.aggregator.opened(_signed(decryptor, keys, answer))
    return played.aggregator.conclude()


@pytest.mark.parametrize("answers", ["R + 2e", "m"])
def test_e_wrong_sums_are_corrected_and_more_open_nothing(players, kind, answers):
    given = vectors(12, 40)
    for beyond in (0, 1):
        played = players(kind)
        contribute(played, given)
        liars, present = [], []
        for committee in played.aggregator.committees.each:
            of_kind, shape = seats(played, committee.kind), committee.shape
            count = shape.members if answers == "m" else shape.threshold + 2 * shape.corrects
            present += of_kind[:count]
            liars += of_kind[: shape.corrects + beyond]
        if beyond:
            with pytest.raises(AbortError) as refused:
                _open_with_liars(played, liars, present)
            assert refused.value.rule == Rule.WRONG_SUMS
        else:
            result = _open_with_liars(played, liars, present)
            assert (result.vector == given.sum(axis=0)).all()
            assert all(result.corrected.values())


def test_one_wrong_sum_at_r_and_1_answers_is_found(players, kind):
    played = players(kind)
    contribute(played, vectors(12, 40))
    committee = played.aggregator.committees.each[0]
    others = [seat for seat in played.decryptors if seat[0] != committee.kind]
    present = seats(played, committee.kind)[: committee.shape.threshold + 1]
    with pytest.raises(AbortError) as refused:
        _open_with_liars(played, present[:1], present + others)
    assert refused.value.rule == Rule.WRONG_SUMS


def test_a_wrong_sum_at_r_answers_is_not_found_and_integrity_is_not_claimed(players):
    played = players("standing")
    given = vectors(12, 40)
    contribute(played, given)
    present = seats(played, Kind.STANDING)[:2]
    result = _open_with_liars(played, present[:1], present)
    assert not result.integrity_proved
    assert not (result.vector == given.sum(axis=0)).all()


def test_a_sum_that_is_not_the_decryptors_own_is_not_taken(players, kind):
    played = players(kind)
    contribute(played, vectors(12, 40))
    played.include()
    played.check()
    played.finalize()
    seat = min(played.decryptors)
    answer = wire.decode(Opening, played.decryptors[seat].open(played.open_request(), NOW))
    for changes in (
        {"sums": bytes(len(answer.sums))},
        {"decryptor": answer.decryptor + 1},
        {"head": bytes(32)},
    ):
        with pytest.raises(PeerError):
            played.aggregator.opened(wire.encode(dataclasses.replace(answer, **changes)))


def test_the_opened_message_leaves_out_the_three_blinding_sums(players, kind):
    played = players(kind)
    contribute(played, vectors(12, 40))
    played.include()
    played.check()
    played.finalize()
    for seat, decryptor in played.decryptors.items():
        shape = played.aggregator.committees.of_kind(seat[0]).shape
        answer = wire.decode(Opening, decryptor.open(played.open_request(), NOW))
        assert len(answer.sums) == 4 * shape.chunks(40)


def garble_boxes(played, kind):
    """Return the coordinator's boxes, by decryptor and by member, to be changed in place."""
    boxes = played.aggregator._boxes[kind] = played.aggregator._boxes[kind].copy()
    return boxes


def test_a_decryptor_opens_only_with_a_share_of_every_member(players, kind):
    """The coordinator withholds a box, and asks for the sum all the same."""
    played = players(kind)
    contribute(played, vectors(12, 40))
    played.include()
    seat = seats(played, played.aggregator.committees.each[-1].kind)[-1]
    decryptor = played.decryptors[seat]
    garble_boxes(played, seat[0])[-1] = 0
    decryptor.check(played.aggregator.check_request(*seat), NOW)
    assert len(decryptor.state.bad) == 12
    played.finalize()
    with pytest.raises(ServerError) as refused:
        decryptor.open(played.open_request(), NOW)
    assert refused.value.rule == Rule.MISSING_SHARE


def test_a_garbled_box_provokes_no_disclosure(players):
    """The decryptor complains, is shown what the dealer signed, and has its share after all."""
    played = players("drawn")
    given = vectors(12, 40)
    contribute(played, given)
    played.include()
    seat = seats(played, Kind.DRAWN)[-1]
    boxes = garble_boxes(played, Kind.DRAWN)
    boxes[-1, 0] = 0
    decryptor = played.decryptors[seat]
    said = decryptor.check(played.aggregator.check_request(*seat), NOW)
    assert decryptor.state.bad == (0,)
    grant = played.notary.dispute(said, 0)
    request = played.dispute_request(0, seat[1], grant)
    dealt = _dealt_of(request)
    for changes in (
        {"box": bytes(len(dealt.box))},
        {"proofs": bytes(len(dealt.proofs))},
        {"digests": dealt.digests[32:] + dealt.digests[:32]},
        {"digests": bytes(32) + dealt.digests[32:]},
        {"signature": bytes(64)},
    ):
        with pytest.raises(ServerError) as refused:
            decryptor.dispute(_with_dealt(request, dataclasses.replace(dealt, **changes)), NOW)
        assert refused.value.rule == Rule.DISPUTE
    assert decryptor.dispute(request, NOW) is None
    assert decryptor.state.bad == ()
    others = [each for each in played.decryptors if each != seat]
    for each in others:
        played.aggregator.complain(played.decryptors[each].check(played.aggregator.check_request(*each), NOW))
    played.finalize()
    assert (played.open().vector == given.sum(axis=0)).all()


def _with_dealt(request, dealt):
    return wire.encode(dataclasses.replace(wire.decode(DisputeRequest, request), dealt=dealt))


def test_a_dispute_needs_a_complaint_and_the_registrys_grant_for_it(players):
    played = players("drawn")
    given = vectors(12, 40)
    for place, contributor in enumerate(played.contributors()):
        cheat = {"boxes": lambda boxes: (*boxes[:-1], b"x" * len(boxes[-1]))}
        played.collector.add(
            crooked(played, place, given[place], **cheat)
            if place in (2, 3)
            else contributor.contribute(played.file, given[place])
        )
    played.include()
    last = seats(played, Kind.DRAWN)[-1]
    decryptor = played.decryptors[last]
    said = decryptor.check(played.aggregator.check_request(*last), NOW)
    one, two = decryptor.state.bad
    grant = played.notary.dispute(said, one)
    logged = played.log.append(grant)
    for member, number in ((two, last[1]), (0 if one else 11, last[1])):
        with pytest.raises(ServerError) as refused:
            decryptor.dispute(played.dispute_request(member, number, grant, logged), NOW)
        assert refused.value.rule == Rule.DISPUTE
    other = played.decryptors[seats(played, Kind.DRAWN)[-2]]
    other.check(played.aggregator.check_request(Kind.DRAWN, other.number), NOW)
    with pytest.raises(ServerError):
        other.dispute(played.dispute_request(one, other.number, grant, logged), NOW)
    with pytest.raises(ServerError):
        played.notary.dispute(said, 0 if one else 11)
    shown = decryptor.dispute(played.dispute_request(one, last[1], grant, logged), NOW)
    assert shown is not None


def test_a_dispute_that_a_colluding_registry_grants_needs_a_complaint_and_a_drawn_committee(players, kind):
    played = players(kind)
    message = wire.decode(Contribution, contribute(played, vectors(12, 40))[0])
    played.include()
    context = played.aggregator.committees.context
    leaf = played.aggregator.state.members.leaves[0]
    dealt = Dealt(bytes(32), b"", message.dealings[0].proof, message.signature)
    for seat, decryptor in played.decryptors.items():
        decryptor.check(played.aggregator.check_request(*seat), NOW)
        grant = sign(DISPUTE, Grant(played.info.digest, context, leaf.hash, seat[1]), played.registry)
        request = wire.encode(DisputeRequest(grant, played.log.append(grant), 0, dealt))
        with pytest.raises(ServerError, match="no such complaint"):
            decryptor.dispute(request, NOW)


def test_of_two_signed_answers_of_a_decryptor_the_first_stands(players, kind):
    played = players(kind)
    given = vectors(12, 40)
    contribute(played, given)
    played.include()
    seat = min(played.decryptors)
    keys = played.decryptors[seat].state.keys
    played.check()
    said = played.aggregator.state.complaints[seat]
    played.aggregator.complain(wire.encode(said))
    other = _signed(played.decryptors[seat], keys, dataclasses.replace(said, members=(3,)))
    with pytest.raises(PeerError) as refused:
        played.aggregator.complain(other)
    assert refused.value.rule == Rule.STEP_ONCE
    played.finalize()
    answer = wire.decode(Opening, played.decryptors[seat].open(played.open_request(), NOW))
    played.aggregator.opened(wire.encode(answer))
    other = dataclasses.replace(answer, sums=bytes(len(answer.sums)))
    with pytest.raises(PeerError) as refused:
        played.aggregator.opened(_signed(played.decryptors[seat], keys, other))
    assert refused.value.rule == Rule.STEP_ONCE
    assert (played.open().vector == given.sum(axis=0)).all()
