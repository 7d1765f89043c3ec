"""The leaf index: where in the log a leaf hash stands, in 8 to 16 bytes a leaf."""

from __future__ import annotations

from array import array

from covey_privacy.merkle import Tree

_SLOTS = 2**10


class LeafIndex:
    """A hash table with open addressing whose keys are the tree's own leaves, by their places.

    A dictionary takes ten times the memory. One thread adds while others find.
    """

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._slots = array("I", [0]) * _SLOTS
        self._held = 0

    def add(self, leaf: bytes, index: int) -> None:
        """Note that the tree's leaf `index` is `leaf`; of equal leaves the first counts."""
        if 2 * self._held >= len(self._slots):
            self._grow()
        slot = self._slot(self._slots, leaf)
        if not self._slots[slot]:
            self._slots[slot] = index + 1
            self._held += 1

    def find(self, leaf: bytes) -> int | None:
        """Return the place of the leaf hash, None where the tree has no such leaf."""
        slots = self._slots
        place = slots[self._slot(slots, leaf)]
        return place - 1 if place else None

    def _slot(self, slots: array[int], leaf: bytes) -> int:
        """Return the slot that holds the leaf, or the free one that would."""
        slot = int.from_bytes(leaf[:8]) % len(slots)
        while (place := slots[slot]) and self._tree.node(0, place - 1) != leaf:
            slot = (slot + 1) % len(slots)
        return slot

    def _grow(self) -> None:
        slots = array("I", [0]) * (2 * len(self._slots))
        for place in filter(None, self._slots):
            slots[self._slot(slots, self._tree.node(0, place - 1))] = place
        self._slots = slots
