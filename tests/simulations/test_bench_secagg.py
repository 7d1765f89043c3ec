"""The benchmark of a round in one message: that it measures all parties, and says what cannot be measured."""

import json

import covey
import numpy as np
import pytest

from covey_privacy.secagg.aggregator import Aggregator
from covey_privacy.secagg.shape import answer_bound, require_shape
from covey_simulations.benchmarks import secagg_devices
from covey_simulations.benchmarks.secagg_comparison import graph
from covey_simulations.benchmarks.secagg_plan import DROP, plan_round, shape_of_size
from covey_simulations.benchmarks.spans import Spans, timed_calls

PARTS_OF_A_PHONE = {
    "encoding", "noise", "committee", "signatures", "dealing", "pad", "packing", "hashing", "proof",
    "signing", "framing", "rest",
}  # fmt: skip


def bench(capsys, *arguments):
    status = covey.main(["bench", "secagg", "--clients", "30", "--length", "64", *arguments])
    return status, capsys.readouterr()


def figures(capsys, *arguments):
    status, said = bench(capsys, *arguments, "--json")
    assert status == 0, said.err
    return json.loads(said.out)


def total(parts, *others):
    return sum(value for name, value in parts.items() if name not in ("total", *others))


@pytest.mark.parametrize("committee", ["standing", "drawn", "both"])
def test_each_party_is_measured(capsys, committee):
    found = figures(capsys, "--committee", committee, "--lost", "0.1", "--measured", "5")
    drawn = committee != "standing"
    assert set(found["phone_seconds"]) == PARTS_OF_A_PHONE | {"total"} | ({"tickets"} if drawn else set())
    for group, others in {
        "phone_seconds": (),
        "phone_first_seconds": (),
        "coordinator_seconds": ("verification",),
        "coordinator_verification_seconds": (),
        "decryptor_seconds": ("with_box", "without_box"),
        "registry_seconds": (),
    }.items():
        assert found[group]["total"] == pytest.approx(total(found[group], *others))
        assert min(found[group].values()) >= 0
    verification = found["coordinator_verification_seconds"]
    assert found["coordinator_seconds"]["verification"] == verification["total"]
    assert set(verification) == {"tickets", "signatures", "hashing", "total"}
    assert ("registry_roster_seconds" in found) == drawn
    assert ("standing_decryptor_seconds" in found) == (committee == "both")
    assert (found["measured"], found["sent_length"], found["drop"]) == (5, 64, 0)


def test_bytes_are_those_of_the_fields(capsys):
    found = figures(capsys, "--committee", "drawn", "--lost", "0.1")
    size, shape = found["bytes"], found["shapes"]["drawn"]
    chunks = 64 // 16
    box = 4 * (chunks + 3) + 16
    sent = 4 * 64 + (shape["members"] - shape["threshold"]) * box + 12 * shape["threshold"]
    assert 0 <= size["phone_up"] - (sent + 320 + 32 + 64) < 40  # framing
    assert size["phone_down_with_tickets"] - size["phone_down"] == 352 * shape["members"]
    assert size["decryptor_down_with_box"] - size["decryptor_down_without_box"] == pytest.approx(
        30 * box, abs=4
    )
    assert found["answering"] == shape["threshold"] + 2 * shape["corrects"]


def test_long_vectors_are_rounded_and_the_noise_bears_it():
    plan = plan_round(1000, 25_000, "standing", 0.3, None)
    assert plan.setting.drop == DROP
    assert plan.setting.length == plan.encoding.padded == 24 * 1024 + 512
    assert plan.setting.steps == 4 * plan.encoding.scale


def test_a_long_round_is_measured(capsys):
    found = figures(capsys, "--length", "2049", "--committee", "standing", "--measured", "2")
    assert found["drop"] == DROP
    assert found["phone_seconds"]["errors"] > 0
    assert found["bytes"]["phone_up"] > 3 * found["sent_length"]


def test_it_is_compared_with_flower(capsys):
    found = figures(capsys, "--committee", "standing", "--against", "flower", "--full")
    assert found["flower_degree"] == 29
    ours = found["phone_seconds"]["total"], found["coordinator_seconds"]["total"]
    for place, side in enumerate(("client", "server")):
        ratio = found[f"flower_{side}_seconds"]["total"] / ours[place]
        assert found[f"flower_over_{side}"] == pytest.approx(ratio)


@pytest.mark.parametrize(
    ("clients", "full", "expected"),
    [(30, False, (29, 21)), (100, True, (99, 67)), (300, False, (66, 46)), (1000, False, (96, 67))],
)
def test_flower_has_as_many_neighbours_as_are_safe(clients, full, expected):
    assert graph(clients, full) == expected


