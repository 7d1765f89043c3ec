"""A real `covey registry serve` under half-open requests, long headers and bodies that nobody signed."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from covey_consent.operations.connection_limits import ConnectionLimits, Connections

MIB = 2**20
OPEN_FILES = 1024
"""The usual limit on a process's open files."""


class Served:
    """A registry in a process of its own."""

    def __init__(self, process: subprocess.Popen, port: int) -> None:
        self.process, self.port = process, port
        self.url = f"http://127.0.0.1:{port}"

    def connect(self, source: str = "127.0.0.1") -> socket.socket:
        line = socket.socket()
        line.settimeout(20)
        line.bind((source, 0))
        line.connect(("127.0.0.1", self.port))
        return line

    def memory(self) -> int:
        """Return the process's resident bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024

    def most_memory(self) -> int:
        """Return the most resident bytes that the process ever had."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


@contextmanager
def serving(folder: Path, **settings: str) -> Iterator[Served]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    variables = {
        "COVEY_REGISTRY_DATABASE_URL": f"sqlite:///{folder}/registry.db",
        "COVEY_REGISTRY_KEY_FILE": str(folder / "registry.key"),
        "COVEY_REGISTRY_LOG_LEVEL": "ERROR",
        **{f"COVEY_REGISTRY_{name.upper()}": value for name, value in settings.items()},
    }
    command = f'ulimit -n {OPEN_FILES}; exec "$0" -m covey registry serve --port {port}'
    process = subprocess.Popen(["sh", "-c", command, sys.executable], env={**os.environ, **variables})
    try:
        served = Served(process, port)
        until(lambda: httpx.get(f"{served.url}/livez").status_code == 200, 60)
        yield served
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def until(done, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(OSError, httpx.HTTPError):
            if done():
                return
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("registry")) as served:
        yield served


def answer_to(line: socket.socket, data: bytes) -> bytes:
    """Send the data as far as the server takes it; return what it answers until it closes the line."""
    with suppress(OSError):
        for start in range(0, len(data), MIB):
            line.sendall(data[start : start + MIB])
    answer = b""
    with suppress(OSError):
        while part := line.recv(65536):
            answer += part
    return answer


@pytest.mark.parametrize("attacker", ["127.0.0.1", "127.0.0.2"])
def test_connection_and_body_limits(served, attacker):
    """1,200 unfinished headers cut nobody off, not even from the same address."""
    with ExitStack() as stack:
        for _ in range(1200):
            line = stack.enter_context(served.connect(attacker))
            line.sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\nX-")
        for _ in range(5):
            assert httpx.get(f"{served.url}/v1/epoch", timeout=10).status_code == 200


def test_many_addresses_together_cut_nobody_off(served):
    with ExitStack() as stack:
        for number in range(1200):
            line = stack.enter_context(served.connect(f"127.0.1.{1 + number % 100}"))
            line.sendall(b"POST /v1/sync HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nx")
        assert httpx.get(f"{served.url}/v1/epoch", timeout=10).status_code == 200


class Line:
    """An open connection, which notes when it was looked at."""

    client = ("127.0.0.1", 1)

    def __init__(self):
        self.looked_at = []

    def expire(self, now):
        self.looked_at.append(now)


class Loop:
    """An event loop whose time stands still, with one timer at most."""

    now, timer = 1000.0, None

    def time(self):
        return self.now

    def call_later(self, seconds, act, *arguments):
        assert self.timer is None
        self.timer = (self.now + seconds, act, arguments)
        return self.timer

    def wait(self):
        (self.now, act, arguments), self.timer = self.timer, None
        act(*arguments)


def test_the_first_connection_of_a_quiet_server_has_its_clock():
    """It was given the time 0: the next connection closed it as overdue, and without one nothing did."""
    connections, loop = Connections(ConnectionLimits(10, 10)), Loop()
    for began in (1000.0, 5000.0):
        loop.now, line = began, Line()
        assert connections.admit(line, loop)
        assert connections.now == began
        other = Line()
        assert connections.admit(other, loop)
        assert line.looked_at == []
        loop.wait()
        assert line.looked_at == other.looked_at == [began + 1] == [connections.now]
        connections.release(line)
        connections.release(other)
        loop.wait()
        assert loop.timer is None


