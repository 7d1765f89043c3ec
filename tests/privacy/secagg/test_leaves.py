"""Sets of contributions: who is in one and who is not can be proved, and altered proofs are refused."""

from __future__ import annotations

import dataclasses
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covey_privacy.errors import MisuseError, ServerError
from covey_privacy.joint_proof import prove_leaves
from covey_privacy.merkle import Tree
from covey_privacy.protocol_rules import Rule
from covey_privacy.secagg.leaves import (
    Absence,
    JointAbsence,
    LeafSet,
    Neighbour,
    Presence,
    verify_absence,
    verify_joint_absence,
    verify_presence,
)
from covey_privacy.secagg.messages import Leaf, SetHead

keys = st.sets(st.integers(1, 10_000), min_size=1, max_size=40)


def _leaf(number: int) -> Leaf:
    fields = [hashlib.sha256(b"%d %d" % (number, each)).digest() for each in range(3)]
    return Leaf(number.to_bytes(32), *fields)


def _set(numbers) -> tuple[LeafSet, SetHead]:
    members = LeafSet([_leaf(number) for number in sorted(numbers)])
    return members, SetHead(bytes(32), bytes(32), len(members), members.root, bytes(32))


@given(keys, st.integers(0, 10_001))
def test_presence_or_absence_can_be_proved_and_not_both(numbers, asked):
    members, head = _set(numbers)
    key = asked.to_bytes(32)
    if asked in numbers:
        verify_presence(head, _leaf(asked), members.presence(key))
        with pytest.raises(MisuseError):
            members.absence(key)
    else:
        verify_absence(head, key, members.absence(key))
        with pytest.raises(MisuseError):
            members.presence(key)


@given(keys, st.data())
def test_no_neighbours_prove_the_absence_of_a_member(numbers, data):
    members, head = _set(numbers)
    member = data.draw(st.sampled_from(sorted(numbers)))
    others = [members.presence(leaf.round_key).at for leaf in members.leaves]
    shown = data.draw(st.lists(st.sampled_from(others), min_size=1, max_size=2))
    with pytest.raises(ServerError) as refused:
        verify_absence(head, member.to_bytes(32), Absence(tuple(shown)))
    assert refused.value.rule == Rule.LEAVES


def test_an_altered_proof_is_refused():
    members, head = _set(range(1, 30))
    good = members.presence((7).to_bytes(32)).at
    altered = [
        dataclasses.replace(good, place=good.place + 1),
        dataclasses.replace(good, proof=good.proof[1:]),
        dataclasses.replace(good, proof=(bytes(32), *good.proof[1:])),
        dataclasses.replace(good, leaf=_leaf(8)),
    ]
    for each in altered:
        with pytest.raises(ServerError):
            verify_presence(head, _leaf(7), Presence(each))
    for changed in ({"size": 64}, {"root": bytes(32)}):
        with pytest.raises(ServerError):
            verify_presence(dataclasses.replace(head, **changed), _leaf(7), Presence(good))


@pytest.mark.parametrize("numbers", [[], [2, 1], [1, 1]])
def test_leaves_are_sorted_and_distinct(numbers):
    with pytest.raises(ServerError) as refused:
        LeafSet([_leaf(number) for number in numbers])
    assert refused.value.rule == Rule.LEAVES


def test_a_set_without_some():
    members, _ = _set(range(1, 8))
    assert [int.from_bytes(leaf.round_key) for leaf in members.without([0, 3]).leaves] == [2, 3, 5, 6, 7]


@given(keys, st.sets(st.integers(0, 10_001), min_size=1, max_size=8))
def test_joint_absence_is_proved_of_absent_keys_alone(numbers, asked):
    members, head = _set(numbers)
    named = [number.to_bytes(32) for number in sorted(asked)]
    if asked & numbers:
        with pytest.raises(MisuseError):
            members.joint_absence(named)
        return
    absence = members.joint_absence(named)
    verify_joint_absence(head, named, absence)
    verify_joint_absence(head, named[::-1], absence)
    for number in sorted(numbers):
        with pytest.raises(ServerError):
            verify_joint_absence(head, [*named, number.to_bytes(32)], absence)


@given(keys, st.integers(0, 10_001), st.data())
def test_whatever_members_are_shown_absence_holds_of_enclosed_keys_alone(numbers, asked, data):
    """Any members with their true proof: what is accepted is absent, and both its neighbours are shown."""
    members, head = _set(numbers)
    places = sorted(data.draw(st.sets(st.integers(0, len(members) - 1), min_size=1)))
    tree = Tree([leaf.hash for leaf in members.leaves])
    shown = tuple(Neighbour(place, members.leaves[place]) for place in places)
    absence = JointAbsence(shown, prove_leaves(tree.node, places, len(members)))
    after = sum(number < asked for number in numbers)
    enclosed = {place for place in (after - 1, after) if 0 <= place < len(members)} <= set(places)
    if asked not in numbers and enclosed:
        verify_joint_absence(head, [asked.to_bytes(32)], absence)
    else:
        with pytest.raises(ServerError) as refused:
            verify_joint_absence(head, [asked.to_bytes(32)], absence)
        assert refused.value.rule == Rule.LEAVES


def test_an_altered_joint_absence_is_refused():
    members, head = _set(range(2, 60, 2))
    named = [number.to_bytes(32) for number in (1, 7, 31, 99)]
    good = members.joint_absence(named)
    first = good.neighbours[1]
    altered = [
        dataclasses.replace(good, proof=good.proof[1:]),
        dataclasses.replace(good, proof=(*good.proof, bytes(32))),
        dataclasses.replace(good, neighbours=good.neighbours[1:]),
        dataclasses.replace(good, neighbours=(*good.neighbours, dataclasses.replace(first, place=20))),
        dataclasses.replace(good, neighbours=(good.neighbours[0], dataclasses.replace(first, leaf=_leaf(6)))),
    ]
    for each in altered:
        with pytest.raises(ServerError) as refused:
            verify_joint_absence(head, named, each)
        assert refused.value.rule == Rule.LEAVES
    for changed in ({"size": 64}, {"root": bytes(32)}):
        with pytest.raises(ServerError):
            verify_joint_absence(dataclasses.replace(head, **changed), named, good)


def test_members_out_of_order_prove_nothing():
    """A root over unsorted leaves, which no decryptor would accept, shows no absence either."""
    leaves = [_leaf(number) for number in (1, 9, 5, 20)]
    tree = Tree([leaf.hash for leaf in leaves])
    head = SetHead(bytes(32), bytes(32), 4, tree.root(), bytes(32))
    shown = tuple(Neighbour(place, leaf) for place, leaf in enumerate(leaves))
    with pytest.raises(ServerError, match="sorted"):
        verify_joint_absence(head, [(7).to_bytes(32)], JointAbsence(shown, ()))
