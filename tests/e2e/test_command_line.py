import json
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


def covey(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, REPOSITORY / "covey.py", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_version():
    assert covey("version").stdout.startswith("covey 0.")
    assert set(json.loads(covey("version", "--json").stdout)) == {"covey"}


@pytest.mark.parametrize("command", [["demo"], ["version"], ["registry", "serve"], ["audit"]])
def test_help_shows_an_example(command):
    shown = covey(*command, "--help")
    assert shown.returncode == 0
    assert "example: " in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--epsilon", "0"], "--epsilon is 0.0; a number above 0"),
        (["--epsilon", "-1"], "--epsilon is -1.0"),
        (["--epsilon", "nan"], "--epsilon is nan"),
        (["--households", "100"], "households allow analytics to the end; a round needs at least 200"),
        (["--households", "0"], "0 households were asked for"),
        (["--households", "9999"], "there are 1 to 2469"),
    ],
)
def test_bad_input_gets_one_line_and_leaves_nothing(tmp_path, arguments, says):
    out = tmp_path / "out"
    refused = covey("demo", "--out", str(out), *arguments)
    last = refused.stderr.strip().splitlines()[-1]
    assert refused.returncode == 2
    assert last.startswith("covey: ")
    assert says in last
    assert "Traceback" not in refused.stderr
    assert not out.exists()


def test_a_file_in_the_way_is_refused_before_anything_runs(tmp_path):
    (tmp_path / "taken").write_text("mine")
    refused = covey("demo", "--out", str(tmp_path / "taken"))
    assert refused.returncode == 2
    assert "a folder, or a name for one, was expected" in refused.stderr
    assert (tmp_path / "taken").read_text() == "mine"


def test_an_unknown_option_is_refused():
    assert covey("demo", "--out", "x", "--epsilom", "1").returncode == 2


def test_a_missing_extra_is_named_in_one_line(tmp_path):
    """With flwr out of reach, the demo says what to install."""
    hide = tmp_path / "flwr.py"
    hide.write_text("raise ModuleNotFoundError(\"No module named 'flwr'\", name='flwr')")
    refused = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import covey; "
         "sys.exit(covey.main(['demo', '--out', 'x']))"],
        capture_output=True, text=True, check=False, cwd=REPOSITORY,
    )  # fmt: skip
    assert refused.returncode == 1
    assert (
        refused.stderr == "covey: flwr is missing; this command takes an extra: pip install 'covey[demo]'\n"
    )


def test_a_port_that_is_taken_is_one_line(tmp_path):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused = subprocess.run(
            [sys.executable, REPOSITORY / "covey.py", "registry", "serve", "--port", port],
            capture_output=True, text=True, check=False, timeout=60, cwd=tmp_path,
        )  # fmt: skip
    assert refused.returncode != 0
    assert "address already in use" in refused.stderr
    assert "Traceback" not in refused.stderr
