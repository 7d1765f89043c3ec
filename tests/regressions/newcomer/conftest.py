import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import covey as command_line
import pytest
from shared_fixtures import fixtures_of

REPOSITORY = Path(__file__).parents[3]

globals().update(fixtures_of("client_sdk") | fixtures_of("e2e"))


@pytest.fixture
def covey(tmp_path):
    """Return what runs a command as a user does: an interpreter of its own, in a folder of its own."""

    def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, REPOSITORY / "covey.py", *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            cwd=tmp_path,
            env={**os.environ, **environment},
        )

    return run


@pytest.fixture
def covey_here(tmp_path, monkeypatch, capfd):
    """Return what runs a command in this process, which is faster, in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        asked = [*map(str, arguments)]
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            try:
                status = command_line.main(asked)
            except SystemExit as ended:
                status = ended.code
        said = capfd.readouterr()
        return subprocess.CompletedProcess(asked, status, said.out, said.err)

    return run


@pytest.fixture
def serving(tmp_path):
    """Return what starts a server of the command line and gives what it prints first; it is stopped after."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: object, lines: int = 1, **environment: str) -> list[str]:
        command = [sys.executable, REPOSITORY / "covey.py", *map(str, arguments)]
        out = (tmp_path / f"stdout-{len(started)}").open("w+", encoding="utf-8")
        with out:
            server = subprocess.Popen(command, stdout=out, cwd=tmp_path, env={**os.environ, **environment})
        started.append(server)
        end = time.monotonic() + 60
        while time.monotonic() < end and server.poll() is None:
            printed = (tmp_path / f"stdout-{len(started) - 1}").read_text("utf-8").splitlines()
            if len(printed) >= lines:
                return printed
            threading.Event().wait(0.05)
        raise AssertionError(f"{' '.join(command[2:])} printed fewer than {lines} lines in 60 s")

    def stop() -> None:
        for server in started:
            server.terminate()
            server.wait(30)

    start.stop = stop
    yield start
    stop()
