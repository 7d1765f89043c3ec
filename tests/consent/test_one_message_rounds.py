"""Rounds in one message against the registry over HTTP: whole ones, and what it refuses in each step."""

import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from registry_players import SETTINGS, WITNESS_KEY, add_issued
from secagg_rounds import contribute, crooked
from sqlalchemy import event
from sqlalchemy.engine import Engine

from covey_consent.access.roles import Role
from covey_consent.rounds import conditions, notary
from covey_consent.transparency.cosigners import Cosigner
from covey_privacy import checkpoint, wire
from covey_privacy.errors import PeerError
from covey_privacy.manifest import sign_manifest
from covey_privacy.merkle import leaf_hash, verify_inclusion
from covey_privacy.protocol_rules import Rule
from covey_privacy.registry_messages import LEAF_MANIFEST
from covey_privacy.secagg.committee import roster_head, sort_roster
from covey_privacy.secagg.contribution import leaf_of, read
from covey_privacy.secagg.decryptor import complaints_statement
from covey_privacy.secagg.log_entries import entry_of, open_head
from covey_privacy.secagg.messages import (
    DISPUTE,
    FINAL,
    INCLUDED,
    ROSTER,
    Complaints,
    Entry,
    FinalRequest,
    Grant,
    IncludeRequest,
    RosterHead,
    SetHead,
    VolunteerOffer,
)
from covey_privacy.secagg.notary import RefusedMembersError
from covey_privacy.secagg.notary_messages import (
    DrawRequest,
    ExclusionRequest,
    GrantRequest,
    InclusionAnswer,
    InclusionRequest,
    LoggedHead,
    RosterRequest,
    RoundEntries,
)
from covey_privacy.secagg.terms import Kind
from covey_privacy.secagg.volunteer import Volunteer
from covey_privacy.signatures import SigningKey
from covey_privacy.tickets import RoundKey


def vectors(count=6, length=10):
    return np.random.default_rng(1).integers(-1000, 1001, (count, length))


def collect(round_):
    """Seat the committees and have every phone contribute; return what asks for the set's inclusion."""
    round_.seat()
    contribute(round_, vectors())
    return round_.include_request()


def view(shop, round_id="round-1"):
    answer = shop.http.get(f"/v1/rounds/{round_id}")
    assert answer.status_code == 200, answer.text
    return wire.decode(RoundEntries, answer.content)


def without(request, *places):
    """The same request for inclusion without the members at some places."""
    asked = wire.decode(IncludeRequest, request.request)
    entries = tuple(entry for place, entry in enumerate(asked.entries) if place not in places)
    return dataclasses.replace(request, request=wire.encode(dataclasses.replace(asked, entries=entries)))


def included(answer):
    assert answer.status_code == 200, answer.text
    return wire.decode(InclusionAnswer, answer.content)


@pytest.mark.parametrize("kind", sorted(SETTINGS))
def test_a_whole_round(witnessed, play, kind):
    round_, given = play(witnessed, kind), vectors()
    result = round_.add_up(given)
    assert (result.vector == given.sum(axis=0)).all()
    assert result.members == 6
    assert all(head.missing == () for head in round_.notary.logged.values())
    assert witnessed.conclude(round_.manifest, round_.info.digest, "released").status_code == 200


def test_a_dealer_is_convicted_in_a_dispute_that_the_registry_granted(witnessed, play):
    round_, given = play(witnessed, "drawn"), vectors()
    round_.seat()
    for place, contributor in enumerate(round_.contributors()):
        message = (
            crooked(round_, 0, given[0], boxes=lambda sealed: (bytes(len(sealed[0])), *sealed[1:]))
            if place == 0
            else contributor.contribute(round_.file, given[place])
        )
        round_.collector.add(message)
    result = round_.finish()
    assert (result.vector == given[1:].sum(axis=0)).all()
    assert len(view(witnessed).entries) == 5


