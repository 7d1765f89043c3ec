"""Malformed and lying devices and nodes: each costs itself alone and is blamed, with the rule it broke."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from covey_privacy import wire
from covey_privacy.errors import AbortError, PeerError
from covey_privacy.five_phases import Blame, Sum, messages, ring
from covey_privacy.five_phases.roster import Advert
from covey_privacy.rules import Rule

COUNT, LENGTH = 12, 5
CLASSES = {
    "advertise": Advert,
    "share": messages.Parcels,
    "mask": messages.MaskedVector,
    "sum": messages.PartialSum,
    "agree": messages.Agreement,
    "open": messages.Openings,
}


def vectors(count=COUNT):
    return [np.full(LENGTH, 3 + who, np.uint32) for who in range(count)]


def lying(phase, change, which=0):
    """A forgery of one message of a phase: `change` makes others of it and of all messages that came."""

    def forge(said):
        read = [wire.decode(CLASSES[phase], each) for each in said]
        made = change(read[which], read)
        made = made if isinstance(made, list) else [made]
        return [
            *(m if isinstance(m, bytes) else wire.encode(m) for m in made),
            *said[:which],
            *said[which + 1 :],
        ]

    return {phase: forge}


def plain_sum(round_, total):
    """The sum of the vectors of those who are said to have survived."""
    stay = [who for who, place in round_.index.items() if place is not None and place in total.survivors]
    return ring.reduce(np.sum([round_.vectors[who] for who in stay], axis=0, dtype=np.uint32), 20), len(stay)


def of(device):
    """The first record of a tuple renamed to another device."""
    return lambda records: (replace(records[0], peer=device), *records[1:])


@pytest.mark.parametrize(
    ("phase", "change", "rule"),
    [
        ("advertise", lambda a, _: wire.encode(a)[:-1], Rule.MESSAGE_FORM),
        ("advertise", lambda a, _: b"\x85" + b"\xf6" * 5, Rule.MESSAGE_FORM),
        ("advertise", lambda a, _: bytes(2**26 + 1), Rule.MESSAGE_FORM),
        ("share", lambda p, _: wire.encode(p) + b"\0", Rule.MESSAGE_FORM),
        ("share", lambda p, _: replace(p, device=99), Rule.ROSTER_PLACE),
        ("share", lambda p, _: replace(p, parcels=of(99)(p.parcels)), Rule.PARCELS),
        ("share", lambda p, _: replace(p, parcels=of(p.device)(p.parcels)), Rule.PARCELS),
        ("share", lambda p, _: replace(p, parcels=p.parcels[:-1]), Rule.PARCELS),
        ("share", lambda p, _: replace(p, parcels=(*p.parcels, p.parcels[0])), Rule.PARCELS),
        ("share", lambda p, _: replace(p, parcels=()), Rule.PARCELS),
        (
            "share",
            lambda p, _: wire.encode(messages.MaskedVector(p.device, bytes(148 * 4097))),
            Rule.MESSAGE_FORM,
        ),
        ("mask", lambda m, _: replace(m, vector=m.vector[:-1]), Rule.VECTOR_LENGTH),
        ("mask", lambda m, _: replace(m, device=COUNT), Rule.ROSTER_PLACE),
        ("mask", lambda m, _: wire.encode(m)[:-1], Rule.MESSAGE_FORM),
        ("mask", lambda m, _: [m, m], Rule.ONE_VECTOR),
        ("agree", lambda a, _: replace(a, device=99), Rule.SURVIVORS_OWN),
        ("agree", lambda a, _: wire.encode(a)[1:], Rule.MESSAGE_FORM),
        ("open", lambda o, _: replace(o, openings=o.openings[1:]), Rule.OPENINGS),
        (
            "open",
            lambda o, _: replace(o, openings=(replace(o.openings[0], owner=99), *o.openings[1:])),
            Rule.OPENINGS,
        ),
        ("open", lambda o, _: replace(o, openings=(o.openings[0], *o.openings)), Rule.OPENINGS),
        ("open", lambda o, _: replace(o, device=99), Rule.SURVIVORS_OWN),
        ("open", lambda o, _: wire.encode(o)[:-1], Rule.MESSAGE_FORM),
    ],
)
def test_one_bad_message_costs_its_sender_alone(play, phase, change, rule):
    round_ = play(vectors(), nodes=1, forge=lying(phase, change))
    total = round_.run()
    expected, survivors = plain_sum(round_, total)
    assert rule in {blame.rule for blame in total.blamed}
    assert len(total.blamed) == 1
    assert np.array_equal(total.vector, expected)
    assert survivors == (
        COUNT - 1 if phase in ("advertise", "share", "mask") and rule != Rule.ONE_VECTOR else COUNT
    )


def test_blame_names_the_place_once_the_roster_stands(play):
    round_ = play(vectors(), forge=lying("share", lambda p, _: replace(p, parcels=p.parcels[1:])))
    (blame,) = round_.run().blamed
    assert blame == Blame(round_.index[0], Rule.PARCELS)


def test_a_bad_signature_over_the_survivors_changes_nothing(play):
    """Devices count the good ones; the coordinator need not check any."""
    round_ = play(vectors(), forge=lying("agree", lambda a, all_: replace(a, signature=all_[1].signature)))
    total = round_.run()
    expected, survivors = plain_sum(round_, total)
    assert (total.blamed, survivors) == ((), COUNT)
    assert np.array_equal(total.vector, expected)


def test_two_adverts_of_one_round_key_are_both_left_out(play):
    earlier = play(vectors())
    earlier.run()
    round_ = play(vectors(), forge={"advertise": lambda said: [earlier.transcript[0], *said]})
    total = round_.run()
    assert total.blamed == (Blame(round_.keys[0].ticket.round_key, Rule.ONE_ADVERT),)
    assert total.survivors.size == COUNT - 1


@pytest.mark.parametrize("phase", ["advertise", "share", "agree", "open"])
def test_a_message_that_comes_again_is_nobodys_fault(play, phase):
    total = play(vectors(), forge={phase: lambda said: said + said}).run()
    assert total.blamed == ()
    assert total.survivors.count == COUNT


@pytest.mark.parametrize(
    ("phase", "change"),
    [
        (
            "share",
            lambda p, _: [p, replace(p, parcels=(replace(p.parcels[0], sealed=bytes(144)), *p.parcels[1:]))],
        ),
        (
            "open",
            lambda o, _: [o, replace(o, openings=(replace(o.openings[0], share=bytes(64)), *o.openings[1:]))],
        ),
    ],
)
def test_who_says_two_things_in_a_phase_said_neither(play, phase, change):
    round_ = play(vectors(), forge=lying(phase, change))
    total = round_.run()
    assert [blame.rule for blame in total.blamed] == [Rule.ONE_MESSAGE]
    assert np.array_equal(total.vector, plain_sum(round_, total)[0])


def masked(device, length=LENGTH):
    return wire.encode(messages.MaskedVector(device, bytes(ring.packed_length(length, 20))))


@pytest.mark.parametrize(
    ("device", "among", "rule"),
    [(2, None, Rule.ONE_VECTOR), (6, None, Rule.ROSTER_PLACE), (3, {2}, Rule.SHARED_FIRST)],
)
def test_what_a_node_does_not_add_leaves_its_sum_as_it_was(device, among, rule):
    total = Sum(6, LENGTH, 20, among)
    total.add(masked(2))
    before = total.message()
    with pytest.raises(PeerError) as refused:
        total.add(masked(device))
    assert refused.value.rule is rule
    assert total.message() == before


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda s, _: wire.encode(s)[:-1], Rule.MESSAGE_FORM),
        (lambda s, _: replace(s, vector=s.vector + b"\0"), Rule.VECTOR_LENGTH),
        (lambda s, _: replace(s, devices=s.devices + b"\1"), Rule.ROSTER_PLACE),
        (lambda s, _: replace(s, devices=bytes([s.devices[0], s.devices[1] | 0x80])), Rule.ROSTER_PLACE),
    ],
)
def test_a_nodes_bad_sum_is_left_out_whole(play, change, rule):
    round_ = play(vectors(), nodes=6, forge=lying("sum", change))
    total = round_.run()
    assert [blame.rule for blame in total.blamed] == [rule]
    assert total.survivors.count == COUNT - 2
    assert np.array_equal(total.vector, plain_sum(round_, total)[0])


def test_of_two_sums_over_one_device_the_later_is_left_out(play):
    def greedy(said):
        first, second, *rest = said
        return [
            first,
            wire.encode(replace(wire.decode(messages.PartialSum, second), devices=bitmap(first))),
            *rest,
        ]

    def bitmap(said):
        return wire.decode(messages.PartialSum, said).devices

    round_ = play(vectors(), nodes=6, forge={"sum": greedy})
    total = round_.run()
    assert [blame.rule for blame in total.blamed] == [Rule.ONE_VECTOR]
    assert np.array_equal(total.vector, plain_sum(round_, total)[0])


def test_a_sum_over_a_device_that_never_shared_is_left_out(play):
    round_ = play(vectors(), {"share": {3}}, nodes=6)

    def one_more(said):
        last = wire.decode(messages.PartialSum, said[-1])
        named = messages.Survivors(COUNT, last.devices).devices | {round_.index[3]}
        return [*said[:-1], wire.encode(replace(last, devices=messages.Survivors.of(COUNT, named).bitmap))]

    round_.forge["sum"] = one_more
    total = round_.run()
    assert [blame.rule for blame in total.blamed] == [Rule.SHARED_FIRST]
    assert np.array_equal(total.vector, plain_sum(round_, total)[0])


@pytest.mark.parametrize("place", [0, COUNT - 1])
@pytest.mark.parametrize("limb", [bytes(64), b"\xff" * 64])
def test_a_wrong_share_is_found_among_the_first_and_beyond_them(play, place, limb):
    """Nine of eleven shares open a secret; the last device's are needed for none."""

    def wrong(said):
        read = [wire.decode(messages.Openings, each) for each in said]
        return [
            wire.encode(replace(o, openings=tuple(replace(each, share=limb) for each in o.openings)))
            if o.device == place
            else wire.encode(o)
            for o in read
        ]

    round_ = play(vectors(), forge={"open": wrong})
    total = round_.run()
    assert total.blamed == (Blame(place, Rule.SHARE),)
    assert np.array_equal(total.vector, plain_sum(round_, total)[0])


def test_one_wrong_share_of_one_owner_is_found(play):
    def wrong(said):
        last = wire.decode(messages.Openings, said[-1])
        first, *rest = last.openings
        share = bytes([*first.share[:-1], first.share[-1] ^ 1])
        return [*said[:-1], wire.encode(replace(last, openings=(replace(first, share=share), *rest)))]

    round_ = play(vectors(), forge={"open": wrong})
    assert round_.run().blamed == (Blame(round_.index[COUNT - 1], Rule.SHARE),)


@pytest.mark.parametrize(
    ("phase", "rule"),
    [
        ("advertise", Rule.LEAST_COHORT),
        ("share", Rule.SURVIVORS_NOISE),
        ("sum", Rule.SURVIVORS_NOISE),
        ("open", Rule.ENOUGH_SHARES),
    ],
)
def test_where_too_few_stay_the_round_aborts_and_everyone_is_blamed(play, phase, rule):
    round_ = play(vectors(), forge={phase: lambda said: [each[:-1] for each in said]})
    with pytest.raises(AbortError) as aborted:
        round_.run()
    assert aborted.value.rule is rule
    assert round_.blames.all == (Blame(None, Rule.MESSAGE_FORM),)
