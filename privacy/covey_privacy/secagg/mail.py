"""The coordinator's mail room: parcels come in by sender and go out by recipient, unopened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from covey_privacy import wire
from covey_privacy.errors import PeerError
from covey_privacy.records import layout
from covey_privacy.rules import Rule
from covey_privacy.secagg.messages import MOST_NEIGHBOURS, Index, Parcel, Parcels

_SIZE = layout(Parcel).size
_RECORD = np.dtype([("peer", ">u4"), ("sealed", f"V{_SIZE - 4}")])


@dataclass(frozen=True, slots=True)
class Bundle:
    """`Parcels` whose records are not taken apart."""

    device: Index
    parcels: Annotated[bytes, wire.Size(0, _SIZE * MOST_NEIGHBOURS)]


def read(message: bytes) -> Bundle:
    """Return the bundle in `Parcels`. Raises PeerError when it is none."""
    bundle = wire.decode(Bundle, message)
    if len(bundle.parcels) % _SIZE:
        raise PeerError(
            f"{Parcels.__name__} of {len(bundle.parcels)} bytes arrived; each takes {_SIZE}",
            rule=Rule.MESSAGE_FORM,
        )
    return bundle


def check(bundle: Bundle, near: Mapping[int, tuple[int, ...]]) -> Bundle:
    """Return the bundle. Raises PeerError unless its device is in `near` and shares with just its neighbours.

    One that were left out would not mask with the sender, who masks with it: the sum would be noise.
    """
    if bundle.device not in near:
        raise PeerError(
            f"parcels came from device {bundle.device}; the roster has {len(near)}", rule=Rule.ROSTER_PLACE
        )
    recipients = np.frombuffer(bundle.parcels, _RECORD)["peer"]
    if not np.array_equal(recipients, near[bundle.device]):
        raise PeerError(f"device {bundle.device} did not share with just its neighbours", rule=Rule.PARCELS)
    return bundle


def sort(sent: Mapping[int, bytes]) -> dict[int, bytes]:
    """Return the inbox of each sender, by device: the parcels that the other senders have for it.

    `sent` holds each sender's parcels, end to end; inboxes are `Parcels`.
    """
    devices = sorted(sent)
    parcels = np.frombuffer(b"".join(sent[device] for device in devices), _RECORD).copy()
    recipients = parcels["peer"].astype(np.int64)
    parcels["peer"] = np.repeat(np.array(devices, np.int64), [len(sent[d]) // _SIZE for d in devices])
    order = np.argsort(recipients, kind="stable")
    parcels, recipients = parcels[order], recipients[order]
    starts, ends = (np.searchsorted(recipients, devices, side) for side in ("left", "right"))
    return {
        device: wire.encode(Bundle(device, parcels[start:end].tobytes()))
        for device, start, end in zip(devices, starts, ends, strict=True)
    }
