"""What coordinator and nodes say to each other in a round: four exchanges over one `ask` interface.

| exchange | to a node | back |
|---|---|---|
| volunteer | the round's files without committees: its phones offer themselves to the registry | nothing |
| contribute | the round's files | `NodeContributions`: who contributed, boxes, proofs, one sum, its seats |
| check | `NodeChecks`: requests for its decryptors, and whose dealings are disputed | `NodeCheckAnswers` |
| open | `NodeOpen`: the request to decryptors, and who is left out | `NodeOpenings` |

Every exchange may be repeated, and gives the same answer. No vector passes: a node tells one sum.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Protocol

from covey_privacy import wire
from covey_privacy.secagg.messages import CHECK_LIMIT, COLLECTED_LIMIT, Collected
from covey_privacy.secagg.terms import MOST_DECRYPTORS, MOST_MEMBERS

VOLUNTEER, CONTRIBUTE, CHECK, OPEN = "volunteer", "contribute", "check", "open"
EXCHANGES = (VOLUNTEER, CONTRIBUTE, CHECK, OPEN)

LIMIT = 2 * COLLECTED_LIMIT
"""Bytes of an exchange's body."""

Ask = Callable[[str, Mapping[int, bytes], str], dict[int, bytes]]
"""`ask(exchange, bodies, round_id)`: send each node its body; return who answered what."""

Nodes = Callable[[], list[int]]
"""The nodes that are connected now."""

Request = Annotated[bytes, wire.Size(1, CHECK_LIMIT)]
Answer = Annotated[bytes, wire.Size(1, 2**26)]


class Fleet(Protocol):
    """Devices behind one interface: what a node's configuration names (`covey_server.node`)."""

    def handle(self, exchange: str, body: bytes) -> bytes:
        """Answer an exchange. The same request again gives the same answer."""


@dataclass(frozen=True, slots=True)
class NodeContributions:
    """Back from `contribute`. `seats` are the numbers of the drawn decryptors that are behind the node."""

    collected: Collected
    seats: Annotated[tuple[wire.U32, ...], wire.Records(0, MOST_DECRYPTORS)]


@dataclass(frozen=True, slots=True)
class DrawnSeatRequest:
    """A request to one drawn decryptor, by its number."""

    seat: wire.U32
    request: Request


@dataclass(frozen=True, slots=True)
class Disputed:
    """A contribution behind the node whose dealing to a drawn decryptor is disputed."""

    round_key: wire.Bytes32
    seat: wire.U32


@dataclass(frozen=True, slots=True)
class NodeChecks:
    """To a node: check requests, dispute requests, and contributions whose `Dealt` is wanted."""

    round_id: wire.Name
    checks: Annotated[tuple[DrawnSeatRequest, ...], wire.Size(0, MOST_DECRYPTORS)] = ()
    disputes: Annotated[tuple[DrawnSeatRequest, ...], wire.Size(0, MOST_MEMBERS)] = ()
    dealt: Annotated[tuple[Disputed, ...], wire.Size(0, MOST_MEMBERS)] = ()


@dataclass(frozen=True, slots=True)
class NodeCheckAnswers:
    """Back from `check`: complaints and proofs of those who answered, and a `Dealt` for each one wanted."""

    complaints: Annotated[tuple[Answer, ...], wire.Size(0, MOST_DECRYPTORS)]
    proofs: Annotated[tuple[Answer, ...], wire.Size(0, MOST_MEMBERS)]
    dealt: Annotated[tuple[Answer, ...], wire.Size(0, MOST_MEMBERS)]


@dataclass(frozen=True, slots=True)
class NodeOpen:
    """To a node: the `OpenRequest` for its decryptors, and its contributions outside the final set."""

    round_id: wire.Name
    request: Request
    left_out: Annotated[tuple[wire.Bytes32, ...], wire.Records(0, MOST_MEMBERS)]


@dataclass(frozen=True, slots=True)
class NodeOpenings:
    """Back from `open`: the sums of shares; and the node's `PartialSum`, empty where nobody is left out."""

    openings: Annotated[tuple[Answer, ...], wire.Size(0, MOST_DECRYPTORS)]
    partial: Annotated[bytes, wire.Size(0, 2**28)]
