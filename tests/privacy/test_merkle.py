import pytest
from hypothesis import given
from hypothesis import strategies as st

from covey_privacy.errors import MisuseError, ServerError
from covey_privacy.merkle import EMPTY, Tree, leaf_hash, node_hash, verify_consistency, verify_inclusion

# Certificate Transparency's reference tree: transparency-dev/merkle, proof/verify_test.go.
ENTRIES = [
    bytes.fromhex(entry)
    for entry in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"
    )
]  # fmt: skip
ROOTS = [
    bytes.fromhex(root)
    for root in (
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    )
]
A, B, C, D, E, F, G, H = (
    "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
    "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
    "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f",
)
INCLUSIONS = {
    (0, 1): (),
    (0, 8): (A, B, C),
    (5, 8): (D, E, F),
    (2, 3): (ROOTS[1].hex(),),
    (1, 5): (ROOTS[0].hex(), B, D),
}
CONSISTENCIES = {(1, 1): (), (1, 8): (A, B, C), (6, 8): (G, E, F), (2, 5): (B, D), (6, 7): (G, H, F)}


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


def reference(size: int = len(ENTRIES)) -> Tree:
    return Tree([leaf_hash(entry) for entry in ENTRIES[:size]])


def flips(proof):
    """Every proof that differs in one bit, and those with a hash too few or too many."""
    for place, each in enumerate(proof):
        for bit in range(256):
            changed = bytes(byte ^ (1 << bit % 8) * (at == bit // 8) for at, byte in enumerate(each))
            yield (*proof[:place], changed, *proof[place + 1 :])
    yield from (proof[:-1], proof[1:]) if proof else ()
    yield from ((*proof, EMPTY), (EMPTY, *proof), (*proof, b""), (b"", *proof))


def test_the_reference_trees_roots():
    assert [reference(size).root() for size in range(9)] == [EMPTY, *ROOTS]


@pytest.mark.parametrize(("index", "size"), INCLUSIONS)
def test_the_reference_trees_inclusion_proofs(index, size):
    proof = tuple(map(bytes.fromhex, INCLUSIONS[index, size]))
    leaf, root = leaf_hash(ENTRIES[index]), ROOTS[size - 1]
    assert reference().inclusion(index, size) == proof
    verify_inclusion(leaf, index, size, proof, root)
    others = [(leaf, other, size, proof, root) for other in (index - 1, index + 1, index ^ 2)]
    others += [(leaf, index, other, proof, root) for other in (size * 2, size // 2)]
    others += [(b"leaf", index, size, proof, root), (leaf, index, size, proof, EMPTY)]
    others += [(leaf, index, size, changed, root) for changed in flips(proof)]
    for wrong in others:
        with pytest.raises(ServerError):
            verify_inclusion(*wrong)


@pytest.mark.parametrize(("old", "size"), CONSISTENCIES)
def test_the_reference_trees_consistency_proofs(old, size):
    proof = tuple(map(bytes.fromhex, CONSISTENCIES[old, size]))
    first, second = ROOTS[old - 1], ROOTS[size - 1]
    assert reference().consistency(old, size) == proof
    verify_consistency(old, first, size, second, proof)
    others = [(old, first, size, second, changed) for changed in flips(proof)]
    others += [(old, b"root", size, second, proof), (old, first, size, b"root", proof)]
    if proof:
        sizes = [(old + 1, size), (old ^ 2, size), (old, size * 2), (old, size // 2)]
        others += [(o, first, n, second, proof) for o, n in sizes if o]
        others += [(old, second, size, first, proof)]
    for wrong in others:
        with pytest.raises(ServerError):
            verify_consistency(*wrong)


def test_hashes_of_other_lengths_are_no_proof():
    """c || d = c' || d' is one preimage: it must not be read as two trees."""
    c, d, g = (leaf_hash(bytes([i])) for i in range(3))
    root = node_hash(g, node_hash(c, d))
    verify_consistency(3, node_hash(g, c), 4, root, [c, d, g])
    cut, rest = c[:-1], c[-1:] + d
    with pytest.raises(ServerError):
        verify_consistency(3, node_hash(g, cut), 4, root, [cut, rest, g])


def test_a_node_that_is_not_complete():
    assert tree(4).node(2, 0) == tree(4).root()
    for height, index in ((0, 7), (1, 3), (3, 0), (-1, 0), (0, -1)):
        with pytest.raises(MisuseError):
            tree(7).node(height, index)
