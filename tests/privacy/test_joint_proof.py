"""One proof for several leaves: it leads to the tree's head, and nothing else does."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covey_privacy.errors import MisuseError, ServerError
from covey_privacy.joint_proof import head_of_subtrees, prove_leaves, root_from_leaves
from covey_privacy.merkle import EMPTY, Tree, prove_inclusion, root_from_inclusion
from covey_privacy.protocol_rules import Rule

LEAVES = [hashlib.sha256(b"%d" % number).digest() for number in range(70)]


@st.composite
def trees_with_places(draw):
    size = draw(st.integers(1, len(LEAVES)))
    places = draw(st.sets(st.integers(0, size - 1), max_size=12))
    return size, sorted(places)


@given(trees_with_places())
def test_leaves_and_proof_lead_to_the_head(drawn):
    size, places = drawn
    tree = Tree(LEAVES)
    proof = prove_leaves(tree.node, places, size)
    assert root_from_leaves({place: LEAVES[place] for place in places}, size, proof) == tree.root(size)
    assert len(proof) <= sum(len(prove_inclusion(tree.node, place, size)) for place in places) or not places


@given(trees_with_places(), st.data())
def test_another_leaf_place_hash_or_number_of_hashes_does_not(drawn, data):
    size, places = drawn
    tree = Tree(LEAVES)
    proof, root = prove_leaves(tree.node, places, size), tree.root(size)
    good = {place: LEAVES[place] for place in places}
    wrongs = [(good, (*proof, EMPTY)), (good, proof[:-1])] if proof else [(good, (EMPTY,))]
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        wrongs.append((good, (*proof[:at], EMPTY, *proof[at + 1 :])))
    if places:
        place = data.draw(st.sampled_from(places))
        rest = {each: leaf for each, leaf in good.items() if each != place}
        wrongs += [(good | {place: EMPTY}, proof), (rest, proof)]
        moved = data.draw(st.integers(0, size + 1))
        if moved not in places:
            wrongs.append((rest | {moved: LEAVES[place]}, proof))
    for leaves, shown in wrongs:
        assert _root_or_none(leaves, size, shown) != root


def _root_or_none(leaves, size: int, proof) -> bytes | None:
    try:
        return root_from_leaves(leaves, size, proof)
    except ServerError:
        return None


@given(st.integers(0, len(LEAVES)), st.integers(0, len(LEAVES)))
def test_the_proof_of_a_run_to_the_end_gives_the_head_before_it(first, size):
    first, size = sorted((first, size))
    tree = Tree(LEAVES)
    before = prove_leaves(tree.node, range(first, size), size)
    leaves = {place: LEAVES[place] for place in range(first, size)}
    assert root_from_leaves(leaves, size, before) == tree.root(size)
    assert head_of_subtrees(before) == tree.root(first)


def test_too_few_or_too_many_hashes_are_refused_whatever_they_give():
    proof = prove_leaves(Tree(LEAVES).node, [7, 30], len(LEAVES))
    leaves = {place: LEAVES[place] for place in (7, 30)}
    for wrong in (proof[:-1], (), (*proof, EMPTY)):
        with pytest.raises(ServerError) as refused:
            root_from_leaves(leaves, len(LEAVES), wrong)
        assert refused.value.rule == Rule.LOG_INCLUSION


def test_one_leaf_needs_what_its_inclusion_proof_has():
    tree = Tree(LEAVES)
    for place in range(len(LEAVES)):
        inclusion = tree.inclusion(place)
        assert sorted(prove_leaves(tree.node, [place], len(LEAVES))) == sorted(inclusion)
        assert root_from_inclusion(LEAVES[place], place, len(LEAVES), inclusion) == tree.root()


@pytest.mark.parametrize("places", [[-1], [3], [1, 1], [2, 1]])
def test_places_ascend_and_lie_in_the_tree(places):
    with pytest.raises(MisuseError):
        prove_leaves(Tree(LEAVES).node, places, 3)


@pytest.mark.parametrize("places", [[-1], [3]])
def test_no_leaf_is_out_of_the_tree(places):
    with pytest.raises(ServerError):
        root_from_leaves(dict.fromkeys(places, EMPTY), 3, ())


def test_the_empty_tree():
    assert prove_leaves(Tree().node, [], 0) == ()
    assert root_from_leaves({}, 0, ()) == EMPTY
    with pytest.raises(ServerError):
        root_from_leaves({}, 0, (EMPTY,))
