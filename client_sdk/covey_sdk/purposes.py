"""Purposes: what a person may allow, and which events each one needs.

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