def test_tables_for_people(capsys):
    status, said = bench(capsys, "--committee", "both", "--lost", "0.1", "--against", "flower")
    assert status == 0
    for part in ("30 phones, 64 entries", "T = 2, R = 18", "phone down with tickets", "ratios"):
        assert part in said.out


def test_hot_spots(capsys):
    found = figures(capsys, "--committee", "standing", "--profile")
    assert set(found["hotspots"]) == {
        "phone", "coordinator", "registry", "decryptor_with_box_check", "decryptor_with_box_open",
    }  # fmt: skip
    calls = {hot["function"]: hot["calls"] for hot in found["hotspots"]["phone"]}
    assert calls["X25519PrivateKey.exchange"] == 20 * 4
    assert "phone_seconds" not in found


def test_a_whole_round_in_two_processes(capsys):
    arguments = ["bench", "secagg", "--clients", "24", "--length", "64", "--lost", "0", "--whole"]
    assert covey.main([*arguments, "--json"]) == 0
    whole = json.loads(capsys.readouterr().out)["whole"]
    assert whole["processes"] == 2
    assert sum(whole["step_seconds"].values()) == pytest.approx(whole["wall_seconds"], rel=0.1)
    assert set(whole["before_seconds"]) == {"tickets", "processes"}
    for party in ("phones", "decryptors", "coordinator", "registry"):
        assert 0 < whole["processor_seconds"][party]["total"] < whole["all_processor_seconds"]
    assert covey.main(arguments) == 0
    assert "Not in it: issuing the tickets" in capsys.readouterr().out


def test_a_wrong_sum_is_no_benchmark(capsys, monkeypatch):
    conclude = Aggregator.conclude

    def wrongly(aggregator):
        result = conclude(aggregator)
        result.vector[7] += 1
        return result

    monkeypatch.setattr(Aggregator, "conclude", wrongly)
    for arguments in (["--committee", "standing"], ["--committee", "standing", "--whole"]):
        status, said = bench(capsys, *arguments)
        assert status == 1
        assert "is 1 off that of 30" in " ".join(said.err.split())


def test_a_process_that_fails_is_one_line(capsys, monkeypatch):
    monkeypatch.setattr(secagg_devices.Assignment, "__reduce__", lambda assignment: (int, ()), raising=False)
    status, said = bench(capsys, "--committee", "standing", "--whole")
    assert status == 1
    assert "a process that holds devices failed: AttributeError" in " ".join(said.err.split())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--clients", "1"], "2 to 10000 clients"),
        (["--length", "0"], "1 to 16777216 entries"),
        (["--measured", "0"], "at least 1 is"),
        (["--lost", "1"], "--lost is 1.0"),
        (["--lost", "0.5"], "no committee of at most 27"),
        (["--members", "400"], "--members is 400; 18 to 27"),
        (["--members", "18"], "18 of 27 volunteers are no committee"),
        (["--committee", "standing", "--members", "18"], "a standing one has 4"),
        (["--committee", "standing", "--whole", "--profile"], "give one of them"),
        (["--clients", "2", "--committee", "standing", "--against", "flower"], "no graph of 2 devices"),
    ],
)
def test_what_cannot_be_measured_gets_one_line(capsys, arguments, says):
    status, said = bench(capsys, *arguments)
    assert status == 2
    assert says in said.err.splitlines()[-1]


def test_a_committee_of_a_given_size_is_the_strongest_one():
    shape, borne = shape_of_size(900, 50, 0.3, 105)
    assert (shape.members, shape.privacy, shape.threshold, shape.corrects, borne) == (105, 26, 42, 6, 0.28)
    require_shape(shape, 900, 50, borne)
    shape, borne = shape_of_size(900, 50, 0.3, 120)
    assert borne == 0.3
    assert shape.needed_answers == answer_bound(900, 0.3, 120)


def test_parts_add_up_and_do_not_count_twice():
    class Work:
        def inner(self):
            np.linalg.matrix_power(np.ones((60, 60)), 60)

        def outer(self):
            self.inner()

    spans = Spans()
    with timed_calls(spans, [(Work, "inner", "inner"), (Work, "outer", "outer")]), spans("rest"):
        for _ in range(20):
            Work().outer()
    found = spans.take()
    assert set(found) == {"rest", "outer", "inner"}
    assert found["inner"] > 10 * found["outer"]
    assert spans.take() == {}
    Work().outer()
    assert spans.take() == {}
