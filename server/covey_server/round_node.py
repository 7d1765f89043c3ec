"""A node's part in rounds: it keeps its phones' messages on its disk and tells the coordinator one sum.

What it answered is kept with the round, so that an exchange that is repeated, after a crash perhaps, gives
the same answer. A round's messages are deleted once its sum was told.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from covey_privacy import wire
from covey_privacy.errors import PeerError
from covey_privacy.manifest import open_manifest
from covey_privacy.round_files import RoundFiles
from covey_privacy.secagg.collector import Collector
from covey_privacy.secagg.keys import verify
from covey_privacy.signatures import Verify, digest_of
from covey_server.errors import NodesError
from covey_server.exchanges import (
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
from covey_server.message_store import MessageStore


class Devices(Protocol):
    """The phones behind a node. A phone that refuses says nothing."""

    def volunteer(self, files: RoundFiles) -> None:
        """Let the phones offer themselves to the registry as decryptors."""

    def contribute(self, files: RoundFiles) -> Iterable[tuple[object, bytes]]:
        """Yield phones with their messages."""

    def acknowledge(self, phone: object, round_id: str) -> None:
        """Tell a phone that its message is on the node's disk."""

    def seats(self, files: RoundFiles) -> Mapping[int, object]:
        """Return the phones that the draw named, by number."""

    def check(self, phone: object, round_id: str, request: bytes) -> bytes | None:
        """Return a decryptor's complaints."""

    def dispute(self, phone: object, round_id: str, request: bytes) -> bytes | None:
        """Return a decryptor's proof that a dealer is at fault."""

    def open(self, phone: object, round_id: str, request: bytes) -> bytes | None:
        """Return a decryptor's sum of shares."""


@dataclass(frozen=True, slots=True)
class Pinned:
    """Whose signatures a node believes: the operator's on manifests, the registry's on draws."""

    operator: bytes
    registry: bytes


class RoundNode:
    """The rounds of one node, in a folder of its own.

    Args:
        folder: where messages and answers are kept.
    """

    def __init__(self, folder: Path, devices: Devices, pinned: Pinned, *, verify: Verify = verify) -> None:
        self._folder, self._devices, self._pinned, self._verify = folder, devices, pinned, verify
        self._collectors: dict[str, Collector] = {}

    def handle(self, exchange: str, body: bytes) -> bytes:
        """Answer an exchange. Raises NodesError for one that there is not, or a round that is not here."""
        if exchange == VOLUNTEER:
            self._devices.volunteer(wire.decode(RoundFiles, body, LIMIT))
            return b""
        if exchange == CONTRIBUTE:
            return self._contribute(wire.decode(RoundFiles, body, LIMIT))
        if exchange == CHECK:
            return self._check(wire.decode(NodeChecks, body, LIMIT))
        if exchange == OPEN:
            return self._open(wire.decode(NodeOpen, body, LIMIT))
        raise NodesError(f"there is no exchange {exchange!r}")

    def _contribute(self, files: RoundFiles) -> bytes:
        round_id = open_manifest(files.manifest, self._pinned.operator, self._verify).round_id
        folder = self._of(round_id)
        folder.mkdir(parents=True, exist_ok=True)
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
        kept = self._of(round_id) / "partial"
        if not kept.exists():
            collector = self._collector(round_id)
            collector.collected()
            _write(kept, wire.encode(asked) + collector.sum_without(asked.left_out))
        told = kept.read_bytes()
        if not told.startswith(wire.encode(asked)):
            raise NodesError(f"the sum of round {round_id!r} was told over another set")
        seats = self._devices.seats(files)
        openings = [self._devices.open(phone, round_id, asked.request) for phone in seats.values()]
        self._messages(round_id).delete()
        self._collectors.pop(round_id, None)
        partial = told[len(wire.encode(asked)) :]
        return wire.encode(NodeOpenings(tuple(filter(None, openings)), partial))

    def _collector(self, round_id: str) -> Collector:
        """Return a round's collector, made anew of the kept messages where this process has none."""
        if round_id not in self._collectors:
            files = self._files(round_id)
            manifest = open_manifest(files.manifest, self._pinned.operator, self._verify)
            info = manifest.info(digest_of(files.manifest), self._pinned.registry, files.issuer_keys)
            self._collectors[round_id] = Collector(
                info, files.committee, self._messages(round_id), verify=self._verify
            )
        return self._collectors[round_id]

    def _files(self, round_id: str) -> RoundFiles:
        path = self._of(round_id) / "files"
        if not path.exists():
            raise NodesError(f"round {round_id!r} is not here; it was not collected by this node")
        return wire.decode(RoundFiles, path.read_bytes(), LIMIT)

    def _messages(self, round_id: str) -> MessageStore:
        return MessageStore(self._of(round_id) / "messages.db")

    def _of(self, round_id: str) -> Path:
        # A round id is an outsider's text: its bytes in hex name the folder.
        return self._folder / round_id.encode().hex()


def _write(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole, or not at all."""
    draft = path.with_name(path.name + ".new")
    with draft.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
