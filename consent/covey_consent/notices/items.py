"""The items that a notice has to state (GDPR Art. 13 and 14, PIPL Art. 17 and what it refers to)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from covey_consent.policy.purposes import Purpose


@dataclass(frozen=True, slots=True)
class Item:
    """One item: the articles that ask for it, of which purposes, and the fact that its words have to give."""

    name: str
    articles: str
    fact: str | None = None
    asked_of: Callable[[Purpose], bool] = lambda _: True


ITEMS = (
    Item("controller", "GDPR 13(1)(a), PIPL 17(1)", "name"),
    Item("contact", "GDPR 13(1)(b), PIPL 17(1)", "contact"),
    Item("purpose", "GDPR 13(1)(c), PIPL 17(2)"),
    Item("data", "GDPR 14(1)(d), PIPL 17(2)"),
    Item("method", "PIPL 17(2)"),
    Item("source", "GDPR 14(2)(f)"),
    Item("recipients", "GDPR 13(1)(e), PIPL 23", "recipients"),
    Item("transfers", "GDPR 13(1)(f), PIPL 39", "transfers"),
    Item("retention", "GDPR 13(2)(a), PIPL 17(2)"),
    Item("automated", "GDPR 13(2)(f), PIPL 24"),
    Item("necessity", "GDPR 9(2)(a), PIPL 30", asked_of=lambda purpose: purpose.sensitive),
    Item("obligation", "GDPR 13(2)(e), PIPL 16"),
    Item("rights", "GDPR 13(2)(b), PIPL 17(3)", "rights_url"),
    Item("withdrawal", "GDPR 13(2)(c), PIPL 15", asked_of=lambda purpose: purpose.needs_consent),
    Item("complaint", "GDPR 13(2)(d), PIPL 65", "authority"),
)
"""In the order in which a notice states them."""

NAMES = frozenset(item.name for item in ITEMS)


def asked_of(purpose: Purpose) -> tuple[Item, ...]:
    """Return the items that a notice for `purpose` has to state."""
    return tuple(item for item in ITEMS if item.asked_of(purpose))
