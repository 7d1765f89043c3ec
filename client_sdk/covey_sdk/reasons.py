"""Reasons: why an item ranks where it does, as amounts that add up to its score, and in plain words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from covey_models import repurchase
from covey_models.recommender import on_device
from covey_sdk.translations import translate

SINGLY = 3
"""So many bought items are named, those that matter most; the others are one reason together."""


@dataclass(frozen=True, slots=True)
class Reason:
    """What `code` says adds `amount` to the score; `about` is a bought item or a group, or empty."""

    code: str
    amount: float
    about: str
    said_en: str
    said_zh: str


def of_new(parts: on_device.ScoreParts, row: int, bought: Sequence[str]) -> tuple[Reason, ...]:
    """Return the reasons for item number `row` of the parts; `bought` names the columns of `goes_with`."""
    reasons = (
        _reason("popular", parts.popularity[row]),
        _reason("adopted", parts.adoption[row]),
        *_companions(parts.goes_with[row], bought),
        _reason("average", parts.average[row]),
    )
    return _telling(reasons)


def of_again(
    parts: repurchase.RepurchaseParts, place: int | np.intp, ages: Sequence[int]
) -> tuple[Reason, ...]:
    """Return the reasons for the item at `place`, bought so many days ago, the oldest first."""
    reasons = (
        _reason("frequent", parts.frequency[place], count=str(len(ages))),
        _reason("recent", parts.recency[place], count=str(ages[-1])),
        _reason("popular", parts.popularity[place]),
    )
    return _telling(reasons)


def of_public_order() -> tuple[Reason, ...]:
    """Return the reason of a list that is the same for everyone."""
    return (Reason("public_order", 0.0, "", *translate("public_order")),)


def of_group(score: float, group: str) -> tuple[Reason, ...]:
    """Return the reason for an item that is newer than the model and scored as its `group` is."""
    return _telling((_reason("group", score, about=group),))


def of_unknown() -> tuple[Reason, ...]:
    """Return the reason for an item that the model does not know."""
    return (Reason("unknown", 0.0, "", *translate("unknown")),)


def _companions(amounts: on_device.Vector, bought: Sequence[str]) -> Iterable[Reason | None]:
    """Return the strongest few singly, and the others as one where there are several."""
    order = np.argsort(-np.abs(amounts), kind="stable")
    singly = SINGLY if len(order) > SINGLY + 1 else len(order)
    for place in order[:singly]:
        yield _reason("goes_with", amounts[place], about=bought[place])
    others = order[singly:]
    yield _reason("goes_with_others", amounts[others].sum(), count=str(len(others)))


def _telling(reasons: Iterable[Reason | None]) -> tuple[Reason, ...]:
    """Return the reasons that say something, the strongest first; if none does, the public order decides."""
    telling = [reason for reason in reasons if reason is not None]
    return tuple(sorted(telling, key=lambda reason: -abs(reason.amount))) or of_public_order()


def _reason(code: str, amount: float, about: str = "", **words: str) -> Reason | None:
    """Return the reason in words that fit the amount's sign; None for an amount of 0, which says nothing."""
    if amount == 0:
        return None
    phrase = f"{code}_for" if amount > 0 else f"{code}_against"
    return Reason(code, float(amount), about, *translate(phrase, about=about, **words))
