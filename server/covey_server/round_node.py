"""A node's part in rounds: it keeps its phones' messages on its disk and tells the coordinator their sum.

What it answered is kept with the round, so that an exchange that is repeated, after a crash perhaps, gives
the same answer. One exchange of a round is answered at a time, whichever process of the node is asked, for
Flower may start one for each message. A round's messages are deleted once it is opened; those of a round that
ended otherwise, or while this node was away, when a later round begins.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Generic, Protocol, TypeVar

from covey_privacy import wire
from covey_privacy.errors import PeerError
from covey_privacy.manifest import open_manifest
from covey_privacy.round_files import RoundFiles
from covey_privacy.secagg.collector import Collector
from covey_privacy.secagg.keys import verify
from covey_privacy.signatures import Verify, digest_of
from covey_server.errors import NodesError
from covey_server.message_store import MessageStore
from covey_server.node_messages import (
    CHECK,
    CONTRIBUTE,
    LIMIT,
    OPEN,
    VOLUNTEER,
    NodeCheckAnswers,
    NodeChecks,
    NodeContributions,
    NodeOpen,
    NodeOpenings,
)

Phone = TypeVar("Phone")

LATE_SECONDS = 3600
"""How long after a round's last window its messages are kept at most, once another round begins."""


class Devices(Protocol[Phone]):
    """The phones behind a node. A phone that refuses says nothing."""

    def volunteer(self, files: RoundFiles) -> None:
        """Let the phones offer themselves to the registry as decryptors."""

    def contribute(self, files: RoundFiles) -> Iterable[tuple[Phone, bytes]]:
        """Yield phones with their messages."""

    def acknowledge(self, phone: Phone, round_id: str) -> None:
        """Tell a phone that its message is on the node's disk."""

    def seats(self, files: RoundFiles) -> Mapping[int, Phone]:
        """Return the phones that the draw named, by number."""

    def check(self, phone: Phone, round_id: str, request: bytes) -> bytes | None:
        """Return a decryptor's complaints."""

    def dispute(self, phone: Phone, round_id: str, request: bytes) -> bytes | None:
        """Return a decryptor's proof that a dealer is at fault."""

    def open(self, phone: Phone, round_id: str, request: bytes) -> bytes | None:
        """Return a decryptor's sum of shares."""


@dataclass(frozen=True, slots=True)
class Pinned:
    """Whose signatures a node believes: the operator's on manifests, the registry's on draws."""

    operator: bytes
    registry: bytes


