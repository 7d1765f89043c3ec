"""Tickets that are missing, of another set or epoch, spent, or brought to two gateways."""

from __future__ import annotations

from dataclasses import replace

import pytest

from covey_privacy import tickets, wire
from covey_privacy.errors import PeerError, ServerError
from covey_privacy.five_phases import Participant
from covey_privacy.five_phases.roster import Countersigned, Roster
from covey_privacy.rules import Rule
from covey_privacy.ticket_signer import TicketSigner, generate_private_keys
from covey_privacy.tickets import Role


@pytest.fixture
def terms(makers):
    return makers.terms_of(makers.manifest_of(3))


def advert_of(terms, key):
    return Participant(terms, key).state.advert


def wallet(signer):
    """A person's whole batch of an issuer."""
    pending = tickets.request(signer.keys)
    return tickets.receive(signer.keys, pending, signer.sign([each.blinded for each in pending]))


def test_a_self_made_ticket(terms, many_keys, refuses):
    advert = advert_of(terms, many_keys[0])
    with refuses(PeerError, Rule.TICKET_SIGNATURE):
        replace(advert, ticket=replace(advert.ticket, signature=bytes(256))).check(terms.digest, terms.issuer)


@pytest.mark.parametrize("change", [{"purposes": ("train",)}, {"epoch": 1}, {}])
def test_a_ticket_of_another_purpose_set_or_epoch(terms, refuses, change):
    """Every set and epoch has keys of its own; a ticket says by its key alone what it is for."""
    named = {"purposes": terms.issuer.purposes, "epoch": terms.issuer.epoch} | change
    other = TicketSigner.of(**named, private=generate_private_keys(slots=1))
    others_terms = replace_terms(terms, other.keys)
    key, _ = wallet(other)
    advert_of(others_terms, key).check(terms.digest, others_terms.issuer)
    with refuses(PeerError, Rule.TICKET_SIGNATURE):
        advert_of(others_terms, key).check(terms.digest, terms.issuer)


def replace_terms(terms, keys, slot=1):
    changes = {"purposes": keys.purposes, "epoch": keys.epoch, "issuer": keys.digest, "slot": slot}
    return replace(terms, manifest=replace(terms.manifest, **changes), issuer_keys=keys)


@pytest.fixture(scope="module")
def two_slots():
    return TicketSigner.of(("analytics", "personalize"), 17_504, generate_private_keys(slots=2))


@pytest.mark.parametrize("slot", [1, 2])
def test_a_person_has_one_ticket_for_a_round_in_their_whole_batch(terms, two_slots, slot):
    """All the others are of the other role, or of another slot."""
    round_terms = replace_terms(terms, two_slots.keys, slot)
    for issuer, key in zip(two_slots.keys, wallet(two_slots), strict=True):
        advert = advert_of(round_terms, key)
        if (issuer.role, issuer.slot) == (Role.CONTRIBUTE, slot):
            advert.check(terms.digest, round_terms.issuer)
            continue
        with pytest.raises(PeerError, match=f"role contribute, slot {slot}") as raised:
            advert.check(terms.digest, round_terms.issuer)
        assert raised.value.rule is Rule.TICKET_SIGNATURE


@pytest.mark.parametrize("change", [{"slot": 3}, {"slot": 0}, {"issuer": bytes(32)}])
def test_a_manifest_of_no_slot_of_its_issuer_keys(terms, two_slots, refuses, change):
    good = replace_terms(terms, two_slots.keys)
    with refuses(ServerError, Rule.MANIFEST_ISSUER):
        replace(good, manifest=replace(good.manifest, **change))


def test_a_ticket_that_was_stolen_without_its_key(terms, many_keys, refuses):
    """Whoever saw an advert has its ticket, but cannot sign keys of its own with it."""
    seen, own = advert_of(terms, many_keys[0]), advert_of(terms, many_keys[1])
    with refuses(PeerError, Rule.ADVERT_SIGNATURE):
        replace(own, ticket=seen.ticket).check(terms.digest, terms.issuer)


