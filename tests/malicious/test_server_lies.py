"""A coordinator or node that lies to a device: the device says nothing, with the right error."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from covey_privacy import wire
from covey_privacy.errors import PeerError, ServerError
from covey_privacy.secagg import Participant, messages
from covey_privacy.secagg.messages import Survivors


def lie(monkeypatch, step, change):
    """Let every participant's `step` see `change(participant, message)` instead of what was sent."""
    honest = getattr(Participant, step)
    monkeypatch.setattr(
        Participant, step, lambda self, message, *more: honest(self, change(self, message), *more)
    )


def shown(change):
    """A change of the roster view."""
    return lambda self, data: wire.encode(change(wire.decode(messages.RosterView, data)))


def first_neighbour(view, **changes):
    first, *rest = view.neighbours
    return replace(view, neighbours=(replace(first, **changes), *rest))


def vectors(count=6):
    return [np.full(3, 7, np.uint32) for _ in range(count)]


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (lambda v: replace(v, neighbours=v.neighbours[::-1]), ServerError, "not those that the beacon draws"),
        (lambda v: replace(v, neighbours=v.neighbours[:-1]), ServerError, "not those that the beacon draws"),
        (lambda v: first_neighbour(v, index=v.index), ServerError, "not those that the beacon draws"),
        (lambda v: replace(v, inclusions=v.inclusions[::-1]), ServerError, "inclusion proof"),
        (lambda v: replace(v, inclusions=v.inclusions[1:]), ServerError, "inclusion proofs are shown"),
        (lambda v: first_neighbour(v, advert=v.neighbours[-1].advert), ServerError, "inclusion proof"),
        (
            lambda v: first_neighbour(v, advert=replace(v.neighbours[0].advert, mask_key=bytes(32))),
            PeerError,
            "not signed by its ticket's round key",
        ),
        (lambda v: replace(v, index=(v.index + 1) % v.size), ServerError, "inclusion proof"),
        (lambda v: replace(v, inclusion=v.inclusion[:-1]), ServerError, "inclusion proof"),
        (lambda v: replace(v, size=v.size + 1), ServerError, "not countersigned"),
        (lambda v: replace(v, root=bytes(32)), ServerError, "not countersigned"),
    ],
)
def test_a_roster_that_is_not_the_one_countersigned(play, monkeypatch, change, error, says):
    lie(monkeypatch, "share", shown(change))
    with pytest.raises(error, match=says):
        play(vectors()).run()


def test_a_peer_without_a_ticket(play, monkeypatch):
    """The registry would refuse it; a peer that finds it in the roster does too."""

    def forge(view):
        neighbour = view.neighbours[0]
        ticket = replace(neighbour.advert.ticket, signature=bytes(256))
        return first_neighbour(view, advert=replace(neighbour.advert, ticket=ticket))

    lie(monkeypatch, "share", shown(forge))
    with pytest.raises(PeerError, match="the ticket is not signed"):
        play(vectors()).run()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda inbox: replace(inbox, parcels=inbox.parcels[:2]), "2 neighbours shared"),
        (lambda inbox: replace(inbox, parcels=(inbox.parcels[0], *inbox.parcels)), "one neighbour twice"),
        (lambda inbox: replace(inbox, device=99), "not this device's"),
        (
            lambda inbox: replace(inbox, parcels=(replace(inbox.parcels[0], peer=99), *inbox.parcels[1:])),
            "strangers",
        ),
    ],
)
def test_an_inbox_that_is_not_what_the_neighbours_sent(play, monkeypatch, change, says):
    lie(monkeypatch, "mask", lambda _, data: wire.encode(change(wire.decode(messages.Parcels, data))))
    with pytest.raises(ServerError, match=says):
        play(vectors()).run()


def test_a_parcel_of_another_sender(play, monkeypatch):
    def swap(_, data):
        inbox = wire.decode(messages.Parcels, data)
        first, second, *rest = inbox.parcels
        swapped = (replace(first, sealed=second.sealed), replace(second, sealed=first.sealed), *rest)
        return wire.encode(replace(inbox, parcels=swapped))

    lie(monkeypatch, "mask", swap)
    with pytest.raises(PeerError, match="altered"):
        play(vectors()).run()


@pytest.mark.parametrize("size", [5, 7, 600])
def test_survivors_of_another_roster(play, monkeypatch, size):
    lie(monkeypatch, "agree", lambda _, data: wire.encode(Survivors.of(size, set(range(min(size, 6))))))
    with pytest.raises(ServerError, match="not one of this roster"):
        play(vectors()).run()


def test_survivors_beyond_the_roster(play, monkeypatch):
    def beyond(_, data):
        told = wire.decode(Survivors, data)
        return wire.encode(replace(told, bitmap=bytes([told.bitmap[0] | 0x80])))

    lie(monkeypatch, "agree", beyond)
    with pytest.raises(ServerError, match="not one of this roster"):
        play(vectors()).run()


def test_signatures_of_others_do_not_count(play, monkeypatch):
    def one_signer(_, data):
        told = wire.decode(messages.Agreements, data)
        return wire.encode(replace(told, agreements=told.agreements[:1] * 5))

    lie(monkeypatch, "open", one_signer)
    with pytest.raises(PeerError, match="1 neighbours signed"):
        play(vectors()).run()


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
