"""The rule bundle of the simulated shop: Covey's own numbers, and the data set's categories mapped.

`categories.json` is the starter mapping for the Complete Journey: `covey catalogue classify` proposed it, and
it was looked through by hand, beside the product types that each category holds. Categories listed as
`undecided` hold goods of several kinds (natural remedies, magazines, coupons for anything): they stay
unmapped, and so sensitive.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from importlib import resources

from covey_privacy.signatures import SigningKey
from covey_sdk import category_mapping
from covey_sdk.category_mapping import CategoryMapping
from covey_sdk.rule_bundle import BASE, Rules, sign_rules

NAME = "rules.signed"
"""The file that the shop publishes the signed bundle in."""


@lru_cache(maxsize=1)
def mapping() -> CategoryMapping:
    """Return the mapping of the data set's product categories."""
    data = resources.files(__package__).joinpath("categories.json").read_bytes()
    return category_mapping.read_mapping(data)


def rules() -> Rules:
    """Return the bundle that the shop signs."""
    return replace(BASE, version=BASE.version + 1, categories=mapping().categories)


def signed(key: SigningKey) -> bytes:
    """Return the bundle signed by the operator."""
    return sign_rules(rules(), key, mapping().names)
