"""Every file of examples/ runs as a user would run it, in a process and an empty folder of its own."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
CHECKED = ("app_team", "compliance_officer", "researcher")


def output_of(name: str, folder: Path) -> str:
    """Run an example in `folder`, which it has to leave empty, and return what it prints."""
    done = subprocess.run(
        [sys.executable, EXAMPLES / f"{name}.py"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert list(folder.iterdir()) == []
    return done.stdout


def test_every_example_is_checked_here():
    assert sorted(file.stem for file in EXAMPLES.glob("*.py")) == sorted(CHECKED)


@pytest.mark.parametrize("name", CHECKED)
def test_an_example_is_short(name):
    assert len((EXAMPLES / f"{name}.py").read_text("utf-8").splitlines()) <= 105


def test_app_team_shows_tags_and_a_recommendation_with_reasons(tmp_path):
    shown = output_of("app_team", tmp_path)
    assert "Events kept before consent: 0" in shown
    assert "Events kept after consent: 3" in shown
    assert "Tag pref.category.tea: yes (because share = 0.5, events = 3)" in shown
    assert "Recommended: black tea" in shown
    assert "People who buy green tea also buy this." in shown
    assert "Tags after withdrawal: 0" in shown
    assert "It stopped at once." in shown


def test_compliance_officer_verifies_a_history_offline_and_finds_a_changed_bit(tmp_path):
    shown = output_of("compliance_officer", tmp_path)
    assert re.findall(r"^History: \S+ personalize (\w+) by service$", shown, re.M) == ["granted", "withdrawn"]
    assert "consent events: 60 commitments" in shown
    assert "2 records are in the log as they were committed to" in shown
    assert "All of this holds." in shown
    assert "A pack with one bit changed: REFUSED" in shown


def test_researcher_shows_noisy_counts_near_the_truth(tmp_path):
    shown = output_of("researcher", tmp_path)
    assert "1000 phones contributed. Integrity of the sum proved: True." in shown
    rows = re.findall(r"^(\w+) +(\d+) +(-?[\d.]+) +(\w+)$", shown, re.M)
    assert len(rows) == 8
    assert sum(int(truth) for _, truth, *_ in rows) == 1000
    for group, truth, noisy, released in rows:
        assert abs(float(noisy) - int(truth)) < 30, f"{group}: nine standard deviations of the noise and more"
        assert (released == "withheld") == (float(noisy) < 50) or abs(float(noisy) - 50) < 0.1
    assert "epsilon 1.40" in shown
