"""Limits on HTTP connections that uvicorn does not have: their number, and unfinished requests.

- A header has at most `HEADER_BYTES` and comes within `HEADER_SECONDS`; its body comes within `BODY_SECONDS`.
- All addresses together and each alone have a number of connections at most. Where a new one exceeds it,
  the oldest that has no whole request is closed in its place, so that half-open requests keep nobody out.
- A client that does not read its answer is disconnected after `BODY_SECONDS`.

`limited(limits)` returns the protocol class that `uvicorn.run(http=...)` takes.
"""

from __future__ import annotations

import asyncio
import resource
from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum, auto
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

HEADER_BYTES = 16 * 1024
HEADER_SECONDS = 10.0
BODY_SECONDS = 60.0

DISCARDED_BYTES = 256 * 1024
"""Bytes of a body that are read and dropped after the answer; with more to come the connection is closed."""

SPARE_FILES = 128
"""Files that a process needs beside its connections: the database's, the log's, connections of its own."""

TRIES = 256
"""Connections that are looked at to find one to close: a bound on the work for a new one."""

SWEEP_SECONDS = 1.0


class Phase(Enum):
    """What a connection waits for."""

    HEADER = auto()
    BODY = auto()
    ANSWER = auto()
    NEXT = auto()


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """The most connections in all and from each address; those from `proxies` count only in all.

    `proxies` are addresses or networks as uvicorn's `forwarded_allow_ips` names them, "*" for every one.
    """

    total: int
    each: int
    proxies: tuple[str, ...] = ()

    def exempts(self, address: str) -> bool:
        """Say whether the connections from an address are a proxy's, for many clients."""
        if not self.proxies or "*" in self.proxies:
            return bool(self.proxies)
        try:
            parsed = ip_address(address)
            return any(parsed in ip_network(proxy, strict=False) for proxy in self.proxies)
        except ValueError:
            return address in self.proxies


