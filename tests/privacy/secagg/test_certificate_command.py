"""`covey certificate`: what holds is said in plain words, what does not in one line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import covey
import pytest
from certificate_shop import OPERATOR, PHONES, Shop

from covey_privacy.note import COSIGNATURE, VerifierKey
from covey_privacy.signatures import SigningKey
from covey_simulations.scenarios.in_process_round import ORIGIN, WITNESS

HEX = OPERATOR.public.hex()


@pytest.fixture(scope="module")
def shop() -> Shop:
    made = Shop()
    made.play("r1", 1)
    made.since = made.log.note()
    made.play("r2", 2, range(PHONES - 1))
    made.claim(0, 1)
    return made


@pytest.fixture(scope="module")
def files(shop, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    (folder / "in.cert").write_bytes(shop.participation(0, "r1", 1))
    (folder / "out.cert").write_bytes(shop.absence(shop.claims(PHONES - 1, 1, 2), shop.since))
    (folder / "shop.site").write_bytes(shop.site_document)
    return folder


@pytest.fixture
def run(files, capsys, monkeypatch):
    """`run(*arguments)`: the exit status, and what was printed and complained of."""
    monkeypatch.chdir(files)

    def ran(*arguments: str) -> tuple[int, str, str]:
        status = covey.main(["certificate", *arguments])
        return status, *capsys.readouterr()

    return ran


PINNED = ("--site", "shop.site", "--operator", HEX)


@pytest.mark.parametrize(
    ("file", "language", "said"),
    [
        ("in.cert", "en", "is in the sum of round r1 of shop.example, which was over 5 contributions."),
        ("in.cert", "zh", "已计入 shop.example 第 r1 轮的总和，该总和共含 5 份贡献"),
        ("out.cert", "en", "no set of shop.example contains a contribution under any of the 2 keys"),
        ("out.cert", "en", "Rounds checked: 1."),
        ("out.cert", "zh", "任何集合都不含本证书 2 个密钥名下的贡献；共核查 1 轮"),
    ],
)  # fmt: skip
def test_what_holds_is_said_in_plain_words(run, file, language, said):
    status, out, complaint = run("verify", file, *PINNED, "--language", language)
    assert (status, complaint) == (0, "")
    assert said in out


def test_a_program_reads_what_holds(run, files):
    status, out, _ = run("verify", "in.cert", *PINNED, "--json")
    found = json.loads(out)
    assert (status, found["kind"], found["round_id"], found["contributions"]) == (0, "participation", "r1", 5)
    found = json.loads(run("verify", "out.cert", *PINNED, "--json")[1])
    assert (found["kind"], found["keys"], found["rounds"], found["sets"]) == ("absence", 2, 1, 2)
    assert found["bytes"] == (files / "out.cert").stat().st_size


def test_what_the_site_pins_may_be_given_by_hand(run, shop):
    witness = VerifierKey(WITNESS, COSIGNATURE, shop.log.view.witnesses.witnesses[0].public).vkey
    by_hand = ("--registry", shop.registry.public.hex(), "--origin", ORIGIN, "--witness", witness)
    status, out, _ = run("verify", "in.cert", "--operator", HEX, *by_hand)
    assert status == 0
    assert f"of {ORIGIN}" in out
    wrong = ("--registry", HEX, *by_hand[2:])
    status, _, complaint = run("verify", "in.cert", "--operator", HEX, *wrong)
    assert (status, "checkpoint-signature" in complaint) == (1, True)


def changed(files: Path, name: str) -> str:
    data = bytearray((files / name).read_bytes())
    data[len(data) // 2] ^= 1
    (files / f"changed-{name}").write_bytes(data)
    return f"changed-{name}"


@pytest.mark.parametrize("name", ["in.cert", "out.cert"])
def test_what_does_not_hold_is_one_line_and_prints_no_page(run, files, name):
    file = changed(files, name)
    for arguments in (("verify", file), ("verify", file, "--json"), ("print", file, "--out", "none.html")):
        status, out, complaint = run(*arguments, *PINNED)
        assert (status, out, complaint.count("\n")) == (1, "", 1)
        assert complaint.startswith("covey: the certificate does not hold: ")
    assert not (files / "none.html").exists()


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("verify", "in.cert", "--operator", HEX), 2, "give --site, or all of"),
        (("verify", "in.cert", *PINNED, "--origin", ORIGIN), 2, "give it alone"),
        (("verify", "in.cert", "--site", "shop.site", "--operator", "ab"), 2, "64 hex digits"),
        (("verify", "none.cert", *PINNED), 1, "none.cert cannot be used"),
        (("verify", "in.cert", "--site", "none.site", "--operator", HEX), 1, "none.site cannot be used"),
        (("verify", "in.cert", "--site", "in.cert", "--operator", HEX), 1, "in.cert is refused"),
        (
            ("verify", "in.cert", "--site", "shop.site", "--operator", SigningKey(b"x" * 32).public.hex()),
            1,
            "shop.site is refused",
        ),
        (("print", "in.cert", *PINNED, "--out", "no/such/folder.html"), 1, "cannot be used"),
    ],
)
def test_what_cannot_be_asked_is_one_line(run, arguments, status, said):
    found, out, complaint = run(*arguments)
    assert (found, out, complaint.count("\n")) == (status, "", 1)
    assert said in complaint


@pytest.mark.parametrize("name", ["in.cert", "out.cert"])
def test_a_page_is_written(run, files, name):
    status, out, _ = run("print", name, *PINNED, "--out", f"{name}.html")
    assert (status, out) == (0, f"The page is at {name}.html\n")
    page = (files / f"{name}.html").read_text("utf-8")
    assert json.loads(run("verify", name, *PINNED, "--json")[1])["sha256"] in page


def test_verifying_needs_the_phones_dependencies_alone(files):
    """No jinja2, fastapi or the like is imported."""
    script = (
        "import sys, covey; status = covey.main(sys.argv[1:]); "
        "print({'jinja2', 'fastapi', 'sqlalchemy', 'flwr', 'scipy', 'pydantic'} & set(sys.modules)); "
        "sys.exit(status)"
    )  # fmt: skip
    arguments = ["certificate", "verify", "in.cert", *PINNED]
    ran = subprocess.run(
        [sys.executable, "-c", script, *arguments], cwd=files, capture_output=True, text=True
    )
    assert (ran.returncode, ran.stdout.splitlines()[-1]) == (0, "set()")
