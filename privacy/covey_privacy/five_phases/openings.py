"""The shares that survivors opened, sorted by whose secret they open."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from covey_privacy import wire
from covey_privacy.errors import PeerError
from covey_privacy.five_phases.messages import MOST_NEIGHBOURS, Index, Opening
from covey_privacy.five_phases.shamir import SHARE_LENGTH
from covey_privacy.records import layout
from covey_privacy.rules import Rule

_SIZE = layout(Opening).size
_RECORD = np.dtype([("owner", ">u4"), ("share", f"V{SHARE_LENGTH}")])


@dataclass(frozen=True, slots=True)
class Bundle:
    """`Openings` whose records are not taken apart."""

    device: Index
    openings: Annotated[bytes, wire.Size(0, _SIZE * MOST_NEIGHBOURS, step=_SIZE)]


@dataclass(frozen=True, slots=True)
class Opened:
    """What came of the shares of `owners`: a row for each owner, a column for each number, the first being 1.

    `came`, bool [owners, degree], says which did; `shares`, 64 bytes each, [owners, degree], are they.
    """

    owners: tuple[int, ...]
    came: NDArray[np.bool_]
    shares: NDArray[Any]

    def of(self, row: int) -> dict[int, bytes]:
        """Return what came of one owner's shares, by their numbers."""
        return {int(at) + 1: self.shares[row, at].tobytes() for at in np.flatnonzero(self.came[row])}


def check(bundle: Bundle, delivered: list[int]) -> Bundle:
    """Return the bundle. Raises PeerError unless it opens the shares of just these owners, in their order."""
    if np.frombuffer(bundle.openings, _RECORD)["owner"].tolist() != delivered:
        raise PeerError(
            f"device {bundle.device} opens other shares than those delivered to it", rule=Rule.OPENINGS
        )
    return bundle


def sort(bundles: Iterable[Bundle], near: Mapping[int, tuple[int, ...]], owners: Collection[int]) -> Opened:
    """Return the shares of `owners`; number i is held by the i-th in `near[owner]`.

    Of two for one place the later counts; one that no neighbour of its owner sent counts for nothing.
    """
    holders, openings = _laid_out(bundles)
    rows = tuple(sorted(owners))
    edges = np.array([_edges(owner, near[owner]) for owner in rows])
    sent = _edges(openings["owner"], holders)
    places = np.searchsorted(edges.ravel(), sent)
    known = edges.ravel().take(places, mode="clip") == sent
    came, shares = np.zeros(edges.size, bool), np.zeros(edges.size, f"V{SHARE_LENGTH}")
    came[places[known]] = True
    shares[places[known]] = openings["share"][known]
    return Opened(rows, came.reshape(edges.shape), shares.reshape(edges.shape))


def _edges(owners: Any, holders: Any) -> NDArray[np.int64]:
    """Return one number for each pair of devices; they are in the order of owners, then holders."""
    pairs: NDArray[np.int64] = np.left_shift(owners, 32, dtype=np.int64) | np.asarray(holders, np.int64)
    return pairs


def _laid_out(bundles: Iterable[Bundle]) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Return all openings and, for each, who sent it."""
    each = list(bundles)
    counts = [len(bundle.openings) // _SIZE for bundle in each]
    holders = np.repeat(np.array([bundle.device for bundle in each], np.int64), counts)
    return holders, np.frombuffer(b"".join(bundle.openings for bundle in each), _RECORD)
