"""A registry of one's own: the real one, served on loopback from a thread, on the simulation's clock."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import uvicorn

from covey_consent.app import create_app
from covey_consent.serve import KEEP_ALIVE_SECONDS
from covey_consent.settings import Settings
from covey_simulations.errors import SetupError

DEADLINE_SECONDS = 30


@contextmanager
def serve(settings: Settings, clock: Callable[[], float], *, durable: bool = False) -> Iterator[str]:
    """Yield the address of a registry that runs until the block ends.

    Unless `durable`, it waits for no disk: its database goes when the simulation does.
    """
    app = create_app(settings, clock=clock, durable=durable)
    config = uvicorn.Config(
        app, log_config=None, access_log=False, ws="none", timeout_keep_alive=KEEP_ALIVE_SECONDS
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="registry")
        thread.start()
        try:
            _wait(url, thread)
            yield url
        finally:
            server.should_exit = True
            thread.join()


def _wait(url: str, thread: threading.Thread) -> None:
    end = time.monotonic() + DEADLINE_SECONDS
    while thread.is_alive() and time.monotonic() < end:
        try:
            httpx.get(f"{url}/healthz", timeout=1).raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.02)
        else:
            return
    raise SetupError("the simulation's registry did not start; its error stands above")
