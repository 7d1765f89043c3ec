"""The Merkle tree of RFC 9162 (section 2.1) over SHA-256: heads, inclusion and consistency proofs.

Trees are given as their leaf hashes, oldest first. Verification needs hashes and indices alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from covey_privacy.errors import MisuseError, ServerError

EMPTY = hashlib.sha256().digest()

Proof = tuple[bytes, ...]


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of a leaf."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """A tree that keeps the hash of every complete subtree: a proof costs log n look-ups."""

    def __init__(self, leaves: Sequence[bytes] = ()) -> None:
        self._levels: list[list[bytes]] = [[]]
        for leaf in leaves:
            self.append(leaf)

    def __len__(self) -> int:
        return len(self._levels[0])

    def append(self, leaf: bytes) -> None:
        """Add a leaf hash at the end."""
        for level in self._levels:
            level.append(leaf)
            if len(level) % 2:
                return
            leaf = node_hash(level[-2], level[-1])
        self._levels.append([leaf])

    def root(self, size: int | None = None) -> bytes:
        """Return the head of the first `size` leaves (all of them by default)."""
        return self._range(0, self._size(size))

    def inclusion(self, index: int, size: int | None = None) -> Proof:
        """Return the proof that leaf `index` is in the tree of the first `size` leaves (2.1.3.1)."""
        size = self._size(size)
        if not 0 <= index < size:
            raise MisuseError(f"a tree of {size} leaves has no leaf {index}")
        return self._path(index, 0, size)

    def consistency(self, old: int, size: int | None = None) -> Proof:
        """Return the proof that the first `old` leaves begin the tree of the first `size` (2.1.4.1)."""
        size = self._size(size)
        if not 0 <= old <= size:
            raise MisuseError(f"a tree of {size} leaves never had {old}")
        return self._subproof(old, 0, size, whole=True) if old else ()

    def _size(self, size: int | None) -> int:
        if size is not None and not 0 <= size <= len(self):
            raise MisuseError(f"the tree has {len(self)} leaves, not {size}")
        return len(self) if size is None else size

    def _range(self, start: int, end: int) -> bytes:
        if start == end:
            return EMPTY
        width = end - start
        if width & (width - 1) == 0:
            return self._levels[width.bit_length() - 1][start // width]
        middle = start + _split(width)
        return node_hash(self._range(start, middle), self._range(middle, end))

    def _path(self, index: int, start: int, end: int) -> Proof:
        if end - start == 1:
            return ()
        middle = start + _split(end - start)
        if index < middle:
            return (*self._path(index, start, middle), self._range(middle, end))
        return (*self._path(index, middle, end), self._range(start, middle))

    def _subproof(self, old: int, start: int, end: int, *, whole: bool) -> Proof:
        if old == end:
            return () if whole else (self._range(start, end),)
        middle = start + _split(end - start)
        if old <= middle:
            return (*self._subproof(old, start, middle, whole=whole), self._range(middle, end))
        return (*self._subproof(old, middle, end, whole=False), self._range(start, middle))


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Check that leaf hash `leaf` is number `index` of the tree (size, root) (2.1.3.2).

    Raises ServerError when it is not.
    """
    if len(leaf) != len(EMPTY) or root_from_inclusion(leaf, index, size, proof) != root:
        raise ServerError(f"leaf {index} is not in the log of {size} leaves: its inclusion proof fails")


def root_from_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes:
    """Return the head that `proof` leads to. Raises ServerError when its shape is wrong."""
    if not 0 <= index < size:
        raise ServerError(f"a log of {size} leaves has no leaf {index}")
    last = size - 1
    for sibling in proof:
        if last == 0:
            raise ServerError("the inclusion proof is longer than the tree is high")
        if index & 1 or index == last:
            leaf = node_hash(sibling, leaf)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            leaf = node_hash(leaf, sibling)
        index, last = index >> 1, last >> 1
    if last:
        raise ServerError("the inclusion proof is shorter than the tree is high")
    return leaf


def verify_consistency(old: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]) -> None:
    """Check that the tree (size, root) begins with the tree (old, old_root) (2.1.4.2).

    Raises ServerError when it does not: the log was rewritten or forked.
    """
    if old == 0:
        raise MisuseError("every log begins with the empty one: there is nothing to prove from size 0")
    if old == size:
        good = not proof and old_root == root
    else:
        good = _heads(old, old_root, size, proof) == (old_root, root)
    if not good:
        raise ServerError(
            f"the log of {size} leaves does not begin with the {old} leaves seen before: it was rewritten"
        )


def _heads(old: int, old_root: bytes, size: int, proof: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    """Return the old and the new head that `proof` leads to, None where its shape is wrong."""
    if old & (old - 1) == 0:
        proof = [old_root, *proof]
    index, last = old - 1, size - 1
    while index & 1:
        index, last = index >> 1, last >> 1
    if not proof or old > size:
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


def _split(width: int) -> int:
    """Return the largest power of two below `width`."""
    return 1 << (width - 1).bit_length() - 1