def test_anyone_follows_a_round(one_message, play):
    round_ = play(one_message, "both")
    before = view(one_message)
    assert before.manifest == sign_manifest(round_.manifest, one_message.operator)
    assert before.entries == ()
    request = collect(round_)
    signed = included(round_.notary.ask(request)).head.signed
    shown = view(one_message)
    log = one_message.entries()
    assert log[shown.index] == LEAF_MANIFEST + shown.manifest
    assert [log[each.index] for each in shown.entries] == [entry_of(each.signed) for each in shown.entries]
    assert shown.entries[-1].signed == signed
    assert len(shown.entries) == 3
    assert one_message.http.get("/v1/rounds/round-9").status_code == 404


def test_what_is_signed_comes_with_its_place_under_a_cosigned_note(witnessed, play):
    round_ = play(witnessed, "standing")
    head = included(round_.notary.ask(collect(round_))).head
    newest = checkpoint.open_note(head.logged.note, witnessed.registry.public)
    verify_inclusion(
        leaf_hash(entry_of(head.signed)), head.logged.index, newest.size, head.logged.proof, newest.root
    )
    assert WITNESS_KEY.name in head.logged.note
    assert head.missing == ()


def test_without_its_witness_an_answer_says_so_and_later_has_the_proof(witnessed, play, monkeypatch):
    round_ = play(witnessed, "standing")
    request = collect(round_)
    asked = threading.Event()

    async def silent(_cosigner):
        asked.set()
        raise RuntimeError("the witness does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(Cosigner, "cosign", silent)
        patch.setattr("covey_consent.transparency.cosigners.RETRY_SECONDS", 0.01)
        first = included(round_.notary.ask(request)).head
        assert asked.is_set()
        assert first.missing == (WITNESS_KEY.name,)
        assert WITNESS_KEY.name not in first.logged.note
    answers = (included(round_.notary.ask(request)).head for _ in range(500))
    later = next(head for head in answers if not head.missing)
    assert later.signed == first.signed
    round_.log.view.require_logged(later.signed, later.logged, int(witnessed.clock.now))


class TestVolunteers:
    @pytest.fixture
    def round_(self, one_message, play):
        return play(one_message, "drawn")

    @pytest.fixture
    def offers(self, round_):
        keys = round_.issuers[1].round_keys(40, round_.random)
        return [Volunteer(round_.info, key).volunteer() for key in keys]

    def send(self, round_, offer):
        return round_.shop.post(round_.notary.path("volunteers"), offer)

    def test_the_roster_is_all_that_the_registry_holds(self, round_, offers):
        for offer in offers:
            round_.notary.volunteer(offer)
        signed = round_.notary.roster()
        head = open_head(RosterHead, ROSTER, signed, round_.registry.public)
        roster = sort_roster([wire.decode(VolunteerOffer, offer) for offer in offers])
        assert head == roster_head(round_.info.digest, roster)

    def test_one_who_came_while_the_roster_was_read_is_not_left_out(
        self, round_, offers, problem, monkeypatch
    ):
        for offer in offers[:-1]:
            round_.notary.volunteer(offer)
        round_.notary.at("volunteer")
        real = notary.state_of

        def late(rows, info):
            now, round_.shop.clock.now = round_.shop.clock.now, round_.manifest.windows.volunteer
            round_.notary.volunteer(offers[-1])
            round_.shop.clock.now = now
            return real(rows, info)

        with monkeypatch.context() as patch:
            patch.setattr(notary, "state_of", late)
            answer = round_.notary.ask(RosterRequest(round_.info.digest))
            assert "40 phones volunteered" in problem(answer, 409)
        assert view(round_.shop).entries == ()
        head = open_head(RosterHead, ROSTER, round_.notary.roster(), round_.registry.public)
        assert head.size == 40

    def test_one_more_costs_no_reading_of_the_others(self, round_, offers):
        def statements(offer):
            done = []

            def executed(_connection, _cursor, statement, *_):
                if "round_volunteers" in statement:
                    done.append(statement)

            event.listen(Engine, "before_cursor_execute", executed)
            try:
                round_.notary.volunteer(offer)
            finally:
                event.remove(Engine, "before_cursor_execute", executed)
            return done

        first = statements(offers[0])
        for offer in offers[1:-1]:
            round_.notary.volunteer(offer)
        assert statements(offers[-1]) == first
        assert [statement.split()[0] for statement in first] == ["SELECT", "INSERT"]
        assert "box_key = " in first[0]

    def test_the_same_offer_counts_once_and_another_is_refused(self, round_, offers, problem):
        for _ in range(2):
            assert self.send(round_, offers[0]).status_code == 204
        key = round_.issuers[1].round_keys(1, round_.random)[0]
        again = Volunteer(round_.info, key).volunteer()
        assert "(ticket-spent)" in problem(self.send(round_, again), 409)
        for offer in offers[1:]:
            round_.notary.volunteer(offer)
        head = open_head(RosterHead, ROSTER, round_.notary.roster(), round_.registry.public)
        assert head.size == 40

    def test_a_ticket_is_good_for_one_round_ever(self, round_, offers, play, problem):
        round_.notary.volunteer(offers[0])
        other = play(round_.shop, "drawn", {"round_id": "round-2"})
        key = round_.issuers[1].round_keys(1, round_.random)[0]
        offer = Volunteer(other.info, key).volunteer()
        assert "(ticket-spent)" in problem(self.send(other, offer), 409)

    def test_a_ticket_to_contribute_does_not_admit_a_volunteer(self, round_, problem):
        offer = Volunteer(round_.info, round_.round_keys[0]).volunteer()
        assert "(ticket-signature)" in problem(self.send(round_, offer), 422)

    def test_another_round_keys_signature_is_refused(self, round_, problem):
        first, second = round_.issuers[1].round_keys(2, round_.random)
        stolen = RoundKey(first.secret, second.ticket)
        assert "(volunteer-signature)" in problem(
            self.send(round_, Volunteer(round_.info, stolen).volunteer()), 422
        )

    def test_a_box_key_comes_once(self, round_, offers, problem):
        round_.notary.volunteer(offers[0])
        key = round_.issuers[1].round_keys(2, round_.random)[1]
        same = Volunteer(round_.info, key, random=lambda _: bytes(32))
        other = Volunteer(
            round_.info, round_.issuers[1].round_keys(3, round_.random)[2], random=lambda _: bytes(32)
        )
        assert self.send(round_, same.volunteer()).status_code == 204
        assert "box key (committee-members)" in problem(self.send(round_, other.volunteer()), 422)
        assert self.send(round_, offers[2]).status_code == 204  # Its ticket was not spent.

    def test_none_is_taken_after_the_window(self, round_, offers, problem):
        round_.notary.volunteer(offers[0])
        round_.notary.at("volunteer")
        assert "closed 1 seconds ago" in problem(self.send(round_, offers[1]), 409)
        assert self.send(round_, offers[0]).status_code == 204

    def test_none_is_taken_once_the_roster_is_signed(self, round_, offers, problem):
        for offer in offers[1:]:
            round_.notary.volunteer(offer)
        round_.notary.roster()
        round_.shop.clock.now = round_.manifest.windows.volunteer
        assert "is signed" in problem(self.send(round_, offers[0]), 409)

    def test_a_standing_committee_takes_none(self, one_message, play, problem):
        standing = play(one_message, "standing")
        key = standing.issuers[1].round_keys(1, standing.random)[0]
        drawn = play(one_message, "drawn", {"round_id": "round-2"})
        offer = Volunteer(drawn.info, key).volunteer()
        assert "(committee-kind)" in problem(self.send(standing, offer), 422)

    @pytest.mark.parametrize("body", [b"", b"\x80", b"x" * 4096, b"x" * 4097])
    def test_what_is_no_offer_is_refused(self, round_, body):
        assert self.send(round_, body).status_code in (400, 413)

    def test_a_roster_waits_for_its_window_and_has_a_shape(self, round_, offers, problem):
        ask = RosterRequest(round_.info.digest)
        round_.notary.volunteer(offers[0])
        round_.notary.at("volunteer")
        assert "(committee-shape)" in problem(round_.notary.ask(ask), 422)
        round_.shop.clock.now -= 1
        for offer in offers[1:]:
            round_.notary.volunteer(offer)
        assert "once the window before it has closed, in 1 s" in problem(round_.notary.ask(ask), 409)
        assert view(round_.shop).entries == ()

    def test_a_draw_takes_the_manifests_nonce_after_the_roster(self, round_, offers, problem):
        asked = DrawRequest(round_.info.digest, round_._nonce)
        for offer in offers:
            round_.notary.volunteer(offer)
        assert "(step-order)" in problem(round_.notary.ask(asked), 409)
        round_.notary.roster()
        wrong = dataclasses.replace(asked, nonce=bytes(32))
        assert "(draw-nonce)" in problem(round_.notary.ask(wrong), 422)
        assert round_.notary.draw(round_._nonce) == round_.notary.draw(round_._nonce)

    def test_abandoned_draws_are_bounded(self, round_, offers, play, problem, monkeypatch):
        monkeypatch.setattr(conditions, "MOST_ABANDONED_DRAWS", 1)
        other = play(round_.shop, "drawn", {"round_id": "round-2"})
        keys = round_.issuers[1].round_keys(80, round_.random)
        for offer in offers:
            round_.notary.volunteer(offer)
        for key in keys[40:]:
            other.notary.volunteer(Volunteer(other.info, key).volunteer())
        round_.notary.roster()
        round_.notary.roster()
        asked = RosterRequest(other.info.digest)
        assert "1 rosters were signed within a year" in problem(other.notary.ask(asked), 409)
        assert view(round_.shop, "round-2").entries == ()


def test_a_draw_that_a_set_followed_is_not_abandoned(one_message, play, monkeypatch):
    monkeypatch.setattr(conditions, "MOST_ABANDONED_DRAWS", 1)
    first = play(one_message, "drawn")
    included(first.notary.ask(collect(first)))
    second = play(one_message, "drawn", {"round_id": "round-2"})
    for key in second.issuers[1].round_keys(80, second.random)[40:]:
        second.notary.volunteer(Volunteer(second.info, key).volunteer())
    second.notary.roster()


class TestInclusion:
    @pytest.fixture
    def round_(self, one_message, play):
        return play(one_message, "standing")

    @pytest.fixture
    def request_(self, round_):
        return collect(round_)

    def test_the_same_set_has_the_same_signature_and_another_none(self, round_, request_, problem):
        first = included(round_.notary.ask(request_)).head
        assert included(round_.notary.ask(request_)).head.signed == first.signed
        assert "(signed-once)" in problem(round_.notary.ask(without(request_, 0)), 409)
        assert [each.signed for each in view(round_.shop).entries] == [first.signed]
        head = open_head(SetHead, INCLUDED, first.signed, round_.registry.public)
        assert head.size == 6

    def test_one_key_contributes_once_ever(self, round_, request_, play):
        included(round_.notary.ask(request_))
        other = play(round_.shop, "standing", {"round_id": "round-2"})
        answer = included(other.notary.ask(collect(other)))
        assert answer.head is None
        assert {each.rule for each in answer.refused} == {"ticket-spent"}
        assert {each.round_key for each in answer.refused} == {
            key.ticket.round_key for key in round_.round_keys
        }
        assert view(round_.shop, "round-2").entries == ()

    def test_a_refused_set_spends_nothing(self, round_, request_, play):
        included(round_.notary.ask(without(request_, 0, 1, 2)))
        other = play(round_.shop, "standing", {"round_id": "round-2"})
        answer = included(other.notary.ask(collect(other)))
        assert len(answer.refused) == 3
        gone = {each.round_key for each in answer.refused}
        other.aggregator.leave_out(gone)
        assert included(other.notary.ask(other.include_request())).head is not None

    def test_members_that_cannot_take_part_are_named_with_their_rule(self, round_, request_):
        asked = wire.decode(IncludeRequest, request_.request)
        unsigned = dataclasses.replace(asked.entries[0], signature=bytes(64))
        minted = dataclasses.replace(
            asked.entries[2], ticket=dataclasses.replace(asked.entries[2].ticket, signature=bytes(256))
        )
        longer = dataclasses.replace(asked.entries[4], size=asked.entries[4].size + 1)
        bad = dict(zip((0, 2, 4), (unsigned, minted, longer), strict=True))
        entries = tuple(bad.get(place, entry) for place, entry in enumerate(asked.entries))
        altered = dataclasses.replace(
            request_, request=wire.encode(dataclasses.replace(asked, entries=entries))
        )
        answer = included(round_.notary.ask(altered))
        assert answer.head is None
        assert {each.round_key: each.rule for each in answer.refused} == {
            unsigned.leaf.round_key: "contribution-signature",
            minted.leaf.round_key: "ticket-signature",
            longer.leaf.round_key: "contribution-size",
        }
        assert included(round_.notary.ask(request_)).head is not None

    def test_a_volunteers_ticket_does_not_contribute(self, one_message, play):
        round_ = play(one_message, "standing")
        round_.round_keys = round_.issuers[1].round_keys(6, round_.random)
        with pytest.raises(PeerError) as refused:
            collect(round_)
        assert refused.value.rule == Rule.TICKET_SIGNATURE
        # The coordinator that checks no tickets is refused by the registry.
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("covey_privacy.secagg.collector.check_entry", lambda *_: None)
            round_ = play(one_message, "standing", {"round_id": "round-2"})
            round_.round_keys = round_.issuers[1].round_keys(6, round_.random)
            asked = collect(round_)
        with pytest.raises(RefusedMembersError) as error:
            round_.notary.include(asked.committees, asked.request)
        assert set(error.value.members.values()) == {"ticket-signature"}

    def test_a_retraction_before_it_keeps_the_phone_out(self, round_, request_, problem):
        contributor = next(iter(round_.contributors()))
        _, retraction = contributor.contribute(round_.file, vectors()[0]), contributor.retract()
        for _ in range(2):
            assert round_.notary.retract(retraction).status_code == 204
        answer = included(round_.notary.ask(request_))
        key = retraction.ticket.round_key
        assert [(each.round_key, each.rule) for each in answer.refused] == [(key, "ticket-spent")]
        round_.aggregator.leave_out([key])
        assert included(round_.notary.ask(round_.include_request())).head is not None

    def test_a_retraction_after_it_is_refused(self, round_, request_, problem):
        included(round_.notary.ask(request_))
        retraction = next(iter(round_.contributors())).retract()
        assert "(retracted)" in problem(round_.notary.retract(retraction), 409)

    def test_a_retraction_is_signed_by_its_round_key(self, round_, request_, problem):
        retraction = next(iter(round_.contributors())).retract()
        forged = dataclasses.replace(retraction, signature=bytes(64))
        assert "(contribution-signature)" in problem(round_.notary.retract(forged), 422)
        assert included(round_.notary.ask(request_)).head is not None

    def test_it_waits_for_the_contributors_window_and_ends_with_that_of_the_check(
        self, round_, request_, problem
    ):
        clock, windows = round_.shop.clock, round_.manifest.windows
        clock.now = windows.contribute
        assert "in 1 s" in problem(round_.notary.ask(request_), 409)
        clock.now = windows.check + 301
        assert "closed 1 seconds ago" in problem(round_.notary.ask(request_), 409)
        clock.now -= 1
        first = included(round_.notary.ask(request_)).head
        clock.now += 10 * 86400
        assert included(round_.notary.ask(request_)).head.signed == first.signed

    def test_as_many_batches_were_issued_as_the_manifest_counts_with(self, one_message, play, problem):
        more = {"least_issued": 6}
        round_ = play(one_message, "standing", more, issued=7)
        asked = collect(round_)
        assert "4 batches were issued; the manifest asks for 6" in problem(round_.notary.ask(asked), 409)
        add_issued(one_message, range(4, 8))
        assert "among 7" in problem(round_.notary.ask(asked), 409)

    def test_it_is_as_large_as_the_terms_say(self, round_, request_, problem):
        assert "(least-set)" in problem(round_.notary.ask(without(request_, 0, 1, 2, 3, 4)), 422)

    def test_it_needs_the_organisations_signatures(self, round_, request_, problem):
        altered = request_.committees[:-1] + bytes([request_.committees[-1] ^ 1])
        other = dataclasses.replace(request_, committees=altered)
        assert round_.notary.ask(other).status_code in (400, 422)

    def test_an_epoch_that_was_ended_spends_no_ticket(self, round_, request_, problem):
        shop = round_.shop
        answer = shop.http.post(
            f"/v1/epochs/{shop.clock.epoch}/end",
            json={"reason": "the key leaked"},
            headers=shop.as_(Role.ADMIN),
        )
        assert answer.status_code == 200, answer.text
        assert "was ended before its time" in problem(round_.notary.ask(request_), 409)

    def test_after_the_evidence_the_round_is_over(self, round_, request_, problem):
        signed = round_.shop.evidence(round_.manifest, round_.info.digest, "aborted: too few")
        assert round_.shop.post("/v1/rounds/round-1/evidence", signed).status_code == 200
        assert "is over" in problem(round_.notary.ask(request_), 409)

    @pytest.mark.parametrize("message", [RosterRequest, DrawRequest, InclusionRequest, ExclusionRequest])
    def test_the_operator_signs_every_request_for_its_own_round(self, round_, request_, problem, message):
        digest = round_.info.digest
        asked = {
            RosterRequest: RosterRequest(digest),
            DrawRequest: DrawRequest(digest, bytes(32)),
            InclusionRequest: request_,
            ExclusionRequest: ExclusionRequest(digest, b"x"),
        }[message]
        assert "is not signed by key" in problem(round_.notary.ask(asked, SigningKey(b"x" * 32)), 403)
        other = dataclasses.replace(asked, manifest=bytes(32))
        assert "another manifest" in problem(round_.notary.ask(other), 422)
        assert view(round_.shop).entries == ()

    def test_two_threads_that_ask_for_different_sets_get_one(self, round_, request_, monkeypatch):
        at_once = threading.Barrier(4, timeout=20)
        real = notary.state_of

        def together(rows, info):
            at_once.wait()
            return real(rows, info)

        monkeypatch.setattr(notary, "state_of", together)
        asked = [request_, *(without(request_, place) for place in range(3))]
        with ThreadPoolExecutor(4) as threads:
            answers = list(threads.map(round_.notary.ask, asked))
        assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
        (won,) = [answer for answer in answers if answer.status_code == 200]
        (entry,) = view(round_.shop).entries
        assert entry.signed == included(won).head.signed

    def test_a_request_needs_the_operators_signature_in_hex(self, round_, problem):
        body, path = wire.encode(RosterRequest(round_.info.digest)), round_.notary.path("roster")
        problem(round_.shop.post(path, body), 422)
        problem(round_.shop.post(path, body, **{"covey-signature": "no hex"}), 422)


class TestFinalSet:
    @pytest.fixture
    def round_(self, witnessed, play):
        """A round whose included set every decryptor has checked."""
        round_ = play(witnessed, "both")
        round_.seat()
        contribute(round_, vectors())
        round_.include()
        return round_

    def complaints(self, round_, seat, *members):
        """A decryptor's signed complaints, true or not."""
        root = round_.aggregator.state.members.root
        kind, number = seat
        blank = Complaints(kind, number, root, members, bytes(64))
        key = SigningKey(round_.decryptors[seat].state.keys.signing)
        signature = key.sign(complaints_statement(round_.aggregator.committees.context, blank))
        return dataclasses.replace(blank, signature=signature)

    def final(self, round_, excluded=(), complaints=(), disputes=()):
        request = FinalRequest(tuple(excluded), tuple(complaints), tuple(disputes))
        return round_.notary.ask(ExclusionRequest(round_.info.digest, wire.encode(request)))

    def test_it_leaves_nobody_out_without_proof(self, round_, problem):
        assert "(exclusion)" in problem(self.final(round_, [2]), 422)
        answer = self.final(round_, [2], [self.complaints(round_, (Kind.STANDING, 1), 2)])
        head = open_head(
            SetHead, FINAL, wire.decode(LoggedHead, answer.content).signed, round_.registry.public
        )
        assert head.size == 5

    def test_a_second_one_is_refused_and_the_first_is_answered_again(self, round_, problem):
        first = self.final(round_)
        complaint = self.complaints(round_, (Kind.STANDING, 1), 2)
        assert "(signed-once)" in problem(self.final(round_, [2], [complaint]), 409)
        again = wire.decode(LoggedHead, self.final(round_).content)
        assert again.signed == wire.decode(LoggedHead, first.content).signed

    def test_it_follows_the_included_set(self, witnessed, play, problem):
        round_ = play(witnessed, "standing")
        round_.seat()
        contribute(round_, vectors())
        round_.notary.at("contribute")
        assert "(step-order)" in problem(self.final(round_), 409)

    def test_it_is_signed_until_the_last_window_closes(self, round_, problem):
        round_.shop.clock.now = round_.manifest.windows.open + 301
        assert "closed 1 seconds ago" in problem(self.final(round_), 409)
        round_.shop.clock.now -= 1
        assert self.final(round_).status_code == 200

    def test_a_dealer_is_disputed_by_one_decryptor_alone(self, round_, problem):
        digest = round_.info.digest
        first, second = (
            wire.encode(self.complaints(round_, (Kind.DRAWN, number), 1, 3)) for number in (5, 6)
        )
        granted = wire.decode(LoggedHead, round_.notary.ask(GrantRequest(digest, first, 1)).content)
        grant = open_head(Grant, DISPUTE, granted.signed, round_.registry.public)
        assert (grant.decryptor, grant.leaf) == (5, round_.aggregator.state.members.leaves[1].hash)
        assert "(signed-once)" in problem(round_.notary.ask(GrantRequest(digest, second, 1)), 409)
        again = wire.decode(LoggedHead, round_.notary.ask(GrantRequest(digest, first, 1)).content)
        assert again.signed == granted.signed
        assert round_.notary.ask(GrantRequest(digest, second, 3)).status_code == 200
        assert "(dispute)" in problem(round_.notary.ask(GrantRequest(digest, first, 2)), 422)
        standing = wire.encode(self.complaints(round_, (Kind.STANDING, 1), 1))
        assert "(dispute)" in problem(round_.notary.ask(GrantRequest(digest, standing, 1)), 422)

    def test_no_dispute_is_granted_once_the_final_set_is_signed(self, round_, problem):
        assert self.final(round_).status_code == 200
        complaint = wire.encode(self.complaints(round_, (Kind.DRAWN, 5), 1))
        answer = round_.notary.ask(GrantRequest(round_.info.digest, complaint, 1))
        assert "is signed" in problem(answer, 409)

    def test_earlier_steps_are_answered_again_after_it(self, round_, problem):
        before = {each.signed for each in view(round_.shop).entries}
        assert self.final(round_).status_code == 200
        assert round_.notary.roster() in before
        assert round_.notary.draw(round_._nonce).draw in before
        assert round_.notary.include(round_.file, self.included_request(round_)) in before

    def included_request(self, round_):
        made = []
        for _, data in sorted(round_.messages.items()):
            message = read(data, round_.aggregator.sizes)
            leaf = leaf_of(message, round_.aggregator.sizes)
            made.append(Entry(leaf, message.ticket, message.signature, len(data)))
        return wire.encode(IncludeRequest(round_.aggregator.committees.context, tuple(made)))


@pytest.mark.parametrize("name", ["committees", "request"])
def test_an_altered_byte_of_a_set_is_refused_and_leaves_no_trace(one_message, play, name):
    round_ = play(one_message, "standing")
    request = collect(round_)
    whole = getattr(request, name)
    for place in range(0, len(whole), max(1, len(whole) // 60)):
        altered = whole[:place] + bytes([whole[place] ^ 0x40]) + whole[place + 1 :]
        answer = round_.notary.ask(dataclasses.replace(request, **{name: altered}))
        assert answer.status_code in (200, 400, 422), answer.text
        assert answer.status_code != 200 or included(answer).refused
    assert view(one_message).entries == ()
    assert included(round_.notary.ask(request)).head is not None


def test_an_altered_byte_of_a_final_set_is_refused_and_leaves_no_trace(witnessed, play):
    round_ = play(witnessed, "standing")
    collect(round_)
    round_.include()
    round_.check()
    before = view(witnessed)
    whole = round_.aggregator.exclude()
    for place in range(0, len(whole), max(1, len(whole) // 60)):
        altered = whole[:place] + bytes([whole[place] ^ 0x40]) + whole[place + 1 :]
        answer = round_.notary.ask(ExclusionRequest(round_.info.digest, altered))
        assert answer.status_code in (400, 422), answer.text
    assert view(witnessed) == before
    signed = round_.notary.final(whole)
    assert view(witnessed).entries[-1].signed == signed
