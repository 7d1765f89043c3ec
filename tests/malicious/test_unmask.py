"""What would open a single vector: both kinds of share of one node, a second unmask, a step out of order."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from covey_privacy import wire
from covey_privacy.errors import MisuseError, PeerError
from covey_privacy.five_phases import Participant, messages
from covey_privacy.five_phases.messages import Survivors
from covey_privacy.rules import Rule
from covey_simulations.attacks import covey

pytestmark = pytest.mark.slow  # The five-phase protocol is about to be replaced.

ARGUMENTS = {"share": (b"",), "mask": (b"", np.zeros(3, np.uint32)), "agree": (b"",), "open": (b"",)}


def opened(played, place):
    return wire.decode(messages.Openings, played.act("open", place)).openings


def test_one_share_of_each_neighbour_and_never_both_kinds():
    """The message has no place for a second: an owner is named once, and the share is as long as one."""
    played = covey.Round("open")
    for place in played.devices:
        openings = opened(played, place)
        assert sorted(opening.owner for opening in openings) == sorted(set(played.devices) - {place})
        assert all(len(opening.share) == 64 for opening in openings)


def test_a_node_alive_to_some_and_dead_to_others_is_opened_by_nobody():
    with pytest.raises(PeerError) as refused:
        covey.split_survivors()
    assert refused.value.rule is Rule.AGREEMENTS


def test_a_second_unmask_over_another_set(refuses):
    """The device has forgotten its shares: whatever it is shown, there is nothing left to give."""
    played = covey.Round("open")
    played.act("open")
    others = wire.encode(Survivors.of(covey.DEVICES, set(played.devices) - {covey.DEVICES - 1}))
    for step, told in (("open", None), ("agree", others), ("mask", None), ("share", None)):
        with refuses(MisuseError, Rule.STEP_ORDER):
            played.act(step, message=told)
    dumped = played.devices[covey.VICTIM].dump()
    assert dumped == b"Opened\0" + wire.encode(played.devices[covey.VICTIM].state)
    assert len(dumped) < 16


def test_a_second_survivor_set_after_the_first_was_signed(refuses):
    played = covey.Round("agree")
    played.act("agree")
    others = wire.encode(Survivors.of(covey.DEVICES, set(played.devices) - {covey.DEVICES - 1}))
    with refuses(MisuseError, Rule.STEP_ORDER):
        played.act("agree", message=others)


@pytest.mark.parametrize(
    ("reached", "asked"),
    [(reached, asked) for reached, asked in product(covey.STEPS, covey.STEPS) if reached != asked],
)
def test_no_step_but_the_next(refuses, reached, asked):
    played = covey.Round(reached)
    before = played.devices[covey.VICTIM].dump()
    with refuses(MisuseError, Rule.STEP_ORDER):
        getattr(played.devices[covey.VICTIM], asked)(*ARGUMENTS[asked])
    assert played.devices[covey.VICTIM].dump() == before


@pytest.mark.parametrize("step", covey.STEPS)
def test_a_refusal_leaves_the_device_where_it_was(refuses, step):
    """After a refusal the honest message is still answered: a liar cannot spend a device's step."""
    played = covey.Round(step)
    with refuses(PeerError, Rule.MESSAGE_FORM):
        played.act(step, message=b"\xff")
    assert played.act(step)


def test_a_copy_of_a_device_holds_no_secret_of_an_earlier_step():
    """What a thief finds of a round after its last step opens nothing."""
    played = covey.Round("open")
    device = played.devices[covey.VICTIM]
    shares = [held.seed for held in device.state.held] + [held.key for held in device.state.held]
    played.act("open")
    assert not any(share in device.dump() for share in shares)
    resumed = Participant.resume(played.terms, device.dump())
    with pytest.raises(MisuseError):
        resumed.open(b"")
