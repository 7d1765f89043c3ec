"""Purposes: what a person may allow, and which events and tags each one needs.

`core` runs orders under the contract; the shop holds those, so `core` keeps no event on the phone.
"""

from __future__ import annotations

from collections.abc import Mapping

CORE = "core"
MEMBERSHIP = "membership"
PERSONALIZE = "personalize"
ANALYTICS = "analytics"
TRAIN = "train"
REPLENISH = "replenish"
MARKETING = "marketing"
HEALTH = "health"
FAMILY = "family"

CONTRACT = frozenset({CORE, MEMBERSHIP})
"""Purposes that rest on the contract (GDPR 6(1)(b), PIPL 13(2)); every other needs consent."""

SENSITIVE = frozenset({HEALTH, FAMILY})
"""Purposes whose data stay on the phone: no query and no training reads them."""

ORDINARY = frozenset({PERSONALIZE, REPLENISH, MARKETING})
"""Purposes that may keep what is not sensitive."""

_ORDERS = {PERSONALIZE: 400, REPLENISH: 180, MARKETING: 400, HEALTH: 400, FAMILY: 400}

EVENTS: Mapping[str, Mapping[str, int]] = {
    "order_paid": _ORDERS,
    "refund": _ORDERS,
    "app_open": {PERSONALIZE: 400, REPLENISH: 180},
    "item_view": {PERSONALIZE: 180},
    "cart_add": {PERSONALIZE: 400},
    "favorite": {PERSONALIZE: 400},
}
"""The purposes that need an event of each type, and for how many days each keeps it while it is allowed."""

TAGS: Mapping[str, str] = {
    "rfm.segment": PERSONALIZE,
    "lifecycle.stage": PERSONALIZE,
    "risk.churn_warning": PERSONALIZE,
    "risk.dormant": PERSONALIZE,
    "behav.core_user": PERSONALIZE,
    "behav.loyal_fan": PERSONALIZE,
    "behav.high_freq_trier": PERSONALIZE,
    "behav.price_sensitive": PERSONALIZE,
    "habit.weekly": PERSONALIZE,
    "pref.category": PERSONALIZE,
    "replenish.due": REPLENISH,
    "cross_sell.due": MARKETING,
    "complement.due": MARKETING,
}
"""The purpose under which each kind of tag is computed."""


def kind_of(tag: str) -> tuple[str, str]:
    """Return a tag id's kind and what it is about: ("habit.weekly", "tea:wed"), or all of it and nothing."""
    for kind in TAGS:
        if tag.startswith((f"{kind}:", f"{kind}.")):
            return kind, tag[len(kind) + 1 :]
    return tag, ""
