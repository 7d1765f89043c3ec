from hypothesis import given
from hypothesis import strategies as st

from covey_consent.transparency.leaf_index import LeafIndex
from covey_privacy.merkle import Tree, leaf_hash


@given(st.lists(st.integers(0, 2000)), st.integers(0, 3000))
def test_a_leaf_is_found_where_it_stands_first(numbers, more):
    tree = Tree()
    index = LeafIndex(tree)
    first = {}
    for place, number in enumerate([*numbers, *range(5000, 5000 + more), *numbers]):
        leaf = leaf_hash(b"%d" % number)
        tree.append(leaf)
        index.add(leaf, place)
        first.setdefault(leaf, place)
    assert {leaf: index.find(leaf) for leaf in first} == first
    assert index.find(leaf_hash(b"none")) is None


def test_of_equal_leaves_the_first_counts_however_many_lie_between():
    tree = Tree()
    index = LeafIndex(tree)
    leaves = [leaf_hash(b"%d" % number) for number in (*range(5000), *range(5000))]
    for place, leaf in enumerate(leaves):
        tree.append(leaf)
        index.add(leaf, place)
    assert [index.find(leaf) for leaf in leaves[:5000]] == list(range(5000))


def test_leaves_that_begin_alike_are_told_apart():
    tree = Tree()
    index = LeafIndex(tree)
    leaves = [bytes(30) + number.to_bytes(2) for number in range(700)]
    for place, leaf in enumerate(leaves):
        tree.append(leaf)
        index.add(leaf, place)
    assert [index.find(leaf) for leaf in leaves] == list(range(700))
    assert index.find(bytes(30) + (700).to_bytes(2)) is None
