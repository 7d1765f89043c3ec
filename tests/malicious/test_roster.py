"""A roster that is not what the registry signed, or holds who should not be in it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from math import comb

import numpy as np
import pytest

from covey_privacy import wire
from covey_privacy.errors import AbortError, PeerError, ServerError
from covey_privacy.five_phases import Directory, Participant, Roster, graph
from covey_privacy.five_phases.low_order import LOW_ORDER
from covey_privacy.five_phases.masks import KeyPair
from covey_privacy.five_phases.messages import RosterView
from covey_privacy.five_phases.roster import Advert, sign_advert
from covey_privacy.rules import Rule
from covey_privacy.signatures import SigningKey

REGISTRY = SigningKey(b"\x07" * 32)
BASE = (9).to_bytes(32, "little")


def first_neighbour(view, **changes):
    first, *rest = view.neighbours
    return replace(view, neighbours=(replace(first, **changes), *rest))


def first_advert(view, **changes):
    return first_neighbour(view, advert=replace(view.neighbours[0].advert, **changes))


@pytest.mark.parametrize(
    ("change", "error", "rule"),
    [
        (lambda v: replace(v, neighbours=v.neighbours[::-1]), ServerError, Rule.BEACON_NEIGHBOURS),
        (lambda v: replace(v, neighbours=v.neighbours[:-1]), ServerError, Rule.BEACON_NEIGHBOURS),
        (lambda v: first_neighbour(v, index=v.index), ServerError, Rule.BEACON_NEIGHBOURS),
        (lambda v: replace(v, inclusions=v.inclusions[::-1]), ServerError, Rule.ROSTER_INCLUSION),
        (lambda v: replace(v, inclusions=v.inclusions[1:]), ServerError, Rule.ROSTER_INCLUSION),
        (lambda v: first_neighbour(v, advert=v.neighbours[-1].advert), ServerError, Rule.ROSTER_INCLUSION),
        (lambda v: first_advert(v, mask_key=BASE), PeerError, Rule.ADVERT_SIGNATURE),
        (lambda v: first_advert(v, seal_key=BASE), PeerError, Rule.ADVERT_SIGNATURE),
        (lambda v: first_advert(v, seed_digest=bytes(32)), PeerError, Rule.ADVERT_SIGNATURE),
        (lambda v: first_advert(v, signature=bytes(64)), PeerError, Rule.ADVERT_SIGNATURE),
        (lambda v: replace(v, index=(v.index + 1) % v.size), ServerError, Rule.ROSTER_INCLUSION),
        (lambda v: replace(v, inclusion=v.inclusion[:-1]), ServerError, Rule.ROSTER_INCLUSION),
        (lambda v: replace(v, size=v.size + 1), ServerError, Rule.ROSTER_COUNTERSIGNATURE),
        (lambda v: replace(v, root=bytes(32)), ServerError, Rule.ROSTER_COUNTERSIGNATURE),
        (lambda v: replace(v, countersignature=bytes(64)), ServerError, Rule.ROSTER_COUNTERSIGNATURE),
    ],
)
def test_a_roster_that_is_not_the_one_countersigned(play, lie, refuses, vectors, change, error, rule):
    lie("share", RosterView, change)
    with refuses(error, rule):
        play(vectors()).run()


@pytest.mark.parametrize("cut", [0, 1, 40, -1])
def test_a_truncated_roster(play, lie, refuses, vectors, cut):
    lie("share", None, lambda _, view: view[:cut])
    with refuses(PeerError, Rule.MESSAGE_FORM):
        play(vectors()).run()


def test_an_oversize_roster(play, lie, refuses, vectors):
    lie("share", None, lambda _, view: view + bytes(2**26))
    with refuses(PeerError, Rule.MESSAGE_FORM):
        play(vectors()).run()


def test_a_beacon_that_another_key_signed(play, lie, refuses, vectors, makers):
    """Who could sign for the registry could draw the graph as it likes."""
    terms = makers.terms_of(makers.manifest_of(3))

    def sign(view):
        head = terms.head(view.size, view.root)
        return replace(view, countersignature=head.countersign(SigningKey(b"\x08" * 32)))

    lie("share", RosterView, sign)
    with refuses(ServerError, Rule.ROSTER_COUNTERSIGNATURE):
        play(vectors(), terms=terms).run()


def test_a_replayed_round(play, lie, refuses, vectors, makers):
    """The roster of another round, of the same devices, as the registry signed it."""
    earlier = play(vectors(), terms=makers.terms_of(makers.manifest_of(3, round_id="round-0")))
    kept = {}
    with pytest.MonkeyPatch.context() as patch:
        share = Participant.share
        patch.setattr(
            Participant, "share", lambda self, view: share(self, kept.setdefault(self.round_key, view))
        )
        earlier.run()
    lie("share", None, lambda self, _: kept[self.round_key])
    with refuses(ServerError, Rule.ROSTER_COUNTERSIGNATURE):
        play(vectors()).run()


class Forged:
    """A roster that a coordinator made up, and that the registry signed all the same."""

    def __init__(self, makers, keys, change):
        self.terms = makers.terms_of(makers.manifest_of(3))
        self.device = Participant(self.terms, keys[0])
        adverts = [Participant(self.terms, key).advertise() for key in keys[1:]]
        read = [wire.decode(Advert, advert) for advert in (self.device.advertise(), *adverts)]
        roster = Roster.of("round-1", self.terms.digest, [read[0], *change(read[1:])])
        degree, _ = self.terms.graph(len(roster.adverts))
        directory = Directory(roster, roster.head().countersign(REGISTRY), degree)
        self.view = directory.view(directory.index(self.device.round_key))

    def share(self):
        return self.device.share(self.view)


@pytest.mark.parametrize("which", ["mask", "seal"])
@pytest.mark.parametrize("point", sorted(LOW_ORDER), ids=bytes.hex)
def test_a_peer_with_a_key_of_low_order(makers, many_keys, refuses, which, point):
    """It has a ticket, and signs the key: only that no secret lies in it gives it away."""
    keys = {"mask": (point, BASE), "seal": (BASE, point)}[which]
    secret, ticket = SigningKey(many_keys[5].secret), many_keys[5].ticket

    def last(adverts):
        return [
            *adverts[:-1],
            sign_advert(secret, ticket, makers.terms_of(makers.manifest_of(3)).digest, *keys, bytes(32)),
        ]

    with refuses(PeerError, Rule.LOW_ORDER_KEY):
        Forged(makers, many_keys[:6], last).share()


def test_a_signed_roster_of_good_peers_is_answered(makers, many_keys):
    assert Forged(makers, many_keys[:6], list).share()


def test_one_peer_without_a_ticket_in_the_roster(makers, many_keys, refuses):
    def forge(adverts):
        ticket = replace(adverts[2].ticket, signature=bytes(256))
        return [*adverts[:2], replace(adverts[2], ticket=ticket), *adverts[3:]]

    with refuses(PeerError, Rule.TICKET_SIGNATURE):
        Forged(makers, many_keys[:6], forge).share()


def test_a_cohort_below_the_floor(makers, many_keys, refuses, play, vectors):
    """The manifest promises twenty; the coordinator would abort, and one that lies is refused."""
    terms = makers.terms_of(makers.manifest_of(3, least_cohort=20))
    with refuses(AbortError, Rule.LEAST_COHORT):
        play(vectors(), terms=terms).run()
    forged = Forged(makers, many_keys[:6], list)
    forged.device._terms = terms
    with refuses(ServerError, Rule.ROSTER_SIZE):
        forged.share()


def test_a_cohort_above_what_was_promised(makers, many_keys, refuses):
    forged = Forged(makers, many_keys[:6], list)
    forged.device._terms = makers.terms_of(makers.manifest_of(3, most_cohort=5))
    with refuses(ServerError, Rule.ROSTER_SIZE):
        forged.share()


def test_a_size_for_which_no_graph_is_safe(makers, many_keys, refuses):
    forged = Forged(makers, many_keys[:6], list)
    forged.device._terms = makers.terms_of(makers.manifest_of(3, gamma=0.3, dropout=0.3))
    with refuses(ServerError, Rule.GRAPH):
        forged.share()


@pytest.mark.parametrize(
    "change", [{"model": b"\x01" * 32}, {"purposes": ("analytics",)}, {"round_id": "round-2"}]
)
def test_another_model_purpose_or_round_makes_other_masks(makers, change):
    """Masks of devices that were shown different rounds do not cancel: the context differs."""
    terms = makers.terms_of(makers.manifest_of(3))
    head, beacon = terms.head(6, bytes(32)), bytes(32)
    object.__setattr__(terms, "manifest", replace(terms.manifest, **change))
    assert terms.context(head, beacon) != makers.terms_of(makers.manifest_of(3)).context(head, beacon)


def test_another_roster_or_beacon_makes_other_masks(makers):
    terms = makers.terms_of(makers.manifest_of(3))
    contexts = {
        terms.context(terms.head(6, root), beacon)
        for root in (bytes(32), b"\x01" * 32)
        for beacon in (bytes(32), b"\x02" * 32)
    } | {terms.context(terms.head(7, bytes(32)), bytes(32))}
    assert len(contexts) == 5


def unnoticed(n, fakes, degree):
    """The chance that none of a device's neighbours is a fake: hypergeometric, at most (1 - p)^k."""
    return comb(n - 1 - fakes, degree) / comb(n - 1, degree)


