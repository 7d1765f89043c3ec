from dataclasses import replace

import pytest

from covey_privacy.signatures import SigningKey
from covey_sdk.errors import RegistryError
from covey_sdk.rules import BASE, MoneyCuts, Pair, SensitiveCategory, adopt, open_rules, sign_rules

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
        replace(BASE, sensitive=(SensitiveCategory("wine", "analytics"),)),
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
    with pytest.raises(RegistryError):
        open_rules(sign_rules(wrong, OPERATOR), OPERATOR.public)


def test_only_a_newer_bundle_is_adopted():
    assert adopt(sign_rules(NEWER, OPERATOR), OPERATOR.public, BASE) == NEWER
    assert adopt(sign_rules(NEWER, OPERATOR), OPERATOR.public, NEWER) == NEWER
    other = replace(NEWER, sensitive=())
    for old, current in ((BASE, NEWER), (other, NEWER)):
        with pytest.raises(RegistryError, match="3 is in use"):
            adopt(sign_rules(old, OPERATOR), OPERATOR.public, current)


@pytest.mark.parametrize(
    ("category", "purpose"),
    [
        ("COLD AND FLU", "health"),
        ("cold_med", "health"),
        ("Cold  Med", "health"),
        ("FAMILY PLANNING", "health"),
        ("FEMININE HYGIENE", "health"),
        ("ADULT INCONTINENCE", "health"),
        ("SMOKING CESSATIONS", "health"),
        ("FITNESS&DIET", "health"),
        ("DIAPERS & DISPOSABLES", "family"),
        ("infant_formula", "family"),
        ("pregnancy_test", "family"),
        ("BABYFOOD", "family"),
    ],
)
def test_sensitive_categories_are_known_in_any_spelling(category, purpose):
    assert BASE.purposes_of(category) == {purpose}


def test_what_is_not_sensitive_is_kept_for_any_ordinary_purpose():
    assert BASE.purposes_of("TEAS") == {"personalize", "replenish", "marketing"}


def test_a_shop_extends_the_sensitive_list_and_cannot_shorten_it():
    shop = replace(
        BASE, sensitive=(SensitiveCategory("WINE", "health"), SensitiveCategory("vitamins", "family"))
    )
    assert shop.purposes_of("wine") == {"health"}
    assert shop.purposes_of("cold and flu") == {"health"}
    assert shop.purposes_of("vitamins") == {"health"}
