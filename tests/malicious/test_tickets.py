"""Tickets that are missing, of another set or epoch, spent, or brought to two gateways."""

from __future__ import annotations

from dataclasses import replace

import pytest

from covey_privacy import blind_rsa, tickets, wire
from covey_privacy.errors import PeerError
from covey_privacy.five_phases import Participant
from covey_privacy.five_phases.roster import Countersigned, Roster
from covey_privacy.rules import Rule
from covey_privacy.tickets import IssuerKey


@pytest.fixture
def terms(makers):
    return makers.terms_of(makers.manifest_of(3))


def advert_of(terms, key):
    return Participant(terms, key).state.advert


def wallet(issuer, signer, count=1):
    """Tickets of an issuer."""
    pending = tickets.request(issuer, count)
    return tickets.receive(issuer, pending, [signer.blind_sign(each.blinded) for each in pending])


def test_a_self_made_ticket(terms, many_keys, refuses):
    advert = advert_of(terms, many_keys[0])
    with refuses(PeerError, Rule.TICKET_SIGNATURE):
        replace(advert, ticket=replace(advert.ticket, signature=bytes(256))).check(terms.digest, terms.issuer)


@pytest.mark.parametrize("change", [{"purposes": ("train",)}, {"epoch": 1}, {}])
def test_a_ticket_of_another_purpose_set_or_epoch(terms, refuses, change):
    """Every set and epoch has a key of its own; a ticket says by its key alone what it is for."""
    signer = blind_rsa.Signer(blind_rsa.generate())
    other = replace(IssuerKey(terms.issuer.purposes, terms.issuer.epoch, signer.public), **change)
    (key,) = wallet(other, signer)
    advert_of(replace_terms(terms, other), key).check(terms.digest, other)
    with refuses(PeerError, Rule.TICKET_SIGNATURE):
        advert_of(replace_terms(terms, other), key).check(terms.digest, terms.issuer)


def replace_terms(terms, issuer):
    manifest = replace(terms.manifest, purposes=issuer.purposes, epoch=issuer.epoch, issuer=issuer.digest)
    return replace(terms, manifest=manifest, issuer=issuer)


def test_a_ticket_that_was_stolen_without_its_key(terms, many_keys, refuses):
    """Whoever saw an advert has its ticket, but cannot sign keys of its own with it."""
    seen, own = advert_of(terms, many_keys[0]), advert_of(terms, many_keys[1])
    with refuses(PeerError, Rule.ADVERT_SIGNATURE):
        replace(own, ticket=seen.ticket).check(terms.digest, terms.issuer)


@pytest.fixture
def gateways(shop):
    """The real registry, four people's tickets, and two rounds of one epoch, each at a gateway of its own."""
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
    first = shop.roster("round-1", rounds["round-1"], [w[0] for w in wallets])
    assert countersigned(shop.countersign(first)).signature
    second = shop.roster("round-2", rounds["round-2"], [wallets[0][0], *(w[1] for w in wallets[1:])])
    answer = countersigned(shop.countersign(second))
    assert (answer.signature, answer.spent) == (b"", (wallets[0][0].ticket.round_key,))


def test_the_same_ticket_twice_in_one_roster(gateways, problem):
    shop, wallets, rounds = gateways
    roster = shop.roster("round-1", rounds["round-1"], [w[0] for w in wallets[:2]])
    twice = replace(roster, adverts=(roster.adverts[0], *roster.adverts))
    assert "each stands in it once" in problem(shop.countersign(twice), 422)


def test_a_second_roster_for_one_round(gateways, problem):
    """One signature, one beacon: who does not like its graph cannot have another drawn."""
    shop, wallets, rounds = gateways
    first = shop.roster("round-1", rounds["round-1"], [w[0] for w in wallets])
    signed = countersigned(shop.countersign(first))
    for other in ([w[1] for w in wallets], [w[0] for w in wallets[:3]]):
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
