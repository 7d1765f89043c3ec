"""A server in a process of its own, so that it shares no interpreter with what asks it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import httpx

from covey_simulations.errors import SetupError

DEADLINE_SECONDS = 300


@contextmanager
def serving(command: Sequence[str], health: str, settings: Mapping[str, str] | None = None) -> Iterator[str]:
    """Run `python -m command... --port N` with these variables; yield its address once it is healthy."""
    port = _free_port()
    process = subprocess.Popen(  # noqa: S603  our own modules
        [sys.executable, "-m", *command, "--port", str(port)],
        env={**os.environ, **(settings or {})},
        stdout=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(process, url + health)
        yield url
    finally:
        process.terminate()
        process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def _wait(process: subprocess.Popen[bytes], url: str) -> None:
    end = time.monotonic() + DEADLINE_SECONDS
    while process.poll() is None and time.monotonic() < end:
        try:
            httpx.get(url, timeout=5).raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.05)
        else:
            return
    raise SetupError("the server did not start; its error stands above")
