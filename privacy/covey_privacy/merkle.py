"""The Merkle tree of RFC 9162 (section 2.1) over SHA-256: heads, inclusion and consistency proofs.

Trees are given as their leaf hashes, oldest first. Verification needs hashes and indices alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from covey_privacy.errors import MisuseError, ServerError
from covey_privacy.protocol_rules import Rule

EMPTY = hashlib.sha256().digest()

_HASH = len(EMPTY)
_PAIR = 2 * _HASH

Proof = tuple[bytes, ...]

Node = Callable[[int, int], bytes]
"""`node(height, index)`: the head of the complete subtree over leaves [index, index + 1) * 2^height."""


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of a leaf."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """A tree that keeps the hash of every complete subtree, 64 bytes a leaf: a proof costs log n look-ups."""

    def __init__(self, leaves: Sequence[bytes] = ()) -> None:
        self._levels = [bytearray()]
        for leaf in leaves:
            self.append(leaf)

    def __len__(self) -> int:
        return len(self._levels[0]) // _HASH

    def append(self, leaf: bytes) -> None:
        """Add a leaf hash at the end."""
        if len(leaf) != _HASH:
            raise MisuseError(f"a leaf hash has {_HASH} bytes; {len(leaf)} were given")
        for level in self._levels:
            level += leaf
            if len(level) % _PAIR:
                return
            leaf = hashlib.sha256(b"\x01" + level[-_PAIR:]).digest()
        self._levels.append(bytearray(leaf))

    def node(self, height: int, index: int) -> bytes:
        """Return the head of the complete subtree over leaves [index, index + 1) * 2^height."""
        level = self._levels[height] if 0 <= height < len(self._levels) else b""
        if not 0 <= index < len(level) // _HASH:
            raise MisuseError(f"a tree of {len(self)} leaves has no complete node {index} at height {height}")
        return bytes(level[index * _HASH : (index + 1) * _HASH])

    def root(self, size: int | None = None) -> bytes:
        """Return the head of the first `size` leaves (all of them by default)."""
        return head(self.node, 0, self._size(size))

    def inclusion(self, index: int, size: int | None = None) -> Proof:
        """Return the proof that leaf `index` is in the tree of the first `size` leaves (2.1.3.1)."""
        return prove_inclusion(self.node, index, self._size(size))

    def consistency(self, old: int, size: int | None = None) -> Proof:
        """Return the proof that the first `old` leaves begin the tree of the first `size` (2.1.4.1)."""
        return prove_consistency(self.node, old, self._size(size))

    def _size(self, size: int | None) -> int:
        if size is not None and not 0 <= size <= len(self):
            raise MisuseError(f"the tree has {len(self)} leaves, not {size}")
        return len(self) if size is None else size


def head(node: Node, start: int, end: int) -> bytes:
    """Return the head of leaves `start` to `end` (exclusive), as a subtree of the tree has them (2.1.1)."""
    if start == end:
        return EMPTY
    width = end - start
    if width & (width - 1) == 0:
        return node(width.bit_length() - 1, start // width)
    middle = start + split(width)
    return node_hash(head(node, start, middle), head(node, middle, end))


def prove_inclusion(node: Node, index: int, size: int) -> Proof:
    """Return the proof that leaf `index` is among the first `size` leaves (2.1.3.1)."""
    if not 0 <= index < size:
        raise MisuseError(f"a tree of {size} leaves has no leaf {index}")
    return _path(node, index, 0, size)


def prove_consistency(node: Node, old: int, size: int) -> Proof:
    """Return the proof that the first `old` leaves begin the first `size` (2.1.4.1)."""
    if not 0 <= old <= size:
        raise MisuseError(f"a tree of {size} leaves never had {old}")
    return _subproof(node, old, 0, size, whole=True) if old else ()


def verify_inclusion(
    leaf: bytes,
    index: int,
    size: int,
    proof: Sequence[bytes],
    root: bytes,
    rule: Rule = Rule.LOG_INCLUSION,
) -> None:
    """Check that leaf hash `leaf` is number `index` of the tree (size, root) (2.1.3.2).

    Raises ServerError when it is not.
    """
    if not _are_hashes(leaf, *proof) or root_from_inclusion(leaf, index, size, proof, rule) != root:
        raise ServerError(
            f"leaf {index} is not in the log of {size} leaves: its inclusion proof fails", rule=rule
        )


def root_from_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], rule: Rule = Rule.LOG_INCLUSION
) -> bytes:
    """Return the head that `proof` leads to. Raises ServerError when its shape is wrong."""
    if not 0 <= index < size:
        raise ServerError(f"a log of {size} leaves has no leaf {index}", rule=rule)
    last = size - 1
    for sibling in proof:
        if last == 0:
            raise ServerError("the inclusion proof is longer than the tree is high", rule=rule)
        if index & 1 or index == last:
            leaf = node_hash(sibling, leaf)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            leaf = node_hash(leaf, sibling)
        index, last = index >> 1, last >> 1
    if last:
        raise ServerError("the inclusion proof is shorter than the tree is high", rule=rule)
    return leaf


def verify_consistency(old: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]) -> None:
    """Check that the tree (size, root) begins with the tree (old, old_root) (2.1.4.2).

    Raises ServerError when it does not: the log was rewritten or forked.
    """
    if old == 0:
        raise MisuseError("every log begins with the empty one: there is nothing to prove from size 0")
    if heads_from_consistency(old, old_root, size, proof) != (old_root, root):
        raise ServerError(
            f"the log of {size} leaves does not begin with the {old} leaves seen before: it was rewritten",
            rule=Rule.LOG_CONSISTENCY,
        )


def heads_from_consistency(
    old: int, old_root: bytes, size: int, proof: Sequence[bytes]
) -> tuple[bytes, bytes] | None:
    """Return the old and the new head that `proof` leads to, None where its shape is wrong.

    A proof leaves the old head out where that is a node of the new tree: there `old_root` stands in.
    """
    if not 0 < old <= size or not _are_hashes(old_root, *proof):
        return None
    if old == size:
        return None if proof else (old_root, old_root)
    return _climb(old - 1, size - 1, proof if old & (old - 1) else [old_root, *proof])


def _climb(index: int, last: int, proof: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    while index & 1:
        index, last = index >> 1, last >> 1
    if not proof:
        return None
    first = second = proof[0]
    for sibling in proof[1:]:
        if last == 0:
            return None
        if index & 1 or index == last:
            first, second = node_hash(sibling, first), node_hash(sibling, second)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            second = node_hash(second, sibling)
        index, last = index >> 1, last >> 1
    return (first, second) if last == 0 else None


def _are_hashes(*data: bytes) -> bool:
    """Say whether all have a hash's length: of others, one proof could be read as of two trees."""
    return all(len(each) == len(EMPTY) for each in data)


def _path(node: Node, index: int, start: int, end: int) -> Proof:
    if end - start == 1:
        return ()
    middle = start + split(end - start)
    if index < middle:
        return (*_path(node, index, start, middle), head(node, middle, end))
    return (*_path(node, index, middle, end), head(node, start, middle))


def _subproof(node: Node, old: int, start: int, end: int, *, whole: bool) -> Proof:
    if old == end:
        return () if whole else (head(node, start, end),)
    middle = start + split(end - start)
    if old <= middle:
        return (*_subproof(node, old, start, middle, whole=whole), head(node, middle, end))
    return (*_subproof(node, old, middle, end, whole=False), head(node, start, middle))


def split(width: int) -> int:
    """Return the largest power of two below `width`: how many leaves the left half of a tree has (2.1.1)."""
    return 1 << (width - 1).bit_length() - 1
