"""Releases: figures that a round gave, signed by the operator, the same download for everyone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from covey_privacy import wire
from covey_privacy.signatures import SigningKey, Verify, open_signed, sign, verify

CONTEXT = "release"


@dataclass(frozen=True, slots=True)
class Figure:
    """One released figure; None where it was suppressed."""

    name: wire.Name
    value: float | None


@dataclass(frozen=True, slots=True)
class Release:
    """What a query gave. Of two releases of one query the higher version counts; a phone never goes back."""

    query: wire.Name
    version: wire.U64
    round_id: wire.Name
    figures: Annotated[tuple[Figure, ...], wire.Size(0, 4096)]

    def __getitem__(self, name: str) -> float | None:
        return {figure.name: figure.value for figure in self.figures}[name]


def sign_release(release: Release, key: SigningKey) -> bytes:
    """Return the release signed by the operator."""
    return sign(CONTEXT, release, key)


def open_release(data: bytes, operator: bytes, verify: Verify = verify) -> Release:
    """Return the release in `data`. Raises PeerError unless the operator signed it."""
    return open_signed(Release, CONTEXT, data, operator, verify, "operator")
