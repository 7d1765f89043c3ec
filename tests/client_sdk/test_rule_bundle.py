from dataclasses import replace

import pytest

from covey_privacy.signatures import SigningKey, sign
from covey_sdk.errors import RegistryError
from covey_sdk.rule_bundle import (
    BASE,
    CONTEXT,
    Category,
    MoneyCuts,
    Pair,
    Rules,
    adopt,
    open_rules,
    sign_rules,
)

OPERATOR = SigningKey(bytes(32))
NEWER = replace(BASE, version=BASE.version + 1)


def test_a_signed_bundle_opens_as_it_was():
    opened = open_rules(sign_rules(NEWER, OPERATOR), OPERATOR.public)
    assert opened == NEWER
    assert opened.digest == NEWER.digest != BASE.digest


def test_a_bundle_of_another_signer_or_altered_is_refused():
    signed = sign_rules(NEWER, OPERATOR)
    for data in (sign_rules(NEWER, SigningKey(b"\1" * 32)), signed[:-1] + b"\0", signed[:40], b""):
        with pytest.raises(RegistryError, match="rule bundle is refused"):
            open_rules(data, OPERATOR.public)


@pytest.mark.parametrize(
    "wrong",
    [
        replace(BASE, rfm=replace(BASE.rfm, mode="guess")),
        replace(BASE, lifecycle=replace(BASE.lifecycle, lost=90)),
        replace(BASE, categories=(Category("wine", "analytics"),)),
        replace(BASE, categories=(Category("wine", "ordinary"), Category("wine", "health"))),
        replace(BASE, categories=(Category("wine", "ordinary"), Category("WINE ", "health"))),
        replace(BASE, categories=(Category("dry_wine", "ordinary"), Category("Dry  Wine", "ordinary"))),
        replace(BASE, categories=(Category(" _", "ordinary"),)),
        replace(BASE, categories=(Category("", "ordinary"),)),
        replace(BASE, categories=(Category("x" * 129, "ordinary"),)),
        replace(BASE, rfm=replace(BASE.rfm, order_window_days=0)),
        replace(BASE, currency="XQZ"),
        replace(BASE, currency=""),
        replace(BASE, money=(MoneyCuts("yuan", 1.0, 1),)),
        replace(BASE, money=(MoneyCuts("USD", 1.0, 1),)),
        replace(BASE, money=(MoneyCuts("CNY", 1.0, 1), MoneyCuts("CNY", 2.0, 2))),
        replace(BASE, money=(MoneyCuts("CNY", float("nan"), 1),)),
        replace(BASE, money=(MoneyCuts("CNY", 1.0, -1),)),
        replace(BASE, habit=replace(BASE.habit, weeks=2)),
        replace(BASE, complement=(Pair("phone", "case", 10, 7),)),
        replace(BASE, preference=replace(BASE.preference, share=1.5)),
        replace(BASE, churn=replace(BASE.churn, factor=float("nan"))),
    ],
)
def test_a_bundle_that_makes_no_sense_is_refused(wrong):
    for make in (sign_rules, lambda rules, key: sign(CONTEXT, rules, key)):
        with pytest.raises(RegistryError):
            open_rules(make(wrong, OPERATOR), OPERATOR.public)


def test_only_a_newer_bundle_is_adopted():
    assert adopt(sign_rules(NEWER, OPERATOR), OPERATOR.public, BASE) == NEWER
    assert adopt(sign_rules(NEWER, OPERATOR), OPERATOR.public, NEWER) == NEWER
    other = replace(NEWER, categories=(Category("wine", "health"),))
    for old, current in ((BASE, NEWER), (other, NEWER)):
        with pytest.raises(RegistryError, match="3 is in use"):
            adopt(sign_rules(old, OPERATOR), OPERATOR.public, current)


SHOP: Rules = replace(
    BASE,
    categories=(Category("TEAS", "ordinary"), Category("10-4", "health"), Category("diapers", "family")),
)
EVERYTHING = frozenset({"personalize", "replenish", "marketing", "health", "family"})


def test_each_kind_has_the_purposes_that_may_keep_it():
    for purpose in EVERYTHING:
        assert SHOP.keeps("TEAS", {purpose}) == (purpose not in ("health", "family"))
        assert SHOP.keeps("10-4", {purpose}) == (purpose == "health")
        assert SHOP.keeps("diapers", {purpose}) == (purpose == "family")


@pytest.mark.parametrize(
    "category", ["teas", "TEAS ", "TEA S", "T_EAS", "Teas", "\uff34\uff25\uff21\uff33", "10_4", "wine"]
)
def test_what_is_not_mapped_exactly_takes_both_sensitive_purposes(category):
    assert SHOP.kind_of(category) is None
    for left_out in ("health", "family"):
        assert not SHOP.keeps(category, EVERYTHING - {left_out})
    assert SHOP.keeps(category, {"health", "family"})


def test_the_built_in_bundle_maps_nothing():
    assert BASE.categories == ()
    assert not BASE.keeps("tea", {"personalize", "replenish", "marketing"})
