import contextlib
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from covey import main

from covey_privacy.checkpoint import Checkpoint, sign_checkpoint
from covey_privacy.note import COSIGNATURE, ED25519, VerifierKey
from covey_privacy.signatures import SigningKey
from covey_privacy.split_view import evidence

REPOSITORY = Path(__file__).parents[2]


def covey(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, REPOSITORY / "covey.py", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def called(*arguments: str) -> subprocess.CompletedProcess:
    """Run a command in this process, which has imported what it needs already."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(arguments)
    return subprocess.CompletedProcess(arguments, status, out.getvalue(), err.getvalue())


def test_version():
    assert covey("version").stdout.startswith("covey 0.")
    assert set(json.loads(covey("version", "--json").stdout)) == {"covey"}


COMMANDS = (
    "demo, version, operator keygen, operator key, "
    "registry serve, registry key, registry token, registry notice lint, "
    "registry notice publish, registry notice show, registry import, registry retention run, "
    "registry migrate, registry pack, registry drill crash, "
    "registry drill tamper, registry drill withdraw, registry drill erase, log judge, protocol parameters, "
    "witness serve, witness key, decryptor keygen, decryptor serve, "
    "audit, bench secagg, bench dp, bench registry, bench tickets, "
    "catalogue classify, catalogue sign"
)


@pytest.mark.parametrize("command", [*map(str.split, COMMANDS.split(", "))])
def test_help_shows_an_example(command):
    shown = covey(*command, "--help")
    assert shown.returncode == 0
    assert "example: " in shown.stdout


@pytest.mark.parametrize(
    "command", ["registry migrate --check", "registry drill crash --rounds 1 --db mysql://x"]
)
def test_a_database_that_cannot_be_had_is_one_line(monkeypatch, command):
    monkeypatch.setenv("COVEY_REGISTRY_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    refused = covey(*command.split())
    assert refused.returncode == 1
    assert refused.stderr.strip().splitlines()[-1].startswith("covey: ")
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--epsilon", "0"], "--epsilon is 0.0; a number above 0"),
        (["--epsilon", "-1"], "--epsilon is -1.0"),
        (["--epsilon", "nan"], "--epsilon is nan"),
        (["--households", "849"], "--households is 849; 850 to 2469 was expected: a training takes 500"),
        (["--households", "0"], "--households is 0; 850 to 2469 was expected"),
        (["--households", "9999"], "850 to 2469 was expected"),
        (["--seed", "-1"], "--seed is -1; a whole number from 0 up was expected"),
    ],
)
def test_bad_input_gets_one_line_and_leaves_nothing(tmp_path, arguments, says):
    out = tmp_path / "out"
    refused = called("demo", "--out", str(out), *arguments)
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


REGISTRY = SigningKey(b"\1" * 32)


def heads(*sizes_and_roots):
    """Evidence of two notes that the registry signed, without a proof."""
    notes = [
        sign_checkpoint(Checkpoint("covey.test/log", size, bytes([root]) * 32), REGISTRY)
        for size, root in sizes_and_roots
    ]
    return evidence(*notes, ())


@pytest.mark.parametrize(
    ("found", "status", "says"),
    [
        (heads((5, 1), (5, 2)), 3, "forked: no log has both heads: it lied"),
        (heads((5, 1), (7, 2)), 4, "open: nothing connects the heads"),
        (heads((5, 1), (5, 1)), 0, "consistent: "),
    ],
)
@pytest.mark.parametrize("written", [bytes, lambda found: f"{found.hex()}\n".encode()])
def test_evidence_is_judged_by_the_key_alone(tmp_path, found, status, says, written):
    (tmp_path / "evidence").write_bytes(written(found))
    arguments = ["log", "judge", str(tmp_path / "evidence"), "--key", REGISTRY.public.hex()]
    judged = covey(*arguments)
    assert (judged.returncode, judged.stderr) == (status, "")
    assert judged.stdout.startswith(says)
    arguments[-1] = VerifierKey("covey.test/log", ED25519, REGISTRY.public).vkey
    assert json.loads(covey(*arguments, "--json").stdout)["verdict"] == says.split(":")[0]


@pytest.mark.parametrize(
    ("found", "key", "status", "says"),
    [
        (heads((5, 1), (5, 2)), "00", 2, "64 hex digits"),
        (heads((5, 1), (5, 2)), "01" * 32, 1, "none against this log"),
        (b"\x80", "01" * 32, 1, "array of 4 fields"),
        (None, "01" * 32, 1, "No such file"),
    ],
)
def test_what_cannot_be_judged_is_one_line(tmp_path, found, key, status, says):
    if found is not None:
        (tmp_path / "evidence").write_bytes(found)
    refused = covey("log", "judge", str(tmp_path / "evidence"), "--key", key)
    assert refused.returncode == status
    assert says in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_keys_are_printed_as_others_want_them(tmp_path, monkeypatch):
    monkeypatch.setenv("COVEY_REGISTRY_KEY_FILE", str(tmp_path / "registry.key"))
    of_witness = ["witness", "key", "--name", "witness.test/1", "--folder", str(tmp_path / "w1")]
    for command, algorithm in ((["registry", "key"], ED25519), (of_witness, COSIGNATURE)):
        printed = called(*command).stdout
        assert VerifierKey.parse(printed.strip()).algorithm == algorithm
        assert covey(*command).stdout == printed
    key = VerifierKey.parse(called("registry", "key").stdout.strip())
    assert called("registry", "key", "--hex").stdout.strip() == key.public.hex()


@pytest.mark.parametrize(
    ("name", "log", "says"),
    [
        ("witness.test/1", "covey.test/log", "a verifier key reads name+id+key"),
        (
            "witness.test/1",
            VerifierKey("w", COSIGNATURE, REGISTRY.public).vkey,
            "`covey registry key` prints",
        ),
        ("two words", VerifierKey("covey.test/log", ED25519, REGISTRY.public).vkey, "without spaces"),
    ],
)
def test_a_witness_that_cannot_serve_says_why_in_one_line(tmp_path, name, log, says):
    refused = covey("witness", "serve", "--name", name, "--folder", str(tmp_path), "--log", log)
    assert refused.returncode == 1
    assert says in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_a_committee_is_planned():
    asked = ["protocol", "parameters", "--issued", "1000", "--volunteers", "900", "--lost", "0.3"]
    asked += ["--gamma", "0.05", "--length", "25000"]
    planned = called(*asked, "--json")
    found = json.loads(planned.stdout)
    assert (planned.returncode, planned.stderr) == (0, "")
    assert found["shape"] == {"members": 108, "privacy": 26, "packing": 16, "corrects": 6}
    assert found["bytes"]["phone_up"] == 416 + 3 * 25_000 + (108 - 42) * (131 * 4 + 16) + 3 * 42 * 4
    assert found["chances"]["corrupt_exceed"] <= -40
    assert found["lattice_bits"] == pytest.approx(243.2, abs=0.05)
    shown = covey(*asked)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith(
        "committee   m = 108 of 900 volunteers: any T = 26 shares tell nothing, R = 42"
    )
    assert "from a prototype" in shown.stdout


@pytest.mark.parametrize(
    ("asked", "status", "says"),
    [
        (
            "--issued 10000 --volunteers 5000",
            1,
            "no committee of at most 600 of 5,000 volunteers is both safe",
        ),
        ("--issued 10 --volunteers 9 --json", 1, "increase volunteers or plan for fewer losses"),
        ("--issued 10 --volunteers 11", 2, "1 <= volunteers <= issued"),
        ("--issued 1000 --volunteers 900 --lost 1", 2, "0 <= lost < 1"),
        ("--issued 1000 --volunteers 900 --gamma nan", 2, "0 <= gamma < 1"),
        ("--issued 1000 --volunteers 900 --length 0", 2, "1 <= length"),
    ],
)
def test_a_committee_that_cannot_be_is_one_line(asked, status, says):
    refused = called("protocol", "parameters", *asked.split())
    assert (refused.returncode, refused.stdout) == (status, "")
    assert says in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


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
        refused.stderr
        == "covey: flwr is missing; this command takes an extra: pip install '.[demo]' in a checkout\n"
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
