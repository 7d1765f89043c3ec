"""Releases: what a round gave, signed by the operator, the same download for everyone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from covey_privacy import wire
from covey_privacy.catalogue_document import MOST_ITEMS, Label
from covey_privacy.errors import MisuseError, PeerError
from covey_privacy.protocol_rules import Rule
from covey_privacy.signatures import DOCUMENT_LIMIT, SigningKey, Verify, open_signed, sign_checked, verify

CONTEXT = "release"


@dataclass(frozen=True, slots=True)
class Figure:
    """One released figure; None where it was suppressed."""

    name: wire.Name
    value: float | None


@dataclass(frozen=True, slots=True)
class Array:
    """Released numbers in rows: `data` holds them as 32-bit little-endian floats, the last axis fastest."""

    name: wire.Name
    shape: Annotated[tuple[wire.U32, ...], wire.Size(1, 4)]
    data: Annotated[bytes, wire.Size(0, DOCUMENT_LIMIT)]

    @classmethod
    def from_numpy(cls, name: str, values: ArrayLike) -> Array:
        """Return the array of these values, rounded to 32 bits. Raises MisuseError unless all are finite."""
        rounded = np.asarray(values, dtype="<f4")
        if not np.isfinite(rounded).all():
            raise MisuseError(f"{name} holds a number that is not finite; it is not released")
        return cls(name, rounded.shape, rounded.tobytes())

    @property
    def values(self) -> NDArray[np.float64]:
        """The numbers, float64 [shape]. Raises PeerError where they do not fit it, or are not finite."""
        if len(self.data) != 4 * math.prod(self.shape):
            raise PeerError(
                f"array {self.name!r} has {len(self.data)} bytes for the shape {self.shape}",
                rule=Rule.DOCUMENT_CONTENT,
            )
        values = np.frombuffer(self.data, "<f4").reshape(self.shape).astype(np.float64)
        if not np.isfinite(values).all():
            raise PeerError(
                f"array {self.name!r} holds a number that is not finite", rule=Rule.DOCUMENT_CONTENT
            )
        return values


_T = TypeVar("_T", Figure, Array)


@dataclass(frozen=True, slots=True)
class Release:
    """What a query or a training gave: figures by name, and arrays.

    Of two releases of one query the higher version counts; a phone never goes back. `rests_on` holds the
    SHA-256 of each signed document that the arrays were made from. `items` names the rows of the arrays where
    they are one for each item, so that they can be read beside a newer listing.
    """

    query: wire.Name
    version: wire.U64
    round_id: wire.Name
    figures: Annotated[tuple[Figure, ...], wire.Size(0, 4096)]
    arrays: Annotated[tuple[Array, ...], wire.Size(0, 16)] = ()
    rests_on: Annotated[tuple[wire.Bytes32, ...], wire.Size(0, 16)] = ()
    items: Annotated[tuple[Label, ...], wire.Size(0, MOST_ITEMS)] = ()

    def __getitem__(self, name: str) -> float | None:
        return _named(name, self.figures, f"release {self.version} of {self.query} has no figure").value

    def array(self, name: str) -> NDArray[np.float64]:
        """Return the numbers of the array called `name`. Raises PeerError where there is none."""
        return _named(name, self.arrays, f"release {self.version} of {self.query} has no array").values


def _named(name: str, some: Sequence[_T], otherwise: str) -> _T:
    found = next((one for one in some if one.name == name), None)
    if found is None:
        raise PeerError(f"{otherwise} {name!r}", rule=Rule.DOCUMENT_CONTENT)
    return found


def sign_release(release: Release, key: SigningKey) -> bytes:
    """Return the release signed by the operator. Raises MisuseError where readers would refuse it."""
    return sign_checked(CONTEXT, release, key)


def open_release(data: bytes, operator: bytes, verify: Verify = verify) -> Release:
    """Return the release in `data`. Raises PeerError unless the operator signed it."""
    return open_signed(Release, CONTEXT, data, operator, verify, "operator")
