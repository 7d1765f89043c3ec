"""Sets of contributions: leaves sorted by round key under one Merkle root.

Because leaves are sorted and distinct, two neighbours prove that nothing stands between them: a phone can
show from public evidence that its contribution is in a set, or that none of its round keys is.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

from covey_privacy import wire
from covey_privacy.errors import MisuseError, ServerError
from covey_privacy.joint_proof import JointProof, prove_leaves, root_from_leaves
from covey_privacy.merkle import Tree, verify_inclusion
from covey_privacy.protocol_rules import Rule
from covey_privacy.registry_messages import ProofHashes
from covey_privacy.secagg.messages import Leaf, SetHead


@dataclass(frozen=True, slots=True)
class Placed:
    """A leaf with its place in a set and the proof of it."""

    leaf: Leaf
    place: wire.U32
    proof: ProofHashes


@dataclass(frozen=True, slots=True)
class Presence:
    """Proves that a leaf is in a set."""

    at: Placed


@dataclass(frozen=True, slots=True)
class Absence:
    """Proves that a round key is not in a set: its two neighbours, or one at either end."""

    neighbours: Annotated[tuple[Placed, ...], wire.Size(1, 2)]


MOST_KEYS = 512
"""Whose absence is proved together: more than a phone ever holds tickets for at one time."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A leaf with its place in a set."""

    place: wire.U32
    leaf: Leaf


@dataclass(frozen=True, slots=True)
class JointAbsence:
    """Proves that several round keys are not in a set: the neighbours of all, by place, with one proof."""

    neighbours: Annotated[tuple[Neighbour, ...], wire.Records(1, 2 * MOST_KEYS)]
    proof: JointProof


class LeafSet:
    """The leaves of a set, in their order.

    Raises:
        ServerError: they are not sorted by round key, or a key comes twice.
    """

    def __init__(self, leaves: Sequence[Leaf]) -> None:
        self.leaves = tuple(leaves)
        self._keys = [leaf.round_key for leaf in self.leaves]
        if not self.leaves or any(a >= b for a, b in zip(self._keys, self._keys[1:], strict=False)):
            raise ServerError("a set's leaves are not sorted by distinct round keys", rule=Rule.LEAVES)
        self._tree = Tree([leaf.hash for leaf in self.leaves])

    def __len__(self) -> int:
        return len(self.leaves)

    @property
    def root(self) -> bytes:
        """The root of the set's tree."""
        return self._tree.root()

    @cached_property
    def packed(self) -> bytes:
        """The leaves end to end, as every decryptor is sent them; packed once."""
        return b"".join([leaf.pack() for leaf in self.leaves])

    def without(self, places: Sequence[int]) -> LeafSet:
        """Return the set without the leaves at some places."""
        gone = set(places)
        return LeafSet([leaf for place, leaf in enumerate(self.leaves) if place not in gone])

    def require_head(self, head: SetHead) -> None:
        """Raise ServerError unless `head` is this set's."""
        if (head.size, head.root) != (len(self), self.root):
            raise ServerError(
                f"the {len(self)} leaves shown do not lead to the signed root of {head.size}",
                rule=Rule.LEAVES,
            )

    def presence(self, round_key: bytes) -> Presence:
        """Return the proof that the key's leaf is in the set. Raises MisuseError where it is not."""
        place = bisect_left(self._keys, round_key)
        if place == len(self) or self._keys[place] != round_key:
            raise MisuseError("the round key is not in the set")
        return Presence(self._placed(place))

    def absence(self, round_key: bytes) -> Absence:
        """Return the proof that the key is not in the set. Raises MisuseError where it is."""
        place = bisect_left(self._keys, round_key)
        if place < len(self) and self._keys[place] == round_key:
            raise MisuseError("the round key is in the set")
        beside = [each for each in (place - 1, place) if 0 <= each < len(self)]
        return Absence(tuple(map(self._placed, beside)))

    def joint_absence(self, round_keys: Sequence[bytes]) -> JointAbsence:
        """Return one proof that none of the keys is in the set. Raises MisuseError where one is."""
        after = [bisect_left(self._keys, key) for key in round_keys]
        if any(self._keys[place : place + 1] == [key] for place, key in zip(after, round_keys, strict=True)):
            raise MisuseError("a round key is in the set")
        beside = {each for place in after for each in (place - 1, place) if 0 <= each < len(self)}
        places = sorted(beside)
        neighbours = tuple(Neighbour(place, self.leaves[place]) for place in places)
        return JointAbsence(neighbours, prove_leaves(self._tree.node, places, len(self)))

    def _placed(self, place: int) -> Placed:
        return Placed(self.leaves[place], place, self._tree.inclusion(place))


def verify_presence(head: SetHead, leaf: Leaf, presence: Presence) -> None:
    """Raise ServerError unless the proof shows `leaf` in the set of `head`."""
    if presence.at.leaf != leaf:
        raise ServerError("the proof is for another leaf", rule=Rule.LEAVES)
    _verify_place(head, presence.at)


def verify_absence(head: SetHead, round_key: bytes, absence: Absence) -> None:
    """Raise ServerError unless the proof shows that the set of `head` has no leaf of `round_key`."""
    for placed in absence.neighbours:
        _verify_place(head, placed)
    first, last = absence.neighbours[0], absence.neighbours[-1]
    between = len(absence.neighbours) == 2
    if between:
        encloses = first.place + 1 == last.place and first.leaf.round_key < round_key < last.leaf.round_key
    else:
        before = first.place == 0 and round_key < first.leaf.round_key
        after = last.place == head.size - 1 and last.leaf.round_key < round_key
        encloses = before or after
    if not encloses:
        raise ServerError("the neighbours shown do not enclose the round key", rule=Rule.LEAVES)


def verify_joint_absence(head: SetHead, round_keys: Sequence[bytes], absence: JointAbsence) -> None:
    """Raise ServerError unless the proof shows that the set of `head` has no leaf of any of the keys."""
    shown = {each.place: each.leaf for each in absence.neighbours}
    hashes = {place: leaf.hash for place, leaf in shown.items()}
    if root_from_leaves(hashes, head.size, absence.proof, Rule.LEAVES) != head.root:
        raise ServerError("the neighbours shown are not in the set: their proof fails", rule=Rule.LEAVES)
    places = [-1, *sorted(shown), head.size]
    keys = [shown[place].round_key for place in places[1:-1]]
    if any(a >= b for a, b in itertools.pairwise(keys)):
        raise ServerError("the neighbours shown are not sorted by round key", rule=Rule.LEAVES)
    for key in round_keys:
        after = bisect_left(keys, key)
        if key in keys[after : after + 1] or places[after] + 1 != places[after + 1]:
            raise ServerError("the neighbours shown do not enclose the round key", rule=Rule.LEAVES)


def _verify_place(head: SetHead, placed: Placed) -> None:
    verify_inclusion(placed.leaf.hash, placed.place, head.size, placed.proof, head.root, Rule.LEAVES)
