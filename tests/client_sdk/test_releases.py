import os
from dataclasses import replace

import pytest

from covey_privacy.release import Figure, Release, sign_release
from covey_privacy.signatures import SigningKey
from covey_sdk import rule_bundle
from covey_sdk.errors import RegistryError
from covey_sdk.releases import Releases
from covey_sdk.store import Store

SHOP = SigningKey(os.urandom(32))
CUTS = {"recency": 6.5, "frequency": 40.0, "monetary": 2650.0}


@pytest.fixture
def releases(tmp_path):
    store = Store(tmp_path / "covey.db", bytes(32))
    yield Releases(store, SHOP.public)
    store.close()


def cuts(version=1, key=SHOP, **changes) -> bytes:
    figures = tuple(Figure(name, value) for name, value in {**CUTS, **changes}.items())
    return sign_release(Release("q20", version, f"q20-{version}", figures), key)


def test_released_medians_become_the_cuts(releases):
    releases.keep("q20", cuts())
    rfm = releases.apply(rule_bundle.BASE).rfm
    assert (rfm.mode, rfm.recency_days, rfm.orders, rfm.mean_order_minor) == ("population", 6.5, 40.0, 2650.0)
    assert rfm.order_window_days == rule_bundle.BASE.rfm.order_window_days


def test_without_a_release_the_fixed_cuts_stand(releases):
    assert releases.apply(rule_bundle.BASE) == rule_bundle.BASE


def test_until_medians_are_released_the_cuts_of_a_population_bundle_are_its_own(releases):
    fixed = rule_bundle.BASE.rfm
    bundle = replace(rule_bundle.BASE, rfm=replace(fixed, mode="population"))
    assert releases.apply(bundle).rfm == fixed
    releases.keep("q20", cuts())
    assert releases.apply(bundle).rfm.mode == "population"


@pytest.mark.parametrize("hidden", CUTS)
def test_a_suppressed_median_leaves_the_fixed_cuts(releases, hidden):
    releases.keep("q20", cuts(**{hidden: None}))
    assert releases.apply(rule_bundle.BASE) == rule_bundle.BASE


def test_an_older_release_is_refused(releases):
    releases.keep("q20", cuts(version=2, recency=9.0))
    with pytest.raises(RegistryError, match="release 1 of q20 is older than 2"):
        releases.keep("q20", cuts(version=1))
    assert releases.latest("q20")["recency"] == 9.0


def test_a_newer_release_replaces_the_one_before(releases):
    releases.keep("q20", cuts(version=1))
    releases.keep("q20", cuts(version=2, recency=9.0))
    assert releases.apply(rule_bundle.BASE).rfm.recency_days == 9.0


def test_a_release_of_another_signer_is_refused(releases):
    with pytest.raises(RegistryError, match="not signed by the operator"):
        releases.keep("q20", cuts(key=SigningKey(bytes(32))))
    assert releases.latest("q20") is None
