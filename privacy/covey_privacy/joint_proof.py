"""One proof for several leaves of a Merkle tree (RFC 9162, section 2.1): nodes that they share are sent once.

The proof holds the heads of the subtrees that contain none of the leaves, from left to right. Which subtrees
these are follows from the places of the leaves and the size of the tree.

    proof = prove_leaves(tree.node, [3, 4, 9], len(tree))
    root_from_leaves({3: a, 4: b, 9: c}, len(tree), proof) == tree.root()
"""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Annotated

from covey_privacy import wire
from covey_privacy.errors import MisuseError, ServerError
from covey_privacy.merkle import EMPTY, Node, head, node_hash, split
from covey_privacy.protocol_rules import Rule

JointProof = Annotated[tuple[wire.Bytes32, ...], wire.Records(0, 2**14)]
"""1,024 leaves of a tree of 2^16 need 6,144 hashes at most."""

_Visit = Callable[[int, int], bytes]


def prove_leaves(node: Node, places: Sequence[int], size: int) -> tuple[bytes, ...]:
    """Return the proof of the leaves at `places`, ascending, in the tree of the first `size` leaves."""
    if not _are_places(places, size):
        raise MisuseError(f"these are no distinct places, in ascending order, of a tree of {size} leaves")
    proof: list[bytes] = []

    def keep(start: int, end: int) -> bytes:
        proof.append(head(node, start, end))
        return proof[-1]

    if size:
        _fold(places, size, lambda _: EMPTY, keep)
    return tuple(proof)


def root_from_leaves(
    leaves: Mapping[int, bytes], size: int, proof: Sequence[bytes], rule: Rule = Rule.LOG_INCLUSION
) -> bytes:
    """Return the head of a tree of `size` leaves to which leaf hashes, by place, and their proof lead.

    Raises:
        ServerError: a place is out of the tree, or the proof has too few or too many hashes.
    """
    places = sorted(leaves)
    if not _are_places(places, size):
        raise ServerError(f"a tree of {size} leaves has no such places", rule=rule)
    expected = iter(proof)

    def take(start: int, end: int) -> bytes:
        for each in expected:
            return each
        raise ServerError(f"the proof says nothing of leaves {start} to {end}", rule=rule)

    root = _fold(places, size, leaves.__getitem__, take) if size else EMPTY
    if any(True for _ in expected):
        raise ServerError(
            "the proof has more hashes than the tree has subtrees without the leaves", rule=rule
        )
    return root


def head_of_subtrees(heads: Sequence[bytes]) -> bytes:
    """Return the head of the leaves that precede a run which reaches to the end of its tree.

    `heads` is the run's proof: the complete subtrees over these leaves, the largest first.
    """
    return reduce(lambda right, left: node_hash(left, right), reversed(heads)) if heads else EMPTY


def _fold(places: Sequence[int], size: int, leaf: Callable[[int], bytes], other: _Visit) -> bytes:
    """Return the head of a tree: `leaf` gives what stands at the places, `other` what has none of them."""

    def subtree(start: int, end: int, first: int, last: int) -> bytes:
        if first == last:
            return other(start, end)
        if end - start == 1:
            return leaf(start)
        middle = start + split(end - start)
        cut = bisect_left(places, middle, first, last)
        left = subtree(start, middle, first, cut)
        return node_hash(left, subtree(middle, end, cut, last))

    return subtree(0, size, 0, len(places))


def _are_places(places: Sequence[int], size: int) -> bool:
    ascending = all(a < b for a, b in itertools.pairwise(places))
    return ascending and (not places or (places[0] >= 0 and places[-1] < size))
