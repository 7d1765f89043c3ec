"""Audits of whole counts and trainings: the shipped builds keep their claims, every broken one is caught."""

import json
import math

import covey
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from covey_privacy.dp import Encoding, SkellamMechanism, epsilon
from covey_privacy.secagg.contributor import Contributor
from covey_simulations.audit import plan_runs, rounds
from covey_simulations.audit.builds import BUILDS, Build
from covey_simulations.audit.canaries import Canaries, turns
from covey_simulations.audit.command import BROKEN, KEPT, UNCLEAR, AuditOptions, measure, row, show
from covey_simulations.audit.subjects import DELTA, NAMES, subject

CODE = Encoding(64, 1.5, 1024.0, 24, bytes(32))
sides = st.floats(0.01, 100)


@given(sides, sides, sides)
def test_the_turns_close_a_triangle_or_as_much_of_it_as_they_can(a, b, c):
    directions = turns(a, b, c)
    assert [np.linalg.norm(turn) for turn in directions] == pytest.approx([1, 1, 1])
    rest = np.linalg.norm(sum(side * turn for side, turn in zip((a, b, c), directions, strict=True)))
    open_by = 2 * max(a, b, c) - (a + b + c)
    assert rest == pytest.approx(max(open_by, 0), abs=1e-6 * max(a, b, c))


@given(st.floats(0, 2 * math.pi), st.randoms(use_true_random=False))
def test_a_canary_is_as_long_as_allowed_and_found_where_it_is_alone(angle, random):
    canaries = Canaries.drawn(32, random.randbytes)
    assume(canaries.take_part.any())
    turn = np.array([math.cos(angle), math.sin(angle)])
    vectors = canaries.vectors(CODE, turn)
    assert len(vectors) == canaries.take_part.sum()
    assert [np.linalg.norm(vector) for vector in vectors] == pytest.approx([1.5] * len(vectors))
    total = sum(CODE.encode(vector) for vector in vectors)
    found = canaries.found(total / CODE.scale, turn)
    assert found == pytest.approx(1.5 * canaries.take_part, abs=0.01)


def test_canaries_take_part_by_a_fair_coin():
    drawn = Canaries.drawn(4000, np.random.default_rng(1).bytes)
    assert drawn.take_part.mean() == pytest.approx(0.5, abs=0.04)
    assert drawn.signs.mean(axis=0) == pytest.approx([0, 0], abs=0.07)
    assert np.corrcoef(drawn.signs[:, 0], drawn.take_part)[0, 1] == pytest.approx(0, abs=0.07)


@pytest.mark.parametrize("name", NAMES)
def test_the_plan_is_of_the_questions_that_are_asked_and_costs_what_it_claims(name):
    audited = subject(name)
    totals, mechanisms = [], []
    for step in audited.plan.steps:
        question = audited.question(totals)
        encoding = Encoding(question.length, step.norm, step.scale, step.bits, bytes(32))
        assert (question.id, question.norm, encoding.padded) == (step.query, step.norm, step.length)
        totals.append(np.sum([question.contribute(facts) for facts in audited.households], axis=0))
        assert np.abs(totals[-1]).max() > 0
        mechanisms.append(SkellamMechanism.for_encoding(encoding, step.sigma))
    assert 0.99 * audited.plan.epsilon < epsilon(mechanisms, DELTA) <= audited.plan.epsilon
    assert 2 * audited.canaries <= min(step.length for step in audited.plan.steps)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "build", [build for build in BUILDS if build.times == 1], ids=lambda build: build.name
)
def test_a_build_is_caught_if_and_only_if_it_is_broken(name, build):
    audited, random = subject(name), np.random.default_rng(1).bytes
    bounds = [plan_runs.play_plans(audited, build, random) for _ in range(2)]
    assert [bound > audited.plan.epsilon for bound in bounds] == [build.broken] * 2


@pytest.mark.parametrize("length", [8, 128, 2048])
def test_a_round_opens_the_sum_of_its_vectors(length):
    given = list(np.random.default_rng(1).integers(-(2**26), 2**26, (6, length)))
    assert np.array_equal(rounds.opened_sum(given), np.sum(given, axis=0))
    assert np.array_equal(rounds.plain_sum(given), np.sum(given, axis=0))


@pytest.mark.parametrize("build", [Build("as shipped"), Build("no odometer", times=2)], ids=lambda b: b.name)
def test_a_build_that_plays_one_plan_sends_the_protocols_messages(monkeypatch, build):
    sent = []
    contribute = Contributor.contribute

    def counted(*arguments):
        sent.append(arguments)
        return contribute(*arguments)

    monkeypatch.setattr(Contributor, "contribute", counted)
    audited, random = subject("q1"), np.random.default_rng(1).bytes
    canaries = Canaries.drawn(audited.canaries, random)
    plan_runs.scores(audited, build, canaries, random)
    phones = len(audited.households) + canaries.take_part.sum()
    assert len(sent) == (3 * phones if build.times == 1 else 0)


def test_without_canaries_a_score_is_the_plans_noise():
    """A canary that stays away scores noise, which must spread as far as the plan says."""
    audited = subject("q20")
    step = audited.plan.steps[0]
    nobody = Canaries(np.ones((audited.canaries, 2)), np.zeros(audited.canaries, bool))
    scores = plan_runs.scores(audited, Build("as shipped"), nobody, np.random.default_rng(1).bytes)
    signal = math.sqrt(3) * step.norm / step.sigma
    assert scores.std() == pytest.approx(signal, rel=0.3)
    assert abs(scores.mean()) < 4 * signal / math.sqrt(audited.canaries)


def test_a_verdict_is_not_talked_into_what_was_expected():
    hidden = (Build("as shipped"), Build("hardly broken", noise=0.99))
    found = measure(AuditOptions(runs=1, of=("q20",), builds=hidden))
    assert [each["verdict"] for each in found["builds"]] == [KEPT] * 2
    assert [each["as_expected"] for each in found["builds"]] == [True, False]
    assert not found["as_expected"]


@pytest.mark.parametrize(
    ("bounds", "verdict"),
    [([0.1, 0.2], KEPT), ([2.1, 0.2], UNCLEAR), ([2.1, 2.2], BROKEN)],
)
def test_one_run_above_the_claim_is_no_proof_and_no_acquittal(bounds, verdict):
    found = row("p1", Build("as shipped"), bounds)
    assert (found["verdict"], found["as_expected"]) == (verdict, verdict == KEPT)


def test_a_table_for_people(capsys):
    found = row("p1", Build("no clipping", clip=10.0), [2.5, 3.0])
    show({"runs": 2, "confidence": 0.95, "delta": DELTA, "builds": [found]})
    said = capsys.readouterr().out
    assert "no clipping" in said
    assert "2.75" in said


def test_no_runs_are_refused_in_one_line(capsys):
    assert covey.main(["audit", "--runs", "0"]) == 2
    assert "at least 1" in capsys.readouterr().err


@pytest.mark.slow
def test_twenty_runs_of_everything(capsys):
    assert covey.main(["audit", "--runs", "20", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["builds"]) == len(NAMES) * len(BUILDS)
    for each in found["builds"]:
        assert each["above"] == (20 if each["broken_on_purpose"] else 0), each
