"""Inboxes and shares that are not what the neighbours sent."""

from __future__ import annotations

from dataclasses import replace

import pytest

from covey_privacy import wire
from covey_privacy.errors import PeerError, ServerError
from covey_privacy.five_phases.messages import Parcels
from covey_privacy.rules import Rule

pytestmark = pytest.mark.slow  # The five-phase protocol is about to be replaced.


def of(device):
    """The first parcel under another sender's name."""
    return lambda inbox: replace(inbox, parcels=(replace(inbox.parcels[0], peer=device), *inbox.parcels[1:]))


def sealed(change):
    """The first parcel, altered."""

    def alter(inbox):
        first, *rest = inbox.parcels
        return replace(inbox, parcels=(replace(first, sealed=change(first.sealed)), *rest))

    return alter


def swapped(inbox):
    first, second, *rest = inbox.parcels
    return replace(
        inbox, parcels=(replace(first, sealed=second.sealed), replace(second, sealed=first.sealed), *rest)
    )


@pytest.mark.parametrize(
    ("change", "error", "rule"),
    [
        (lambda i: replace(i, parcels=i.parcels[:2]), ServerError, Rule.SHARERS),
        (lambda i: replace(i, parcels=()), ServerError, Rule.SHARERS),
        (lambda i: replace(i, parcels=(i.parcels[0], *i.parcels)), ServerError, Rule.INBOX),
        (lambda i: replace(i, device=99), ServerError, Rule.INBOX),
        (of(99), ServerError, Rule.INBOX),
        (lambda i: of(i.device)(i), ServerError, Rule.INBOX),
        (swapped, PeerError, Rule.PARCEL_SEAL),
        (sealed(lambda _: bytes(144)), PeerError, Rule.PARCEL_SEAL),
        (sealed(lambda s: bytes([s[0] ^ 1]) + s[1:]), PeerError, Rule.PARCEL_SEAL),
        (sealed(lambda s: s[:-1] + bytes([s[-1] ^ 128])), PeerError, Rule.PARCEL_SEAL),
    ],
)
def test_an_inbox_that_is_not_what_the_neighbours_sent(play, lie, refuses, vectors, change, error, rule):
    lie("mask", Parcels, change)
    with refuses(error, rule):
        play(vectors()).run()


@pytest.mark.parametrize("change", [lambda m: m[:-1], lambda m: m[:-148], lambda m: m + b"\0", lambda _: b""])
def test_an_inbox_cut_short_or_drawn_out(play, lie, refuses, vectors, change):
    lie("mask", None, lambda _, inbox: change(inbox))
    with refuses(PeerError, Rule.MESSAGE_FORM):
        play(vectors()).run()


def test_an_oversize_inbox(play, lie, refuses, vectors):
    lie("mask", Parcels, lambda inbox: replace(inbox, parcels=inbox.parcels[:1] * 4097))
    with refuses(PeerError, Rule.MESSAGE_FORM):
        play(vectors()).run()


def test_a_parcel_redirected_to_another_device(play, lie, refuses, vectors):
    """Everyone is given what was sent to the first who asks."""
    first = []

    def redirect(_, inbox):
        first.append(wire.decode(Parcels, inbox))
        own = wire.decode(Parcels, inbox)
        theirs = {parcel.peer: parcel for parcel in first[0].parcels}
        parcels = tuple(theirs.get(parcel.peer, parcel) for parcel in own.parcels)
        return wire.encode(replace(own, parcels=parcels))

    lie("mask", None, redirect)
    with refuses(PeerError, Rule.PARCEL_SEAL):
        play(vectors()).run()


def test_the_parcels_of_another_round(play, lie, refuses, vectors):
    """The same devices share in two rounds: their keys are fresh, so that neither opens the other's."""
    earlier = play(vectors())
    earlier.run()
    bundles = [wire.decode(Parcels, message) for message in earlier.transcript[6:12]]
    sent = {(bundle.device, parcel.peer): parcel for bundle in bundles for parcel in bundle.parcels}

    def replay(inbox):
        old = tuple(replace(sent[p.peer, inbox.device], peer=p.peer) for p in inbox.parcels)
        return replace(inbox, parcels=old)

    lie("mask", Parcels, replay)
    with refuses(PeerError, Rule.PARCEL_SEAL):
        play(vectors()).run()