@pytest.fixture
def gateways(shop):
    """The real registry, four people's tickets, and two rounds of one slot, each at a gateway of its own."""
    issuer = shop.issuer("analytics")
    phones = [shop.phone() for _ in range(4)]
    for phone in phones:
        shop.grant(phone, "analytics")
    wallets = [shop.tickets(phone, issuer) for phone in phones]
    rounds = {name: shop.announce(shop.manifest(issuer, round_id=name)) for name in ("round-1", "round-2")}
    return shop, wallets, rounds


def countersigned(answer) -> Countersigned:
    assert answer.status_code == 200, answer.text
    return wire.decode(Countersigned, answer.content)


def test_the_same_ticket_at_two_gateways(gateways):
    """Each gateway finds the ticket good; the registry sees both rosters and signs the first alone."""
    shop, wallets, rounds = gateways
    first = shop.roster("round-1", rounds["round-1"], [w[0] for w in wallets[:2]])
    assert countersigned(shop.countersign(first)).signature
    second = shop.roster("round-2", rounds["round-2"], [w[0] for w in (wallets[0], *wallets[2:])])
    answer = countersigned(shop.countersign(second))
    assert (answer.signature, answer.spent) == (b"", (wallets[0][0].ticket.round_key,))


def test_the_same_ticket_twice_in_one_roster(gateways, problem):
    shop, wallets, rounds = gateways
    roster = shop.roster("round-1", rounds["round-1"], [w[0] for w in wallets[:2]])
    twice = replace(roster, adverts=(roster.adverts[0], *roster.adverts))
    assert "each stands in it once" in problem(shop.countersign(twice), 422)


def test_one_person_with_all_of_their_tickets(gateways):
    """The registry countersigns no roster with a second ticket of theirs: it is of another role or slot."""
    shop, wallets, rounds = gateways
    digest, (own, *others) = rounds["round-1"], wallets[0]
    roster = shop.roster("round-1", digest, [own, *others])
    answer = countersigned(shop.countersign(roster))
    assert answer.signature == b""
    assert sorted(answer.bad) == sorted(key.ticket.round_key for key in others)
    assert countersigned(shop.countersign(shop.roster("round-1", digest, [own, wallets[1][0]]))).signature


def test_each_slot_has_its_own_tickets(gateways):
    shop, wallets, rounds = gateways
    issuer = shop.issuer("analytics")
    later = shop.announce(shop.manifest(issuer, round_id="round-3", slot=2))
    for name, digest, place in (("round-1", rounds["round-1"], 0), ("round-3", later, 1)):
        roster = shop.roster(name, digest, [w[place] for w in wallets])
        assert countersigned(shop.countersign(roster)).signature


def test_a_second_roster_for_one_round(gateways, problem):
    """One signature, one beacon: who does not like its graph cannot have another drawn."""
    shop, wallets, rounds = gateways
    first = shop.roster("round-1", rounds["round-1"], [w[0] for w in wallets])
    signed = countersigned(shop.countersign(first))
    for other in ([w[0] for w in wallets[1:]], [w[0] for w in wallets[:3]]):
        again = shop.roster("round-1", rounds["round-1"], other)
        assert "a second is never signed" in problem(shop.countersign(again), 409)
    assert countersigned(shop.countersign(first)) == signed


def test_a_roster_padded_with_adverts_of_no_ticket(gateways):
    shop, wallets, rounds = gateways
    digest = rounds["round-1"]
    made = replace(wallets[0][1], ticket=replace(wallets[0][1].ticket, signature=bytes(256)))
    padded = [shop.advert(w[0], digest) for w in wallets[:3]] + [shop.advert(made, digest)]
    answer = countersigned(shop.countersign(Roster.of("round-1", digest, padded)))
    assert (answer.signature, answer.bad) == (b"", (made.ticket.round_key,))
