import pytest
from hypothesis import given
from hypothesis import strategies as st

from covey_privacy.errors import MisuseError, ServerError
from covey_privacy.merkle import EMPTY, Tree, leaf_hash, node_hash, verify_consistency, verify_inclusion


def tree(size: int) -> Tree:
    return Tree([leaf_hash(str(i).encode()) for i in range(size)])


def plain_root(leaves: list[bytes]) -> bytes:
    """RFC 9162, 2.1.1, read literally."""
    if len(leaves) < 2:
        return leaves[0] if leaves else EMPTY
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return node_hash(plain_root(leaves[:k]), plain_root(leaves[k:]))


@pytest.mark.parametrize("size", [*range(20), 64, 100, 255])
def test_root_is_the_recursive_definition(size):
    assert tree(size).root() == plain_root([leaf_hash(str(i).encode()) for i in range(size)])


@given(st.integers(1, 90), st.data())
def test_every_leaf_is_included_and_no_other(size, data):
    index = data.draw(st.integers(0, size - 1))
    other = data.draw(st.integers(0, size - 1))
    log = tree(size)
    proof = log.inclusion(index)
    verify_inclusion(leaf_hash(str(index).encode()), index, size, proof, log.root())
    if other != index:
        with pytest.raises(ServerError):
            verify_inclusion(leaf_hash(str(other).encode()), index, size, proof, log.root())


@given(st.integers(0, 90), st.integers(0, 90), st.data())
def test_a_log_that_grew_is_consistent_and_a_rewritten_one_is_not(old, more, data):
    size = old + more
    log, before = tree(size), tree(old)
    proof = log.consistency(old)
    if old:
        verify_consistency(old, before.root(), size, log.root(), proof)
        changed = data.draw(st.integers(0, old - 1))
        leaves = [leaf_hash(str(i).encode()) for i in range(size)]
        leaves[changed] = leaf_hash(b"another")
        rewritten = Tree(leaves)
        with pytest.raises(ServerError):
            verify_consistency(old, before.root(), size, rewritten.root(), rewritten.consistency(old))


def test_proofs_of_earlier_sizes():
    log = tree(77)
    for size in (1, 2, 31, 64, 76):
        verify_inclusion(leaf_hash(b"0"), 0, size, log.inclusion(0, size), tree(size).root())
        verify_consistency(1, tree(1).root(), size, log.root(size), log.consistency(1, size))


def test_a_leaf_that_is_not_there():
    with pytest.raises(MisuseError, match="no leaf 3"):
        tree(3).inclusion(3)
    with pytest.raises(MisuseError):
        tree(3).consistency(4)