@pytest.mark.parametrize("fakes", [1, 4, 20])
def test_who_looks_at_k_neighbours_finds_fakes_as_often_as_reckoned(fakes):
    """A registry that lets fakes in: each device sees k others; drawn over beacons, as many see none."""
    n, beacons = 200, 300
    degree, _ = graph.parameters(n, 0.05, 0.05)
    made_up = set(range(fakes))
    shares = []
    for beacon in range(beacons):
        near = (graph.neighbours(beacon.to_bytes(32), n, degree, place) for place in range(fakes, n))
        shares.append(np.mean([made_up.isdisjoint(each) for each in near]))
    expected = unnoticed(n, fakes, degree)
    assert expected <= (1 - fakes / (n - 1)) ** degree
    assert abs(np.mean(shares) - expected) < 5 * np.std(shares) / beacons**0.5 + 1e-9


def test_every_fake_is_seen_by_somebody():
    """Each of 4 fakes among 200 has k neighbours; that all of those are fakes too has no chance."""
    n, fakes = 200, 4
    degree, _ = graph.parameters(n, 0.05, 0.05)
    assert degree > fakes
    for beacon in range(20):
        seen = {
            other
            for place in range(fakes, n)
            for other in graph.neighbours(beacon.to_bytes(32), n, degree, place)
        }
        assert set(range(fakes)) <= seen


