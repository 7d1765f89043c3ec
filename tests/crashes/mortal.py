"""Processes that die, as by kill -9, before or after any write to their stores; and what left them before.

All that a process said stands in a journal that it appends to as the last thing before it says it.
"""

from __future__ import annotations

import mmap
import os
import signal
import sqlite3
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import cbor2

WRITES = ("BEGIN", "COMMIT", "CREATE", "DELETE", "INSERT", "UPDATE")


class Fuse:
    """Kills the process that makes the n-th write, before it or after it; with 0 it never does.

    Forked processes count together. `burnt` tells every point at which they could have died.
    """

    def __init__(self, path: Path, at: int = 0) -> None:
        self._path, self._at = path, at
        self._count = mmap.mmap(-1, 8)

    def burn(self, point: str) -> None:
        count = int.from_bytes(self._count[:]) + 1
        self._count[:] = count.to_bytes(8)
        _append(self._path, f"{' '.join(point.split())}\n".encode())
        if count == self._at:
            os.kill(os.getpid(), signal.SIGKILL)

    @property
    def burnt(self) -> list[str]:
        return self._path.read_text("utf-8").splitlines()


def lay(fuse: Fuse, *names: str) -> None:
    """Lay the fuse to every SQLite file of these names that this process opens from now on."""
    connect = sqlite3.connect

    class Mortal(sqlite3.Connection):
        def execute(self, statement: str, values: Any = ()) -> sqlite3.Cursor:
            if not statement.startswith(WRITES):
                return super().execute(statement, values)
            fuse.burn(f"before {statement}")
            cursor = super().execute(statement, values)
            fuse.burn(f"after {statement}")
            return cursor

        def executescript(self, script: str) -> sqlite3.Cursor:
            for statement in filter(None, map(str.strip, script.split(";"))):
                self.execute(statement)
            return self.cursor()

    def mortal(path: Path, **options: Any) -> sqlite3.Connection:
        return connect(path, factory=Mortal if path.name in names else sqlite3.Connection, **options)

    sqlite3.connect = mortal


def fork(work: Callable[[], bytes | None]) -> tuple[bool, bytes]:
    """Do the work in a process of its own; return whether it lived, and what it gave (64 KiB at most)."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        status = 1
        try:
            os.write(writing, work() or b"")
            status = 0
        except Exception:  # noqa: BLE001  # whatever it is, its forked process ends here
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(status)
    os.close(writing)
    ended = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with os.fdopen(reading, "rb") as pipe:
        given = pipe.read()
    if ended not in (0, -signal.SIGKILL):
        raise AssertionError("a process failed by itself; its error stands above")
    return ended == 0, given


ASKED, SAID, REFUSED = "asked", "said", "refused"


@dataclass(frozen=True)
class Line:
    """What a phone was asked, or said, or why it said nothing, in a phase of a round."""

    kind: str
    phone: int
    boot: int
    round_id: str
    phase: str
    request: list
    reply: bytes | str = b""


class Journal:
    """Lines in a file, unbuffered: they outlive whoever wrote them."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, line: Line) -> None:
        _append(self._path, cbor2.dumps(astuple(line)))

    def lines(self, kind: str) -> Iterator[Line]:
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            end = os.fstat(file.fileno()).st_size
            while file.tell() < end:
                line = Line(*cbor2.load(file))
                if line.kind == kind:
                    yield line


def _append(path: Path, data: bytes) -> None:
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(file, data)
    os.close(file)
