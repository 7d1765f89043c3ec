"""An option with an impossible number is refused before anything starts.

`covey registry serve --port 99999` listened on port 34463, which is 99999 modulo 65536.
"""

import os
import subprocess
import sys

import covey
import pytest

LOG_KEY = "covey.test/log+00000000+AAAA"
WITNESS = ["witness", "serve", "--name", "witness.test/1", "--folder", "w", "--log", LOG_KEY]


def run(*arguments: str, cwd) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "covey", *arguments], cwd=cwd, capture_output=True, text=True, timeout=60,
        check=False, env=os.environ | {"COLUMNS": "200"},
    )  # fmt: skip


@pytest.mark.parametrize("command", [["registry", "serve"], WITNESS], ids=["registry", "witness"])
@pytest.mark.parametrize("port", ["99999", "65536"])
def test_a_port_that_is_none(tmp_path, command, port):
    done = run(*command, "--port", port, cwd=tmp_path)
    assert done.returncode == 2
    assert port in done.stderr
    assert "0 to 65535" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == [], "neither a key nor a database was made"


@pytest.mark.parametrize(
    "arguments",
    [
        ["registry", "serve", "--port", "-1"],
        ["registry", "serve", "--port", "1e3"],
        ["registry", "serve", "--port", "８０"],
        ["registry", "serve", "--port", "9" * 5000],
        ["registry", "serve", "--port", ""],
        ["registry", "serve", "--port", "1_0"],
        [*WITNESS, "--port", "-1"],
        ["registry", "pack", "--out", "p.zip", "--since", "-5"],
        ["registry", "pack", "--out", "p.zip", "--since", "x"],
        ["registry", "drill", "erase", "--people", "-3"],
        ["registry", "drill", "erase", "--people", "0"],
    ],
)
def test_a_number_that_cannot_be_is_refused_before_anything_starts(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as refused:
        covey.main(arguments)
    assert refused.value.code == 2
    said = capsys.readouterr().err
    assert "was expected" in said
    assert len(said) < 2000
    assert list(tmp_path.iterdir()) == []
