import numpy as np

from covey_simulations.scenarios import random_choices

HOUSEHOLDS = range(1, 2501)


def share(drawn) -> float:
    return float(np.mean(list(drawn)))


def test_a_seed_fixes_every_draw_and_another_seed_changes_them():
    def drawn(seed):
        return [
            (
                random_choices.grants(seed, h),
                random_choices.withdraws(seed, h),
                random_choices.goes_dark(seed, h, "q1"),
            )
            for h in HOUSEHOLDS
        ]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_shares_are_as_stated():
    """Four standard deviations of 2,500 draws are at most .04."""
    grants = [random_choices.grants(5, h) for h in HOUSEHOLDS]
    personal = [some for some in grants if some]
    assert abs(share(bool(some) for some in grants) - 0.85) < 0.03
    assert abs(share("analytics" in some for some in personal) - 0.80) < 0.04
    assert abs(share("train" in some for some in personal) - 0.75) < 0.04
    assert abs(share(random_choices.withdraws(5, h) for h in HOUSEHOLDS) - 0.05) < 0.02


def test_statistics_and_training_come_only_with_personalisation():
    assert all("personalize" in some for h in HOUSEHOLDS if (some := random_choices.grants(5, h)))


def test_phones_go_dark_in_two_exchanges():
    exchanges = {random_choices.goes_dark(5, h, "q20") for h in HOUSEHOLDS}
    assert exchanges == {"", "contribute", "open"}
    assert share(bool(random_choices.goes_dark(5, h, "q20")) for h in HOUSEHOLDS) < 0.04
