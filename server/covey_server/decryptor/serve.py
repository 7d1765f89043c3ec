"""`covey decryptor serve`: reads the key, the shops and the state, then serves HTTP until interrupted."""

from __future__ import annotations

import logging
import resource
import socket
import time
from contextlib import suppress
from pathlib import Path

import uvicorn

from covey_privacy.command_line import exit_statuses
from covey_server import operator_keys
from covey_server.decryptor.app import create_app
from covey_server.decryptor.errors import DecryptorError, StateError
from covey_server.decryptor.service import DecryptorService
from covey_server.decryptor.sites import read_sites
from covey_server.decryptor.state import State
from covey_server.errors import ConfigError

MOST_CONNECTIONS = 64


@exit_statuses({ConfigError: 2, DecryptorError: 1})
def serve(key_file: Path, sites: Path, folder: Path, host: str, port: int, restored: bool) -> None:
    """Serve until interrupted, and print the address once requests are answered there.

    Args:
        key_file: the decryptor's key, as `covey decryptor keygen` makes it.
        sites: the folder of the shops' files.
        folder: the state; made where it is missing.
        host: the address to listen on.
        port: 0 for any that is free.
        restored: see `State`.

    Raises:
        CommandError: key, shops or state cannot be used, or the address cannot be listened on.
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
        with listening, suppress(KeyboardInterrupt):
            _Server(config).run([listening])
    finally:
        state.close()


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and sockets:
            host, port = sockets[0].getsockname()[:2]
            name = f"[{host}]" if ":" in host else host
            print(f"The decryptor answers at http://{name}:{port}", flush=True)


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