@pytest.mark.slow
def test_an_unfinished_header_is_closed_after_its_deadline(served):
    with served.connect() as line, served.connect() as silent:
        began = time.monotonic()
        line.sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\n")
        end = began + 16
        answer = b""
        with suppress(OSError):
            while time.monotonic() < end:
                line.sendall(b"X-A: b\r\n")
                line.settimeout(0.5)
                with suppress(TimeoutError):
                    part = line.recv(4096)
                    if not part:
                        break
                    answer += part
        assert time.monotonic() - began < 15
        assert answer == b"" or b" 408 " in answer.split(b"\r\n")[0]
        silent.settimeout(10)
        with suppress(ConnectionError):
            silent.recv(4096)  # It ends too, though it never said a word.


@pytest.mark.parametrize(
    ("begins", "what"),
    [
        (b"GET /livez HTTP/1.1\r\nHost: a\r\nX-Long: ", "header"),
        (b"GET /livez?", "address"),
        (b"GET /livez HTTP/1.1\r\nHost: a\r\n" + b"X-Many: 1\r\n" * 2000, "headers"),
        (
            b"POST /v1/sync HTTP/1.1\r\nHost: a\r\nContent-Type: application/cbor\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n0\r\nX-Trailer: ",
            "trailer",
        ),
    ],
)
def test_64_mib_of_header_is_not_buffered(served, begins, what):
    before = served.memory()
    with served.connect() as line:
        answer = answer_to(line, begins + bytes(b"a" * (64 * MIB)))
    assert served.memory() - before < 16 * MIB, what
    assert answer == b"" or b" 431 " in answer or b" 400 " in answer
    assert httpx.get(f"{served.url}/livez").status_code == 200


JSON = "application/json"


@pytest.mark.parametrize(
    ("path", "media", "status"),
    [
        ("/v1/subjects", JSON, (401, 413)),
        ("/v1/decisions:batch", JSON, (401, 413)),
        ("/v1/imports?key=" + "0" * 64, "application/zip", (401, 413)),
        ("/v1/rounds/r/roster", "application/cbor", (403, 404, 413, 422)),
        ("/v1/rounds", "application/cbor", (403, 413)),
        ("/v1/enrolments", "application/cbor", (413,)),
        ("/v1/decisions", "application/cbor", (413,)),
        ("/v1/enrolments", "text/plain", (413, 415)),
        ("/livez", JSON, (405,)),
    ],
)
@pytest.mark.parametrize("size", [16 * MIB, 64 * MIB])
def test_no_body_that_nobody_answers_for_is_buffered(served, path, media, status, size):
    before = served.memory()
    header = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: {media}\r\nConnection: close\r\n"
    with served.connect() as line:
        chunked = (header + "Transfer-Encoding: chunked\r\n\r\n").encode() + b"%x\r\n" % size
        answers = [answer_to(line, chunked + bytes(size) + b"\r\n0\r\n\r\n")]
    with served.connect() as line:
        answers.append(answer_to(line, f"{header}Content-Length: {size}\r\n\r\n".encode() + bytes(size)))
    assert served.memory() - before < 12 * MIB
    for answer in answers:
        assert answer == b"" or int(answer.split()[1]) in status, answer[:300]


def test_many_unauthenticated_bodies_together_are_bounded(served):
    before = served.most_memory()
    header = b"POST /v1/decisions HTTP/1.1\r\nHost: a\r\nContent-Type: application/cbor\r\n"
    with ExitStack() as stack:
        lines = [stack.enter_context(served.connect(f"127.0.2.{1 + n % 20}")) for n in range(300)]
        for line in lines:
            line.settimeout(0.2)
            with suppress(OSError):
                line.sendall(header + b"Content-Length: 1000000\r\n\r\n" + bytes(990_000))
        assert httpx.get(f"{served.url}/livez", timeout=10).status_code == 200
        assert served.most_memory() - before < 160 * MIB
