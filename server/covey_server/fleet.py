"""Fleets: the devices behind a node, and what coordinator and fleet say to each other in each phase.

A fleet answers for its devices with bytes. It never sees a vector that is not masked.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

from covey_privacy import wire
from covey_privacy.signatures import DOCUMENT_LIMIT
from covey_server.errors import ConfigError

ADVERTISE, SHARE, MASK, AGREE, OPEN = "advertise", "share", "mask", "agree", "open"
PHASES = (ADVERTISE, SHARE, MASK, AGREE, OPEN)

MOST_DEVICES = 1_000_000
Message = Annotated[bytes, wire.Size(1, 2**26)]


Ask = Callable[[str, Mapping[int, bytes] | bytes, str], dict[int, bytes]]
"""`ask(phase, bodies, round_id)`: send each node its body, or all the same one; return who answered what."""


class Fleet(Protocol):
    """Devices behind one interface.

    A node's configuration names what opens one: a function of Flower's context that gives a context manager.
    """

    def handle(self, phase: str, body: bytes) -> bytes:
        """Answer a phase: an encoded request in, an encoded `Replies` (or, for MASK, `PartialSum`) out.

        The same request again gives the same answer.
        """


@dataclass(frozen=True, slots=True)
class Invitation:
    """ADVERTISE: the signed manifest, and the signed public documents that its query builds on."""

    manifest: Message
    documents: Annotated[tuple[Annotated[bytes, wire.Size(1, DOCUMENT_LIMIT)], ...], wire.Size(0, 8)]


@dataclass(frozen=True, slots=True)
class Admission:
    """SHARE: the roster, the registry's signature and the graph's degree."""

    round_id: wire.Name
    roster: Message
    countersignature: wire.Signature
    degree: wire.U32


@dataclass(frozen=True, slots=True)
class Letter:
    """A message to one device, by its index in the roster."""

    device: wire.U32
    body: Message


@dataclass(frozen=True, slots=True)
class Collection:
    """MASK: the inbox of each device behind the node, and the shape of the sum that is wanted."""

    round_id: wire.Name
    size: wire.U32
    length: wire.U32
    bits: wire.U32
    letters: Annotated[tuple[Letter, ...], wire.Size(0, MOST_DEVICES)]


@dataclass(frozen=True, slots=True)
class Letters:
    """OPEN: a message to each device behind the node."""

    round_id: wire.Name
    letters: Annotated[tuple[Letter, ...], wire.Size(0, MOST_DEVICES)]


@dataclass(frozen=True, slots=True)
class Broadcast:
    """AGREE: the same message to every device."""

    round_id: wire.Name
    body: Message


@dataclass(frozen=True, slots=True)
class Replies:
    """What devices answered; those that refused are not in it."""

    messages: Annotated[tuple[Message, ...], wire.Size(0, MOST_DEVICES)]


def load(name: str) -> Any:
    """Return the object that "package.module:attribute" names. Raises ConfigError when there is none."""
    module, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"{name!r} cannot be loaded as module:name ({error})") from None
