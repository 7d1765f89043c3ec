"""What the pages say that a lying device can do, done; and that the pages say it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from secagg_rounds import contribute, issuers, players, vectors

from covey_models import QUERIES
from covey_privacy.dp import Skellam, noise_share
from covey_privacy.dp.encoding import Encoding
from covey_privacy.secagg.field import Q
from covey_server.plan import Size, fitted

__all__ = ["issuers", "players"]

ROOT = Path(__file__).parents[3]
Q1 = QUERIES["q1"]


def page(name: str) -> str:
    return " ".join((ROOT / name).read_text("utf-8").split())


def test_stated_limits_are_true():
    """The pages no longer promise what nothing enforces, and say what is true instead."""
    every = "".join(page(str(path)) for path in (ROOT / "docs").glob("*.md")) + page("README.md")
    for false in (
        "poison within its norm",
        "It has spent its ticket each time",
        "nobody chooses who is whose",
    ):
        assert false not in every, f"a page still says {false!r}"
    assert "**Vectors out of their norm are not caught.**" in page("docs/one-message.md")


def test_one_device_moves_a_released_count_by_hundreds():
    people, honest = 400, 341
    (step,) = fitted([Size(Q1.id, Q1.length, Q1.norm)], 1.4, people, 1e-6).steps
    encoding = Encoding(Q1.length, Q1.norm, step.scale, step.bits, bytes(32))
    noise, total = Skellam(noise_share(step.sigma, step.scale, honest)), np.zeros(encoding.padded, np.int64)
    truth = np.array([120, 80, 60, 40, 40, 20, 24, 15])
    for segment in np.repeat(np.arange(8), truth):
        total += encoding.encode(np.eye(8)[segment]) + noise.sample(encoding.padded)
    lie = replace(encoding, norm=400.0).encode(np.array([-100, 0, 0, 0, 0, 0, 0, 300.0]))
    vector = encoding.decode(encoding.to_ring(total + lie))
    sd = step.sigma * (people / honest) ** 0.5
    Q1.require_sane(vector, people, sd)
    *_, released = Q1.release(vector, sd).values()
    assert released is not None
    assert released > 250


def test_random_numbers_in_place_of_a_vector_spoil_the_sum_and_name_nobody(players):
    played, given = players("standing"), vectors(12, 40)
    rubbish = np.random.default_rng(1).integers(-Q // 2, Q // 2, 40)
    contribute(played, np.vstack([rubbish, given[1:]]))
    result = played.finish()
    assert (result.vector != given.sum(axis=0)).any()
    assert (result.members, result.excluded) == (12, ())
