"""Buying again: what one person buys often and lately ranks first, the more popular one between equals.

    score = log(1 + faded) + 0.1 * log(popularity * items)

`faded` is the number of days on which the item was bought, each counting half as much every 120 days. It is
personal frequency with popularity as tie-break (GP-TopFreq; Li et al., TOIS 2023) that forgets. Nothing is
learnt from others but popularity. Both numbers did best, for their simplicity, on the Complete Journey's 28
days from day 309.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

HALF_LIFE = 120.0
"""After so many days a purchase counts half."""

_POPULARITY = 0.1


@dataclass(frozen=True)
class RepurchaseParts:
    """What the scores are made of, float64, in the shape of what was asked: added up, they are the scores.

    `frequency`, at least 0, is for the days on which the item was bought; `recency`, at most 0, takes off
    what lies back; `popularity` holds the item against the average one.
    """

    frequency: Vector
    recency: Vector
    popularity: Vector


def faded(ages: Iterable[float]) -> float:
    """Return what purchases of these ages, in days, still count: 1 each when they are of today."""
    return float(sum(2.0 ** (-age / HALF_LIFE) for age in ages))


def parts(days: Vector, faded: Vector, popularity: Vector) -> RepurchaseParts:
    """Return the parts of every item's score, [..., m].

    `days` is on how many days the person bought each item and `faded` what these still count, [..., m];
    `popularity`, [m], is each item's share of all histories.
    """
    frequency = np.log1p(days)
    tie_break = np.broadcast_to(_POPULARITY * np.log(popularity * popularity.size), days.shape)
    return RepurchaseParts(frequency, np.log1p(faded) - frequency, tie_break)


def score(days: Vector, faded: Vector, popularity: Vector) -> Vector:
    """Return every item's score, [..., m], the higher the better. See `parts`."""
    made_of = parts(days, faded, popularity)
    return made_of.frequency + made_of.recency + made_of.popularity
