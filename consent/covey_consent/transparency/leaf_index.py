"""The leaf index: where in the log a leaf hash stands, in 8 to 16 bytes a leaf."""

from __future__ import annotations

from array import array

from covey_privacy.merkle import Tree

_SLOTS = 2**10


class LeafIndex:
    """Hash tables with open addressing whose keys are the tree's own leaves, by their places.

    A dictionary takes ten times the memory. The next table has as many slots as all before it, and none is
    ever filled anew: with a million leaves that takes a second. One thread adds while others find.
    """

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._tables = [array("I", [0]) * _SLOTS]
        self._held = 0
        """Leaves in the last table."""

    def add(self, leaf: bytes, index: int) -> None:
        """Note that the tree's leaf `index` is `leaf`; of equal leaves the first counts."""
        if 2 * self._held >= len(self._tables[-1]):
            self._tables.append(array("I", [0]) * sum(map(len, self._tables)))
            self._held = 0
        table = self._tables[-1]
        slot, place = self._probe(table, leaf)
        if not place:
            table[slot] = index + 1
            self._held += 1

    def find(self, leaf: bytes) -> int | None:
        """Return the place of the leaf hash, None where the tree has no such leaf."""
        for table in self._tables:
            _, place = self._probe(table, leaf)
            if place:
                return place - 1
        return None

    def _probe(self, table: array[int], leaf: bytes) -> tuple[int, int]:
        """Return the slot that holds the leaf and what is in it, or the free one that would and 0."""
        slot = int.from_bytes(leaf[:8]) % len(table)
        while (place := table[slot]) and self._tree.node(0, place - 1) != leaf:
            slot = (slot + 1) % len(table)
        return slot, place
