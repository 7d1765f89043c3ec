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
HEALTH = "health"
FAMILY = "family"

CONTRACT = frozenset({CORE, MEMBERSHIP})
"""Purposes that rest on the contract (GDPR 6(1)(b), PIPL 13(2)); every other needs consent."""

SENSITIVE = frozenset({HEALTH, FAMILY})
"""Purposes whose data stay on the phone: no query and no training reads them."""

EVENTS: Mapping[str, frozenset[str]] = {
    "order_paid": frozenset({PERSONALIZE, HEALTH, FAMILY}),
    "refund": frozenset({PERSONALIZE, HEALTH, FAMILY}),
    "app_open": frozenset({PERSONALIZE}),
}
"""The purposes that need an event of each type; it is kept while one of them is allowed."""

TAGS: Mapping[str, str] = {
    "rfm.segment": PERSONALIZE,
    "lifecycle.stage": PERSONALIZE,
    "risk.churn_warning": PERSONALIZE,
    "risk.dormant": PERSONALIZE,
    "behav.core_user": PERSONALIZE,
    "behav.loyal_fan": PERSONALIZE,
    "behav.high_freq_trier": PERSONALIZE,
}
"""The purpose under which each tag is computed."""