class RoundNode(Generic[Phone]):
    """The rounds of one node, in a folder of its own.

    Args:
        folder: where messages and answers are kept.
        durable: whether messages are on the disk before they are acknowledged.
        clock: the time in POSIX seconds.
    """

    def __init__(
        self,
        folder: Path,
        devices: Devices[Phone],
        pinned: Pinned,
        *,
        verify: Verify = verify,
        durable: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._folder, self._devices, self._pinned, self._verify = folder, devices, pinned, verify
        self._durable, self._clock = durable, clock
        self._collectors: dict[str, Collector] = {}

    def handle(self, exchange: str, body: bytes) -> bytes:
        """Answer an exchange. Raises NodesError for one that there is not, or a round that is not here."""
        if exchange == VOLUNTEER:
            self._devices.volunteer(wire.decode(RoundFiles, body, LIMIT))
            return b""
        if exchange == CONTRIBUTE:
            files = wire.decode(RoundFiles, body, LIMIT)
            round_id = open_manifest(files.manifest, self._pinned.operator, self._verify).round_id
            self._delete_late_messages(round_id)
            self._folder_of(round_id).mkdir(parents=True, exist_ok=True)
            with self._alone(round_id):
                return self._contribute(round_id, files)
        if exchange == CHECK:
            checks = wire.decode(NodeChecks, body, LIMIT)
            with self._alone(checks.round_id):
                return self._check(checks)
        if exchange == OPEN:
            asked = wire.decode(NodeOpen, body, LIMIT)
            with self._alone(asked.round_id):
                return self._open(asked)
        raise NodesError(f"there is no exchange {exchange!r}")

    @contextmanager
    def _alone(self, round_id: str) -> Iterator[None]:
        """Hold the round's folder: no other thread or process of the node answers for it meanwhile."""
        folder = self._folder_of(round_id)
        if not folder.exists():
            raise _unknown(round_id)
        with (folder / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _contribute(self, round_id: str, files: RoundFiles) -> bytes:
        folder = self._folder_of(round_id)
        kept = folder / "files"
        if kept.exists() and kept.read_bytes() != wire.encode(files):
            raise NodesError(f"round {round_id!r} has other files here; it is played once")
        _write(kept, wire.encode(files))
        collector = self._collector(round_id)
        if not (folder / "closed").exists():
            for phone, message in self._devices.contribute(files):
                try:
                    collector.add(message)
                except PeerError:
                    continue  # What a phone sends against the rules is left out; the round goes on.
                self._devices.acknowledge(phone, round_id)
            _write(folder / "closed", b"")
        seats = tuple(sorted(self._devices.seats(files)))
        return wire.encode(NodeContributions(collector.collected(), seats))

    def _check(self, asked: NodeChecks) -> bytes:
        files, round_id = self._files(asked.round_id), asked.round_id
        seats, devices = self._devices.seats(files), self._devices
        complaints = [
            devices.check(seats[e.seat], round_id, e.request) for e in asked.checks if e.seat in seats
        ]
        proofs = [
            devices.dispute(seats[e.seat], round_id, e.request) for e in asked.disputes if e.seat in seats
        ]
        dealt = (
            [self._collector(round_id).dealt(each.round_key, each.seat) for each in asked.dealt]
            if asked.dealt
            else []
        )
        return wire.encode(
            NodeCheckAnswers(tuple(filter(None, complaints)), tuple(filter(None, proofs)), tuple(dealt))
        )

    def _open(self, asked: NodeOpen) -> bytes:
        files, round_id = self._files(asked.round_id), asked.round_id
        kept = self._folder_of(round_id) / "opened"
        if not kept.exists():
            partial = b""
            if asked.left_out:
                collector = self._collector(round_id)
                collector.collected()
                partial = collector.sum_without(asked.left_out)
            _write(kept, wire.encode(_OpenedAnswer(_digest(asked), partial)))
        opened = wire.decode(_OpenedAnswer, kept.read_bytes(), LIMIT)
        if opened.asked != _digest(asked):
            raise NodesError(f"round {round_id!r} was opened over another set")
        seats = self._devices.seats(files)
        openings = [self._devices.open(phone, round_id, asked.request) for phone in seats.values()]
        self._messages(round_id).delete()
        self._collectors.pop(round_id, None)
        return wire.encode(NodeOpenings(tuple(filter(None, openings)), opened.partial))

    def _delete_late_messages(self, current: str) -> None:
        """Delete the messages of rounds that are over: nobody opens their sums any more."""
        for path in self._folder.glob("*/messages.db"):
            round_id = bytes.fromhex(path.parent.name).decode()
            if round_id == current:
                continue
            manifest = open_manifest(self._files(round_id).manifest, self._pinned.operator, self._verify)
            if manifest.windows is None or manifest.windows.open + LATE_SECONDS < self._clock():
                with self._alone(round_id):
                    self._messages(round_id).delete()
                    self._collectors.pop(round_id, None)

    def _collector(self, round_id: str) -> Collector:
        """Return a round's collector, made anew of the kept messages where this process has none of them."""
        known = self._collectors.get(round_id)
        if known is None or len(known.state.entries) != len(self._messages(round_id)):
            files = self._files(round_id)
            manifest = open_manifest(files.manifest, self._pinned.operator, self._verify)
            info = manifest.info(digest_of(files.manifest), self._pinned.registry, files.issuer_keys)
            self._collectors[round_id] = Collector(
                info, files.committee, self._messages(round_id), verify=self._verify
            )
        return self._collectors[round_id]

    def _files(self, round_id: str) -> RoundFiles:
        path = self._folder_of(round_id) / "files"
        if not path.exists():
            raise _unknown(round_id)
        return wire.decode(RoundFiles, path.read_bytes(), LIMIT)

    def _messages(self, round_id: str) -> MessageStore:
        return MessageStore(self._folder_of(round_id) / "messages.db", durable=self._durable)

    def _folder_of(self, round_id: str) -> Path:
        # A round id is an outsider's text: its bytes in hex name the folder.
        return self._folder / round_id.encode().hex()


@dataclass(frozen=True, slots=True)
class _OpenedAnswer:
    """The node's sum at `open`, and the request that it answered (SHA-256)."""

    asked: wire.Bytes32
    partial: Annotated[bytes, wire.Size(0, 2**28)]


def _digest(asked: NodeOpen) -> bytes:
    return hashlib.sha256(wire.encode(asked)).digest()


def _unknown(round_id: str) -> NodesError:
    return NodesError(f"round {round_id!r} is not here; it was not collected by this node")


def _write(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole, or not at all."""
    draft = path.with_name(path.name + ".new")
    with draft.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
