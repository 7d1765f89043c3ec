"""The main job, whole: as a user runs it, twice."""

import json
import subprocess
import sys
from importlib import resources
from pathlib import Path

import jsonschema
import numpy as np
import pytest

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[2]
HOUSEHOLDS = 900


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Return what runs the demo once with an epsilon and gives its report."""
    known = {}

    def run(epsilon: float) -> dict:
        if epsilon not in known:
            out = tmp_path_factory.mktemp("demo")
            asked = [f"--households={HOUSEHOLDS}", f"--epsilon={epsilon}", "--seed=3"]
            command = [sys.executable, REPOSITORY / "covey.py", "demo", "--json", "--out", out, *asked]
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
            assert done.returncode == 0, done.stderr
            assert (out / "report.html").stat().st_size > 20_000
            known[epsilon] = json.loads(done.stdout), out
        return known[epsilon][0]

    run.folder = lambda epsilon: known[epsilon][1]
    return run


def test_the_report_is_what_its_schema_says(demo):
    schema = resources.files("covey_simulations.report").joinpath("report.schema.json").read_text("utf-8")
    report = demo(2.0)
    jsonschema.validate(report, json.loads(schema))
    assert (report["households"], report["seed"], report["epsilon"]["cap"]) == (HOUSEHOLDS, 3, 4.0)


def test_the_proof_holds_and_nobody_who_left_was_counted(demo):
    report = demo(2.0)
    assert report["log"]["verified"]
    assert report["sums_checked"]
    assert report["withdrawn"]["count"] > 0
    assert report["withdrawn"]["contributions_after"] == 0
    assert report["epsilon"]["per_person_max"] <= report["epsilon"]["cap"]
    assert report["kept"]["sensitive_lines_dropped"] > 0


def test_each_round_has_both_committees_and_nobody_faulty(demo):
    report = demo(2.0)
    parameters = report["parameters"]
    assert parameters["committees"] == "standing+drawn"
    assert parameters["organisations"] == {"consumers.example": 2, "trustee.example": 2}
    keys = sum(parameters["organisations"].values())
    for played in report["rounds"]:
        assert 0 < played["honest"] < played["least_set"] <= played["final"] == played["included"]
        standing, drawn = played["committees"]
        assert [standing["kind"], drawn["kind"]] == ["standing", "drawn"]
        assert (standing["members"], standing["opened"]) == (keys, keys)
        assert drawn["threshold"] < drawn["opened"] <= drawn["members"] <= played["volunteers"]


def test_those_who_left_prove_that_they_are_in_no_later_set(demo):
    certificates = demo(2.0)["withdrawn"]["certificates"]
    assert certificates["made"] > 0
    assert certificates["verified"] == certificates["made"]


def test_the_pack_verifies_and_agrees_with_the_report_without_covey(demo):
    report = demo(2.0)
    check = demo.folder(2.0) / "check"
    key = (check / "log.key").read_text().strip()

    def run(program, *arguments):
        command = [sys.executable, "-I", program, *arguments]
        done = subprocess.run(command, cwd=check, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    verified = run("verify.py", "pack.zip", "--key", key, "--seen", "checkpoint.txt")
    assert "All of this holds." in verified
    compared = run("compare.py", "pack.zip", "../report.json")
    assert compared.count("; opened by ") == len(report["rounds"])
    assert "The report agrees with the log." in compared


def test_what_was_learnt_together_is_measured_against_what_it_must_beat(demo):
    found = demo(2.0)["recommender"]
    assert (found["form"], found["epsilon"], found["items"]) == ("one_round", 2.0, 2080)
    for task, rankers in (("new", {"alone", "noiseless"}), ("again", {"gp_topfreq"})):
        for metric in ("recall_at_10", "ndcg_at_10"):
            measured = found[task][metric]
            assert measured.keys() == {"popularity", "federated"} | rankers
            assert all(0 < value < 1 for value in measured.values())
    assert found["new"]["recall_at_10"]["federated"] > 2 * found["new"]["recall_at_10"]["alone"]
    assert found["again"]["ndcg_at_10"]["federated"] > 1.2 * found["again"]["ndcg_at_10"]["popularity"]
    for each in (*found["list"]["new"], *found["list"]["again"]):
        assert sum(reason["amount"] for reason in each["reasons"]) == pytest.approx(each["score"])


def test_who_left_the_training_left_it(demo):
    left = demo(2.0)["withdrawn"]["train"]
    assert left["count"] > 0
    assert (left["tickets_after"], left["contributions_after"]) == (0, 0)
    assert left["left_behind"] == {"events": 0, "tags": 0, "model": 0}


def test_a_seed_fixes_everything_but_the_noise(demo):
    first, second = demo(2.0), demo(0.4)
    for name in ("households", "granted", "granted_nothing", "kept"):
        assert first[name] == second[name]
    for query in ("q20", "q1"):
        assert first["analytics"][query]["truth"] == second["analytics"][query]["truth"]
    assert first["analytics"]["q20"]["released"] != second["analytics"]["q20"]["released"]


def test_a_smaller_epsilon_is_noisier(demo):
    wide, narrow = (demo(epsilon)["analytics"]["q1"]["sd"] for epsilon in (0.4, 2.0))
    assert wide > 3 * narrow
    released = demo(2.0)["analytics"]["q1"]
    errors = [
        released["released"][segment] - count
        for segment, count in released["at_released_cuts"].items()
        if released["released"][segment] is not None
    ]
    assert np.abs(errors).max() < 6 * released["sd"]