def worst_neighbourhood(beacon, n, degree, corrupt):
    """The greatest number of corrupt neighbours that an honest device has, by the real ring."""
    order, _ = graph.ring(beacon, n)
    bad = np.array([place in corrupt for place in order], np.int64)
    half = degree // 2
    around = np.concatenate([bad[-half:], bad, bad[:half]])
    windows = np.convolve(around, np.ones(degree + 1, np.int64), "valid")
    return int(windows[bad == 0].max())


@pytest.mark.parametrize("colluders", [0, 10, 100])
def test_a_coordinator_with_colluders_cannot_cut_a_victim_out_of_the_ring(colluders):
    """At n = 1000 and gamma = 0.1, over many beacons, the worst placed victim of all keeps its threshold.

    Colluders have less than t of anyone's shares; nor do they reach t with half of the honest neighbours.
    """
    n = 1000
    degree, threshold = graph.parameters(n, 0.1, 0.1)
    corrupt = set(range(colluders))
    beacons = [place.to_bytes(32) for place in range(200)]
    worst = max(worst_neighbourhood(beacon, n, degree, corrupt) for beacon in beacons)
    assert (worst == 0) == (colluders == 0)
    assert worst < threshold
    assert 2 * threshold > degree + worst


def test_the_window_over_the_ring_is_the_neighbourhood():
    n, degree, corrupt, beacon = 1000, 96, set(range(100)), bytes(32)
    counts = [
        len(corrupt.intersection(graph.neighbours(beacon, n, degree, place))) for place in range(100, n)
    ]
    assert worst_neighbourhood(beacon, n, degree, corrupt) == max(counts)


def test_the_beacon_draws_another_ring_for_every_signature():
    rings = [graph.ring(KeyPair(bytes([n]) * 32).public, 100)[0] for n in range(10)]
    assert all(one != other for one, other in pairwise(rings))
