"""The benchmark of the five phases: that it measures a whole round, and says what cannot be measured."""

import json

import covey
import pytest


def bench(capsys, *arguments):
    status = covey.main(["bench", "five-phases", *arguments])
    return status, capsys.readouterr()


def test_a_round_is_measured_beside_its_primitives_and_flower(capsys):
    status, said = bench(
        capsys, "--clients", "24", "--length", "256", "--dropout", "0.05", "--against", "flower", "--json"
    )
    found = json.loads(said.out)
    assert status == 0
    assert (found["degree"], found["threshold"]) == (23, 17)
    assert set(found["client_seconds"]) == {"advertise", "share", "mask", "agree", "open", "total"}
    assert set(found["flower_client_seconds"]) == {"advertise", "share", "mask", "open", "total"}
    for group in ("client_seconds", "server_seconds", "primitives_seconds", "bytes_up", "bytes_down"):
        parts = [value for name, value in found[group].items() if name != "total"]
        assert sum(parts) == pytest.approx(found[group]["total"])
        assert min(parts) >= 0
    assert found["bytes_up"]["mask"] > 256 * 20 / 8
    assert found["client_over_primitives"] == pytest.approx(
        found["client_seconds"]["total"] / found["primitives_seconds"]["total"]
    )


def test_tables_for_people(capsys):
    status, said = bench(capsys, "--clients", "20", "--length", "16", "--dropout", "0")
    assert status == 0
    assert "20 devices, 16 entries" in said.out
    assert "client over primitives" in said.out


def test_everyone_may_be_measured_and_the_hot_spots_shown(capsys):
    status, said = bench(
        capsys,
        "--clients",
        "24",
        "--length",
        "64",
        "--dropout",
        "0.1",
        "--measured",
        "24",
        "--profile",
        "--json",
    )
    found = json.loads(said.out)
    assert status == 0
    assert found["measured"] == 24
    assert "primitives_seconds" not in found
    calls = {hot["function"]: hot["calls"] for hot in found["hotspots"]}
    # Each of 24 devices checks the ticket and the signature of 23 neighbours, and nothing is remembered.
    assert calls["Ed25519PublicKey.verify"] >= 24 * 23 + 22 * 17
    assert found["round_seconds"] > 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--clients", "1"], "at least 2 clients"),
        (["--dropout", "0.5"], "dropout of 0 to 0.1"),
        (["--measured", "0"], "at least 1 is"),
        (["--length", "0"], "1 to 16777216 entries"),
        (["--clients", "30", "--gamma", "0.45"], "no graph of 30 devices"),
    ],
)
def test_what_cannot_be_measured_gets_one_line(capsys, arguments, says):
    status, said = bench(capsys, *arguments)
    assert status == 2
    assert says in said.err.splitlines()[-1]
