"""A registry in a process of its own, which can be killed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import httpx

from covey_consent.errors import DamageError

DEADLINE_SECONDS = 60
"""How long a registry may take to start, with its check of the log."""


class RegistryProcess:
    """uvicorn with the registry, on loopback; what it prints goes to a file in the folder."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._log = folder / "registry.log"
        serve = f"--factory covey_consent.app:create_app --port {port} --no-access-log --ws none".split()
        # Nothing of the operator's own registry: neither its database nor its key.
        others = {name: value for name, value in os.environ.items() if not name.startswith("COVEY_REGISTRY_")}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  our own interpreter and arguments
                [sys.executable, "-m", "uvicorn", *serve],
                env={**others, **{f"COVEY_REGISTRY_{name}": value for name, value in settings.items()}},
                stdout=log,
                stderr=log,
            )

    def wait(self) -> float:
        """Return the seconds until it answers. Raises DamageError where it does not."""
        start = time.monotonic()
        while self._process.poll() is None and time.monotonic() - start < DEADLINE_SECONDS:
            try:
                httpx.get(f"{self.url}/healthz", timeout=1).raise_for_status()
            except httpx.HTTPError:
                time.sleep(0.02)
            else:
                return time.monotonic() - start
        self.kill()
        last = self._log.read_text("utf-8", "replace").strip().splitlines()[-1:]
        raise DamageError(f"the registry did not start again: {' '.join(last) or 'it said nothing'}")

    def kill(self) -> None:
        """End it at once, as a power cut would end its process (SIGKILL)."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """Let it finish."""
        self._process.terminate()
        self._process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])
