"""The benchmark of noise: that it times what it says, under each law, and says what cannot be measured."""

import json
import time

import covey
import pytest

from covey_privacy.dp import Skellam
from covey_simulations.benchmarks import dp


def bench(capsys, *arguments):
    status = covey.main(["bench", "dp", *arguments])
    return status, capsys.readouterr()


def test_each_law_is_measured_beside_numpys(capsys):
    status, said = bench(capsys, "--length", "3000", "--repeats", "3", "--json")
    found = json.loads(said.out)
    assert status == 0
    assert (found["length"], found["padded"], found["repeats"]) == (3000, 2048 + 1024, 3)
    assert set(found["laws"]) == {"round", "1", "1000", "1e+06"}
    for figures in found["laws"].values():
        for ours in ("noise", "contribution"):
            ratio = figures[f"{ours}_seconds"] / figures["numpy_seconds"]
            assert figures[f"{ours}_over_numpy"] == pytest.approx(ratio)
    # 800 devices share the noise of a round at epsilon 4, about 1.4 units of 1,024 steps.
    assert 1000 < found["laws"]["round"]["variance"] < 10_000


def test_the_time_is_that_of_the_call_and_the_first_one_does_not_count(capsys, monkeypatch):
    lasts, sample = iter([0, 0.3, 0.3, *[0.01] * 100]), Skellam.sample

    def slowly(law, size):
        until = time.process_time() + next(lasts)
        while time.process_time() < until:
            pass
        return sample(law, size)

    monkeypatch.setattr(Skellam, "sample", slowly)
    monkeypatch.setattr(dp, "VARIANCES", ())
    found = json.loads(bench(capsys, "--length", "16", "--repeats", "1", "--json")[1].out)["laws"]["round"]
    assert 0.01 <= found["noise_seconds"] < 0.1
    assert 0.01 <= found["contribution_seconds"] < 0.1
    assert found["numpy_seconds"] < 0.01


def test_a_table_for_people(capsys):
    status, said = bench(capsys, "--length", "100", "--repeats", "1")
    assert status == 0
    assert "100 entries, 128 encoded" in said.out
    assert "1e+06" in said.out


@pytest.mark.parametrize("arguments", [["--length", "0"], ["--length", "16777217"], ["--repeats", "0"]])
def test_what_cannot_be_measured_gets_one_line(capsys, arguments):
    status, said = bench(capsys, *arguments)
    assert status == 2
    assert "1 to 16777216 entries and at least 1 repeat" in said.err.splitlines()[-1]
