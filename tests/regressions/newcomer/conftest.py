import os
import subprocess
import sys
from pathlib import Path

import pytest
from shared_fixtures import fixtures_of

REPOSITORY = Path(__file__).parents[3]

globals().update(fixtures_of("client_sdk"))


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
