"""The shares that survivors opened, sorted by whose secret they open."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from covey_privacy import wire
from covey_privacy.errors import PeerError
from covey_privacy.records import layout
from covey_privacy.secagg.messages import MOST_NEIGHBOURS, Index, Opening, Openings
from covey_privacy.secagg.shamir import SHARE_LENGTH

_SIZE = layout(Opening).size
_RECORD = np.dtype([("owner", ">u4"), ("share", f"V{SHARE_LENGTH}")])


@dataclass(frozen=True, slots=True)
class _Bundle:
    """`Openings` whose records are not taken apart."""

    device: Index
    openings: Annotated[bytes, wire.Size(0, _SIZE * MOST_NEIGHBOURS)]


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


def sort(messages: Iterable[bytes], near: Mapping[int, tuple[int, ...]], owners: Collection[int]) -> Opened:
    """Return the shares of `owners` in the `Openings`; number i is held by the i-th in `near[owner]`.

    Of two for one place the later counts; one that no neighbour of its owner sent counts for nothing. Raises
    PeerError for a message that is none.
    """
    holders, openings = _read(messages)
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


def _read(messages: Iterable[bytes]) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Return all openings and, for each, who sent it."""
    bundles = [_bundle(message) for message in messages]
    counts = [len(bundle.openings) // _SIZE for bundle in bundles]
    holders = np.repeat(np.array([bundle.device for bundle in bundles], np.int64), counts)
    return holders, np.frombuffer(b"".join(bundle.openings for bundle in bundles), _RECORD)


def _bundle(message: bytes) -> _Bundle:
    bundle = wire.decode(_Bundle, message)
    if len(bundle.openings) % _SIZE:
        raise PeerError(f"{Openings.__name__} of {len(bundle.openings)} bytes arrived; each takes {_SIZE}")
    return bundle