class Connections:
    """The open connections of one server, oldest first; `now` is the loop's time, to a second."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self.now = 0.0
        self._limits = limits
        self._all: OrderedDict[LimitedProtocol, str] = OrderedDict()
        self._by_client: dict[str, OrderedDict[LimitedProtocol, None]] = {}
        self._sweeping: asyncio.TimerHandle | None = None

    def admit(self, connection: LimitedProtocol, loop: asyncio.AbstractEventLoop) -> bool:
        """Add a connection; return False where it is one too many and none can be closed for it."""
        if self._sweeping is None:
            self._start(loop)
        address = connection.client[0] if connection.client else ""
        client = client_of(address)
        theirs = self._by_client.get(client, OrderedDict())
        full = len(theirs) >= self._limits.each and not self._limits.exempts(address)
        if full and not self._close_one(theirs):
            return False
        if len(self._all) >= self._limits.total and not self._close_one(self._all):
            return False
        self._all[connection] = client
        self._by_client.setdefault(client, theirs)[connection] = None
        return True

    def release(self, connection: LimitedProtocol) -> None:
        """Forget a connection. Idempotent."""
        client = self._all.pop(connection, None)
        if client is not None:
            theirs = self._by_client[client]
            del theirs[connection]
            if not theirs:
                del self._by_client[client]

    def _close_one(self, group: OrderedDict[LimitedProtocol, Any]) -> bool:
        """Close a connection without a whole request, if possible one that never had one."""
        chosen = None
        for _ in range(min(len(group), TRIES)):
            candidate = next(iter(group))
            group.move_to_end(candidate)
            if candidate.phase is not Phase.ANSWER:
                chosen = chosen or candidate
                if not candidate.served:
                    chosen = candidate
                    break
        if chosen is None:
            return False
        self.release(chosen)
        chosen.transport.abort()
        return True

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        self.now = loop.time()
        self._sweeping = loop.call_later(SWEEP_SECONDS, self._sweep, loop)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        self._sweeping = None
        if self._all:
            self._start(loop)
        for connection in list(self._all):
            connection.expire(self.now)


class LimitedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 protocol within limits; `limited` gives each server a subclass of its own."""

    open_connections: ClassVar[Connections]

    phase = Phase.HEADER
    served = False
    """Whether a whole request has come."""
    _since = 0.0
    _blocked: float | None = None
    """Since when the client has not read what was written."""
    _unparsed = 0
    """Bytes since the last part of a request that was whole: what the parser may have to keep."""
    _discarded = 0
    _refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Count the connection, or close it where it is one too many."""
        super().connection_made(transport)
        if self.open_connections.admit(self, self.loop):
            self._since = self.open_connections.now
        else:
            self._refused = True
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self.open_connections.release(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came, unless the header is longer than is taken."""
        if self._refused:
            return
        self._unparsed += len(data)
        super().data_received(data)
        if self._unparsed > HEADER_BYTES:
            self._refuse(431, f"the header is longer than the {HEADER_BYTES} bytes that are taken")

    def on_message_begin(self) -> None:
        """Start the header's clock."""
        super().on_message_begin()
        self.phase, self._since = Phase.HEADER, self.open_connections.now

    def on_headers_complete(self) -> None:
        """Hand the request to the application."""
        if self._refused:
            return
        if self._unparsed > HEADER_BYTES and self._header_bytes() > HEADER_BYTES:
            self._refuse(431, f"the header is longer than the {HEADER_BYTES} bytes that are taken")
            return
        self.phase, self._since, self._unparsed = Phase.BODY, self.open_connections.now, 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body until the application reads it."""
        self._unparsed = 0
        if self._refused:
            return
        if self.cycle.response_complete:
            self._discarded += len(body)
            if self._discarded > DISCARDED_BYTES:
                self._refuse()
            return
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Stop the request's clock."""
        self._unparsed = self._discarded = 0
        if self._refused:
            return
        self.served = True
        answered = self.cycle is None or self.cycle.response_complete
        self.phase = Phase.NEXT if answered else Phase.ANSWER
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        if self.phase is Phase.ANSWER:
            self.phase = Phase.NEXT
        super().on_response_complete()

    def pause_writing(self) -> None:
        """Start the clock of a client that does not read."""
        self._blocked = self.open_connections.now
        super().pause_writing()

    def resume_writing(self) -> None:
        """Stop the clock of a client that does not read."""
        self._blocked = None
        super().resume_writing()

    def expire(self, now: float) -> None:
        """Close the connection where its client has taken longer than it may; `now` in the loop's time."""
        if self._refused or (self._blocked is not None and now - self._blocked > BODY_SECONDS):
            self.transport.abort()
        elif self.phase is Phase.HEADER and now - self._since > HEADER_SECONDS:
            self._refuse(408, f"the header did not come within {HEADER_SECONDS:g} s")
        elif self.phase is Phase.BODY and now - self._since > BODY_SECONDS:
            self._refuse(408, f"the body did not come within {BODY_SECONDS:g} s")

    def _header_bytes(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _refuse(self, status: int | None = None, detail: str = "") -> None:
        """Answer, where no other answer has begun, and close."""
        self._refused = True
        answering = self.cycle is not None and self.cycle.response_started != self.cycle.response_complete
        if status is not None and not answering and not self.transport.is_closing():
            body = b'{"type":"about:blank","title":"%s","status":%d,"detail":"%s"}' % (
                STATUS_LINE[status].split(b" ", 2)[2].strip(), status, detail.encode(),
            )  # fmt: skip
            head = (
                b"content-type: application/problem+json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
            )
            self.transport.write(STATUS_LINE[status] + head % len(body) + body)
        self.transport.close()


def limited(limits: ConnectionLimits) -> type[LimitedProtocol]:
    """Return the protocol class for one server's connections."""

    class Limited(LimitedProtocol):
        open_connections = Connections(limits)

    return Limited


def client_of(address: str) -> str:
    """Return the client that an address counts for: of IPv6 the /64, which belongs to one subscriber."""
    if ":" not in address:
        return address
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return f"{IPv6Address(int(parsed) >> 64 << 64)}/64"


def affordable(wanted: int) -> int:
    """Raise the process's limit on open files where that is needed; return how many connections it allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + SPARE_FILES
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return wanted
    allowed = needed if hard == resource.RLIM_INFINITY else min(hard, needed)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, allowed), hard))
    return max(1, max(soft, allowed) - SPARE_FILES)
