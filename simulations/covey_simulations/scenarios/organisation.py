"""A process that plays one organisation: its decryptors, each with a key and a port of its own.

    python -m covey_simulations.scenarios.organisation FOLDER NUMBER SOCKET ...

`FOLDER` is the simulation's; the sockets listen already, and are inherited by their numbers.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from covey_privacy.signatures import SigningKey
from covey_privacy.site_document import Organisation
from covey_server import operator_keys
from covey_server.decryptor.app import create_app
from covey_server.decryptor.service import DecryptorService
from covey_server.decryptor.sites import read_sites
from covey_server.decryptor.state import State, mark_unused
from covey_simulations.scenarios import loopback
from covey_simulations.scenarios.clock import Clock

NAMES = ("consumers.example", "trustee.example")
SEATS = 2
"""Keys of each organisation: with four in all one may be absent, and a wrong sum is noticed."""

SITES = "decryptor-sites"
_FLOORS = 'operator = "{operator}"\ndocument = "shop.site"\n[floors]\nmost_epsilon = {epsilon}\n'


@dataclass(frozen=True, slots=True)
class Decryptors:
    """The organisations of a simulation as a site pins them, and the sockets that they will listen on."""

    organisations: tuple[Organisation, ...]
    sockets: Mapping[str, Sequence[socket.socket]]


def create_decryptors(folder: Path) -> Decryptors:
    """Make the organisations' keys and sockets."""
    organisations, sockets = [], {}
    for number, name in enumerate(NAMES):
        keys = [_make_key(_key_file(folder, number, seat)).public for seat in range(SEATS)]
        sockets[name] = [loopback.listening() for _ in keys]
        organisations.append(Organisation(name, tuple(keys), tuple(map(loopback.url_of, sockets[name]))))
    return Decryptors(tuple(organisations), sockets)


@contextmanager
def start_organisations(
    folder: Path, made: Decryptors, operator: bytes, site: bytes, most_epsilon: float
) -> Iterator[None]:
    """Run a process for each organisation, which serves the shop of this signed site document."""
    sites = folder / SITES
    sites.mkdir(exist_ok=True)
    (sites / "shop.site").write_bytes(site)
    (sites / "shop.toml").write_text(_FLOORS.format(operator=operator.hex(), epsilon=most_epsilon), "utf-8")
    running = [_run(folder, number, made.sockets[name]) for number, name in enumerate(NAMES)]
    try:
        yield
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait()


def _run(folder: Path, number: int, sockets: Sequence[socket.socket]) -> subprocess.Popen[bytes]:
    numbers = [each.fileno() for each in sockets]
    command = [sys.executable, "-m", "covey_simulations.scenarios.organisation", str(folder), str(number)]
    process = subprocess.Popen(  # noqa: S603  # our own module
        [*command, *map(str, numbers)],
        pass_fds=numbers,
        start_new_session=True,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )
    for each in sockets:
        each.close()
    return process


def _make_key(path: Path) -> SigningKey:
    key = operator_keys.make(path)
    mark_unused(path)
    return key


def _key_file(folder: Path, number: int, seat: int) -> Path:
    return folder / f"decryptor-{number}-{seat}.key"


def serve_decryptors(folder: Path, number: int, sockets: Sequence[int]) -> None:
    """Answer until the process is ended."""
    clock = Clock(folder)
    with ExitStack() as stack:
        for seat, inherited in enumerate(sockets):
            path = _key_file(folder, number, seat)
            key = operator_keys.read(path)
            state = State(folder / f"decryptor-{number}-{seat}", path, key.public, int(clock.seconds()))
            stack.callback(state.close)
            service = DecryptorService(key, read_sites(folder / SITES, key.public), state, clock.seconds)
            listener = socket.socket(fileno=inherited)
            stack.enter_context(
                loopback.serve_in_thread(create_app(service), f"decryptor {number}-{seat}", listener)
            )
        threading.Event().wait()


if __name__ == "__main__":
    serve_decryptors(Path(sys.argv[1]), int(sys.argv[2]), [int(each) for each in sys.argv[3:]])
