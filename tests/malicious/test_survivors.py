"""A survivor set that is none, leaves someone out, or is not the one that others are shown."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from covey_privacy import wire
from covey_privacy.errors import PeerError, ServerError
from covey_privacy.five_phases import Participant, graph, messages
from covey_privacy.five_phases.messages import Survivors
from covey_privacy.rules import Rule
from covey_simulations.attacks import covey

pytestmark = pytest.mark.slow  # The five-phase protocol is about to be replaced.


@pytest.mark.parametrize("size", [5, 7, 600])
def test_survivors_of_another_roster(play, lie, refuses, vectors, size):
    lie("agree", Survivors, lambda _: Survivors.of(size, set(range(min(size, 6)))))
    with refuses(ServerError, Rule.SURVIVORS_SIZE):
        play(vectors()).run()


def test_survivors_beyond_the_roster(play, lie, refuses, vectors):
    lie("agree", Survivors, lambda told: replace(told, bitmap=bytes([told.bitmap[0] | 0x80])))
    with refuses(ServerError, Rule.SURVIVORS_SIZE):
        play(vectors()).run()


def test_survivors_without_the_device(play, lie, refuses, vectors):
    def without(self, message):
        told = wire.decode(Survivors, message)
        return wire.encode(Survivors.of(told.size, told.devices - {self.index}))

    lie("agree", None, without)
    with refuses(ServerError, Rule.SURVIVORS_OWN):
        play(vectors()).run()


def test_fewer_survivors_than_the_noise_is_sized_for(play, lie, refuses, vectors, makers):
    def fewer(self, message):
        told = wire.decode(Survivors, message)
        others = sorted(told.devices - {self.index})[:5]
        return wire.encode(Survivors.of(told.size, {self.index, *others}))

    lie("agree", None, fewer)
    with refuses(ServerError, Rule.SURVIVORS_NOISE):
        play(vectors(8), terms=makers.terms_of(makers.manifest_of(3, honest=6))).run()


def test_a_cut_that_leaves_a_device_less_than_t_neighbours(play, lie, refuses, vectors, makers):
    """Sixty devices, almost all of them alive: but of each device's neighbours, one fewer than t."""
    terms = makers.terms_of(makers.manifest_of(3, gamma=0.02, dropout=0.05))
    degree, threshold = graph.parameters(60, 0.02, 0.05)
    round_ = play(vectors(60), terms=terms)
    cut = []

    def isolate(self, message):
        told = wire.decode(Survivors, message)
        gone = set(round_.graph.near[self.index][threshold - 1 :])
        cut.append(len(gone))
        return wire.encode(Survivors.of(told.size, told.devices - gone))

    lie("agree", None, isolate)
    with refuses(ServerError, Rule.SURVIVORS_NEIGHBOURS):
        round_.run()
    assert cut == [degree - threshold + 1]


def test_two_halves_that_are_shown_two_sets_open_nothing():
    """All signatures are passed on to everyone; no device of either half finds t on its own set."""
    played = covey.Round("agree")
    last = covey.DEVICES - 1
    everyone = set(played.devices)
    sets = {place: everyone - ({last} if place % 2 else set()) for place in everyone}
    told = {place: wire.encode(Survivors.of(covey.DEVICES, devices)) for place, devices in sets.items()}
    signed = [played.act("agree", place, told[place]) for place in everyone]
    read = tuple(wire.decode(messages.Agreement, each) for each in signed)
    everything = wire.encode(messages.Agreements(read))
    for place in everyone:
        rule = covey.refusal(lambda place=place: played.act("open", place, everything))
        assert rule is Rule.AGREEMENTS


def test_signatures_of_others_do_not_count(play, lie, refuses, vectors):
    lie("open", messages.Agreements, lambda told: replace(told, agreements=told.agreements[:1] * 5))
    with refuses(PeerError, Rule.AGREEMENTS):
        play(vectors()).run()


def test_signatures_of_strangers_do_not_count(play, lie, refuses, vectors):
    def strangers(told):
        return replace(
            told, agreements=tuple(replace(each, device=40 + each.device) for each in told.agreements)
        )

    lie("open", messages.Agreements, strangers)
    with refuses(PeerError, Rule.AGREEMENTS):
        play(vectors()).run()


def test_signatures_over_another_rounds_survivors_do_not_count(play, lie, refuses, vectors, makers):
    """The same devices, round keys and survivors; the round is another, and so is what they signed."""
    kept = {}
    with pytest.MonkeyPatch.context() as patch:
        honest = Participant.open
        patch.setattr(Participant, "open", lambda self, told: honest(self, kept.setdefault(self.index, told)))
        play(vectors(), terms=makers.terms_of(makers.manifest_of(3, round_id="round-0"))).run()
    lie("open", None, lambda self, _: kept[self.index])
    with refuses(PeerError, Rule.AGREEMENTS):
        play(vectors()).run()


def test_survivors_that_never_shared(hollow, refuses):
    """A coordinator alone withholds parcels and would open the sum over 46 of 60 that all "survived"."""
    played = hollow()
    with refuses(ServerError, Rule.SURVIVORS_SHARED):
        played.opened(played.kept, set(range(60)))


def test_one_survivor_that_never_shared_is_enough_to_refuse(hollow, refuses):
    played = hollow()
    place = min(played.kept)
    hidden = played.near[place][0]
    device = played.devices[place]
    device.mask(played.inbox(place, set(range(60)) - {hidden}), np.ones(3, np.uint32))
    with refuses(ServerError, Rule.SURVIVORS_SHARED):
        device.agree(wire.encode(Survivors.of(60, set(range(60)))))
    device.agree(wire.encode(Survivors.of(60, set(range(60)) - {hidden})))
