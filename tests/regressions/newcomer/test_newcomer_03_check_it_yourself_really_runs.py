"""The three commands that the report prints check its run: from its folder, without Covey."""

import copy
import html
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from covey_simulations.report import log_check, pages

pytestmark = pytest.mark.slow  # It plays a report and checks it in a new process.

EXAMPLE = json.loads((Path(__file__).parents[2] / "simulations" / "example_report.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def played(lasting_shop, tmp_path_factory):
    """Return the folder of a report on two rounds that were played."""
    shop = lasting_shop()
    results = shop.ask("q20=0.6", "q1=1.4")
    log, found = log_check.check_log(shop.world, results), copy.deepcopy(EXAMPLE)
    shown = {played["query"]: played for played in found["rounds"]}
    found["rounds"] = [
        {
            name: each.get("round_id" if name == "round" else name, value)
            for name, value in shown[each["query"]].items()
        }
        for each in results
    ]
    found["log"] = {**found["log"], **log}
    found["rounds"] += [{**shown["p1-base"]}]
    page_only = found["rounds"].pop()
    out = tmp_path_factory.mktemp("report") / "out"
    text = pages.render_page({**found, "rounds": [*found["rounds"], page_only]})
    pages.write_report(
        {**found, "rounds": [*found["rounds"], page_only]},
        out,
        log_check.check_files(shop.world, log["checkpoint"]),
    )
    (out / "report.json").write_text(json.dumps(found), "utf-8")
    assert text == (out / "report.html").read_text("utf-8")
    return out


@pytest.fixture
def written(played, tmp_path):
    """Return a copy of that folder."""
    return Path(shutil.copytree(played, tmp_path / "out"))


def commands(out: Path) -> list[str]:
    """Return the commands that the page prints."""
    (printed,) = re.findall(
        '<pre id="commands">(.*?)</pre>', (out / "report.html").read_text("utf-8"), re.DOTALL
    )
    return html.unescape(printed).splitlines()


def run(out: Path, lines: list[str]) -> subprocess.CompletedProcess:
    """Run the lines in one shell in the report's folder, which knows nothing of this checkout."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "VIRTUAL", "COVEY"))
    }
    return subprocess.run(
        ["sh", "-e"],
        input="\n".join(lines),
        capture_output=True,
        text=True,
        check=False,
        cwd=out,
        timeout=300,
        env=clean,
    )


def installed(out: Path) -> list[str]:
    """Return the commands with this interpreter, which has cryptography, in place of a fresh environment."""
    first, *others = commands(out)
    folder = first.partition(" && ")[0]
    return [folder, *(line.replace("venv/bin/python", sys.executable) for line in others)]


def test_check_it_yourself_really_runs(written):
    assert len(commands(written)) == 3
    done = run(written, installed(written))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All of this holds." in done.stdout
    assert "The report agrees with the log." in done.stdout


@pytest.mark.slow
def test_the_commands_run_as_printed_in_an_environment_of_their_own(written):
    done = run(written, commands(written))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The report agrees with the log." in done.stdout


@pytest.mark.parametrize("place", [100, 5000, -200])
def test_a_pack_that_was_tampered_with_fails(written, place):
    file = written / "check" / "pack.zip"
    data = bytearray(file.read_bytes())
    data[place] ^= 1
    file.write_bytes(data)
    done = run(written, installed(written))
    assert done.returncode == 1
    assert "REFUSED" in done.stdout


@pytest.mark.parametrize("name", ["epsilon", "sigma", "query", "included", "final"])
def test_a_report_that_says_otherwise_fails(written, name):
    found = json.loads((written / "report.json").read_text("utf-8"))
    value = found["rounds"][0][name]
    found["rounds"][0][name] = "q1" if name == "query" else value + 10
    (written / "report.json").write_text(json.dumps(found), "utf-8")
    done = run(written, installed(written))
    assert (done.returncode, "DIFFERS" in done.stdout) == (1, True)


def test_a_report_that_leaves_a_round_out_fails(written):
    found = json.loads((written / "report.json").read_text("utf-8"))
    found["rounds"].pop()
    (written / "report.json").write_text(json.dumps(found), "utf-8")
    assert "leaves out the rounds" in run(written, installed(written)).stdout


def test_a_checkpoint_of_another_log_fails(written):
    file = written / "check" / "checkpoint.txt"
    file.write_text(file.read_text("utf-8").replace("covey.example/log", "other.example/log"), "utf-8")
    assert run(written, installed(written)).returncode == 1
