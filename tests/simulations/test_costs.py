import json
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest

from covey_privacy.dp import SkellamMechanism, account
from covey_privacy.secagg.shape import choose_shape
from covey_privacy.secagg.tail_bounds import log2_chance
from covey_simulations import costs
from covey_simulations.report.pages import odds

PAGE = Path(__file__).parents[2] / "docs" / "privacy.md"


@pytest.fixture(scope="module")
def rows():
    return list(costs.rows())


def test_the_pages_table_is_what_the_code_gives(rows):
    """Where it is not: run `python -m covey_simulations.costs` and put what it prints between the marks."""
    text = PAGE.read_text("utf-8")
    assert re.findall(r"costs -->\n(.*)<!-- end", text, re.DOTALL) == [costs.markdown(rows)]


def test_what_the_page_says_of_the_table_is_in_it(rows):
    text = " ".join(PAGE.read_text("utf-8").split())
    q20, q1 = rows[:2]
    assert f"at 400 people ε is {q20.alone:.0f} for Q20 and {q1.alone:.0f} for Q1" in text
    said = {ε: int(f"{100 * odds(ε, 1e-6):.0f}") for ε in (0.6, 1.4, 4.0)}
    assert f"At ε = 0.6 they are right at most {said[0.6]} times in 100, at 1.4 at most {said[1.4]}" in text
    assert f"at 4 at most {said[4.0]}." in text


def test_every_row_keeps_to_its_budget_and_both_together_cost_less_than_their_sum(rows):
    budgets = {"Q20": 0.6, "Q1": 1.4, "P1, 1 sum": 4.0, "P1, 3 sums": 4.0, "all of them": 6.0}
    for row in rows:
        assert 0.7 * budgets[row.rounds] < row.spent.epsilon <= budgets[row.rounds] * (1 + 1e-6)
        assert row.spent.epsilon <= row.spent.rdp


def test_what_the_draws_add_to_delta_changes_no_budget(rows):
    steps = costs.plan_training(costs.TRAIN, 10_000, costs.ITEMS, costs.DELTA).steps
    honest = costs.honest(10_000)
    distance = sum(costs._distance(step, honest) for step in steps)
    assert 0 < distance < 1e-26
    assert rows[-2].spent == account([step.mechanism for step in steps], costs.DELTA)


def test_alone_is_a_person_in_a_crowd_of_nobody(rows):
    """One's own share of Q1's noise among 400: the variance over n_h, as one mechanism."""
    row = rows[1]
    share = (row.sigmas[0] * 16384) ** 2 / row.honest
    own = account([SkellamMechanism(16384.0, 16384 * math.sqrt(8), share)], costs.DELTA).epsilon
    assert row.alone == pytest.approx(own, rel=0.02)
    assert row.alone > 30 * row.spent.epsilon


def test_the_command_prints_the_same_for_a_program(rows):
    ran = subprocess.run(
        [sys.executable, "-m", "covey_simulations.costs", "--json"],
        capture_output=True,
        check=True,
        text=True,
    )
    found = json.loads(ran.stdout)
    assert [row["spent"]["epsilon"] for row in found] == [row.spent.epsilon for row in rows]
    assert all(-45 < row["corrupt_committee_log2"] <= -40 for row in found)


def test_noise_is_for_the_least_set_without_the_corrupt_and_oneself():
    """Of 400 with tickets 380 come; 21 of the 420 that are counted with may be corrupt."""
    assert costs.honest(400) == 380 - 21 - 1


def test_a_committee_is_corrupt_less_often_than_the_rule_says_and_one_member_fewer_would_be_too_often():
    assert costs.corrupt_committee(400) <= -40
    shape = choose_shape(400, 21, costs.LOST)
    assert log2_chance(400, 21, shape.members, shape.privacy - 2) > -40
