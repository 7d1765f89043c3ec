from pathlib import Path

import pytest

from covey_privacy.dp import SkellamMechanism, account
from covey_simulations.evaluation.sampling_epsilon import LABEL, readings

PAGE = Path(__file__).parents[2] / "docs" / "privacy.md"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("people", "drawn", "rounds", "delta", "poisson", "fixed_size", "known"),
    [(1000, 100, 100, 5e-4, 5.15, 11.51, 86.9), (10_000, 1000, 100, 4e-5, 6.41, 13.36, 93.2)],
)
def test_how_people_are_drawn_matters_more_than_the_noise(
    people, drawn, rounds, delta, poisson, fixed_size, known
):
    """Figures worked out beforehand; the guarantee there by Renyi divergence, and here the tighter one."""
    found = readings(1.0, people, drawn, rounds, delta)
    assert found.poisson == pytest.approx(poisson, abs=0.01)
    assert found.fixed_size == pytest.approx(fixed_size, abs=0.01)
    assert found.poisson < found.fixed_size < found.all_known <= known


def test_the_one_that_is_a_guarantee_is_the_accountants_own():
    found = readings(3.1, 1000, 500, 4, 1e-6)
    ours = account([SkellamMechanism(1024.0, 2048.0, (3.1 * 1024) ** 2, 8)] * 4, 1e-6)
    assert found.all_known == pytest.approx(ours.gaussian, rel=1e-3)


def test_what_docs_privacy_reads_is_what_comes_out():
    text = " ".join(PAGE.read_text("utf-8").split())
    found = readings(3.096, 60_000, 6000, 12, 1e-6)
    assert f"would read ε = {found.poisson:.2f} with each person drawn by lot" in text
    assert f"and {found.fixed_size:.2f} with cohorts of fixed size" in text
    assert f"the guarantee is {found.all_known:.2f} — *{LABEL}*" in text


def test_the_label_says_what_it_takes():
    assert LABEL == "only if who takes part is secret"
