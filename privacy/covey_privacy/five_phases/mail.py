"""The coordinator's mail room: parcels come in by sender and go out by recipient, unopened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from covey_privacy import wire
from covey_privacy.errors import PeerError
from covey_privacy.five_phases.messages import MOST_NEIGHBOURS, Agreement, Index, Parcel
from covey_privacy.records import layout
from covey_privacy.rules import Rule

_SIZE = layout(Parcel).size
_RECORD = np.dtype([("peer", ">u4"), ("sealed", f"V{_SIZE - 4}")])


@dataclass(frozen=True, slots=True)
class Bundle:
    """`Parcels` whose records are not taken apart."""

    device: Index
    parcels: Annotated[bytes, wire.Size(0, _SIZE * MOST_NEIGHBOURS, step=_SIZE)]


@dataclass(frozen=True, slots=True)
class _Signed:
    """`Agreements` whose records lie end to end already: neighbours are shown most of the same."""

    agreements: bytes


def check(bundle: Bundle, near: Mapping[int, tuple[int, ...]]) -> Bundle:
    """Return the bundle. Raises PeerError unless its device is in `near` and shares with just its neighbours.

    One that were left out would not mask with the sender, who masks with it: the sum would be noise.
    """
    if bundle.device not in near:
        raise PeerError(
            f"parcels came from device {bundle.device}; the roster has {len(near)}", rule=Rule.ROSTER_PLACE
        )
    recipients = np.frombuffer(bundle.parcels, _RECORD)["peer"]
    if tuple(recipients.tolist()) != near[bundle.device]:
        raise PeerError(f"device {bundle.device} did not share with just its neighbours", rule=Rule.PARCELS)
    return bundle


def sort(sent: Mapping[int, bytes]) -> dict[int, bytes]:
    """Return the inbox of each sender, by device: the parcels that the other senders have for it.

    `sent` holds each sender's parcels, end to end; inboxes are `Parcels`.
    """
    devices, senders, parcels = _laid_out(sent)
    recipients = parcels["peer"].astype(np.int64)
    order = np.argsort(recipients, kind="stable")
    starts, ends = (np.searchsorted(recipients, devices, side, sorter=order) for side in ("left", "right"))

    def inbox(device: int, places: NDArray[np.intp]) -> bytes:
        """Return the parcels in these places, each under its sender's name."""
        taken = parcels[places]
        taken["peer"] = senders[places]
        return wire.encode(Bundle(device, taken.tobytes()))

    return {
        device: inbox(device, order[start:end])
        for device, start, end in zip(devices, starts, ends, strict=True)
    }


def agreements(signed: Mapping[int, Agreement], near: Mapping[int, tuple[int, ...]]) -> dict[int, bytes]:
    """Return the `Agreements` of each device in `near`: what those neighbours signed that did sign."""
    packed = {device: layout(Agreement).pack_one(agreement) for device, agreement in signed.items()}
    return {
        device: wire.encode(_Signed(b"".join(map(packed.__getitem__, filter(packed.__contains__, peers)))))
        for device, peers in near.items()
    }


def _laid_out(sent: Mapping[int, bytes]) -> tuple[list[int], NDArray[Any], NDArray[Any]]:
    """Return who sent parcels, ascending; and the sender of each parcel, and the parcels, in that order."""
    devices = sorted(sent)
    senders = np.repeat(np.array(devices, ">u4"), [len(sent[device]) // _SIZE for device in devices])
    return devices, senders, np.frombuffer(b"".join(sent[device] for device in devices), _RECORD)
