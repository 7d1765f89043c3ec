"""Servers of one's own: real applications, served on loopback from threads."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from covey_simulations.errors import SetupError

DEADLINE_SECONDS = 30
KEEP_ALIVE_SECONDS = 75
"""A line that is closed just as it is used costs a phone a second try."""


def listening() -> socket.socket:
    """Return a socket that listens on a free port."""
    return socket.create_server(("127.0.0.1", 0))


def url_of(listener: socket.socket) -> str:
    """Return the address of a listening socket."""
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def serve_in_thread(app: Any, name: str, listener: socket.socket | None = None) -> Iterator[str]:
    """Yield the address of an ASGI application that answers until the block ends."""
    config = uvicorn.Config(
        app, log_config=None, access_log=False, ws="none", timeout_keep_alive=KEEP_ALIVE_SECONDS
    )
    server = uvicorn.Server(config)
    with listener or listening() as socket_:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [socket_]}, name=name)
        thread.start()
        try:
            _wait(server, thread, name)
            yield url_of(socket_)
        finally:
            server.should_exit = True
            thread.join()


def _wait(server: uvicorn.Server, thread: threading.Thread, name: str) -> None:
    end = time.monotonic() + DEADLINE_SECONDS
    while not server.started:
        if not thread.is_alive() or time.monotonic() > end:
            raise SetupError(f"the simulation's {name} did not start; its error stands above")
        time.sleep(0.01)
