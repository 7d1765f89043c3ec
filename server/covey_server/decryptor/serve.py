"""Running the decryptor: the key, the shops and the state, then HTTP until it is interrupted."""

from __future__ import annotations

import logging
import resource
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import uvicorn

from covey_server import operator_keys
from covey_server.decryptor.app import create_app
from covey_server.decryptor.errors import DecryptorError, StateError
from covey_server.decryptor.service import DecryptorService
from covey_server.decryptor.sites import read_sites
from covey_server.decryptor.state import State
from covey_server.errors import ConfigError

__all__ = ["ConfigError", "DecryptorError", "operator_keys", "serve"]

MOST_CONNECTIONS = 64


def serve(
    key_file: Path,
    sites: Path,
    folder: Path,
    host: str,
    port: int,
    *,
    tell: Callable[[str], None],
    restored: bool = False,
) -> None:
    """Serve until interrupted.

    Args:
        key_file: the decryptor's key, as `covey decryptor keygen` makes it.
        sites: the folder of the shops' files.
        folder: the state; made where it is missing.
        port: 0 for any that is free.
        tell: gets the address, such as http://127.0.0.1:8720, once requests are answered there.
        restored: see `State`.

    Raises:
        ConfigError: key or shops cannot be used.
        StateError: the state cannot be used, or the address cannot be listened on.
    """
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # A core dump would write box keys to the disk.
    key = operator_keys.read(key_file)
    served = read_sites(sites, key.public)
    state = State(folder, key_file, key.public, int(time.time()), restored)
    try:
        listening = _listening(host, port)
        app = create_app(DecryptorService(key, served, state, time.time))
        config = uvicorn.Config(
            app, access_log=False, server_header=False, ws="none", log_level="warning",
            limit_concurrency=MOST_CONNECTIONS, timeout_graceful_shutdown=5,
        )  # fmt: skip
        server = _Server(config, tell)
        with listening, suppress(KeyboardInterrupt):
            server.run([listening])
    finally:
        state.close()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, tell: Callable[[str], None]) -> None:
        super().__init__(config)
        self._tell = tell

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and sockets:
            host, port = sockets[0].getsockname()[:2]
            self._tell(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")


def _listening(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        made = socket.socket(family, kind, protocol)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
    except OSError as error:
        raise StateError(
            f"{host}:{port} cannot be listened on: {(error.strerror or str(error)).lower()}"
        ) from None
    return made
