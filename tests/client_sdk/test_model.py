"""The model on the phone: a listing and a release of arrays, taken only where both can be ranked by."""

import hashlib
import os
from dataclasses import replace

import numpy as np
import pytest

from covey_models.recommender.steps import AXES, BASE, CATALOGUE, MODEL
from covey_privacy.catalogue_document import Level, Listing, sign_listing
from covey_privacy.release import Array, Figure, Release, sign_release
from covey_privacy.signatures import SigningKey
from covey_sdk.errors import ConsentError, RegistryError
from covey_sdk.events import OrderLine

ITEMS = ("bread", "coffee", "milk", "soap", "tea")
SHARES = np.array([0.4, 0.1, 0.3, 0.1, 0.1])
ARRAYS = {"popularity": SHARES, "rate": np.full(5, 0.05), "factors": np.eye(5)[:, :2]}
STRANGER = SigningKey(os.urandom(32))


def listing_of(version=1, items=ITEMS, levels=None):
    if levels is None:
        levels = (Level.from_groups("department", tuple(item[0] for item in items)),)
    return Listing(version, items, levels)


def model_of(listing, version=1, name=MODEL, mix=0.5, **arrays):
    values = {key: value for key, value in {**ARRAYS, **arrays}.items() if value is not None}
    made = tuple(
        value if isinstance(value, Array) else Array.from_numpy(key, value) for key, value in values.items()
    )
    return Release(name, version, f"{name}-{version}", (Figure("mix", mix),), made, (digest(listing),))


def digest(signed):
    return hashlib.sha256(signed).digest()


@pytest.fixture
def listed(shop):
    return sign_listing(listing_of(), shop.operator)


@pytest.fixture
def ready(device, shop, listed, order):
    """A device with the listing, the model and an order of bread."""
    device.record(order(3, lines=(OrderLine("bread", "bakery", 300),)))
    device.adopt(CATALOGUE, listed)
    device.adopt(MODEL, sign_release(model_of(listed), shop.operator))
    return device


def ranked(device):
    answer = device.recommend(ITEMS, 5)
    public = {reason.code for each in answer for reason in each.reasons} == {"public_order"}
    return "public" if public else [each.item for each in answer]


def test_the_phone_ranks_by_what_it_adopted(ready):
    assert ranked(ready)[0] == "milk"
    assert "bread" not in ranked(ready)
    assert ready.releases.model().version == 1


def test_without_listing_or_model_the_public_order_stands(device, shop, listed):
    assert ranked(device) == "public"
    device.adopt(MODEL, sign_release(model_of(listed), shop.operator))
    assert device.releases.model() is None
    assert ranked(device) == "public"


@pytest.mark.parametrize("name", [CATALOGUE, MODEL])
def test_what_the_operator_did_not_sign_is_refused(device, shop, listed, name):
    signed = {
        CATALOGUE: sign_listing(listing_of(), STRANGER),
        MODEL: sign_release(model_of(listed), STRANGER),
    }
    for wrong in (signed[name], b"", b"nonsense"):
        with pytest.raises(RegistryError, match="is refused"):
            device.adopt(name, wrong)
    assert device.releases.kept([name]) == (b"",)


def test_a_listing_is_no_release_and_a_release_no_listing(device, shop, listed):
    with pytest.raises(RegistryError, match="not signed"):
        device.adopt(CATALOGUE, sign_release(model_of(listed), shop.operator))
    with pytest.raises(RegistryError, match="not signed"):
        device.adopt(MODEL, listed)


def test_a_release_under_another_name_is_refused(device, shop, listed):
    with pytest.raises(RegistryError, match="a release of p1 was expected; one of p1-base came"):
        device.adopt(MODEL, sign_release(model_of(listed, name=BASE), shop.operator))
    assert device.releases.model() is None


def test_nothing_older_is_taken(ready, shop, listed):
    newer = sign_listing(listing_of(3), shop.operator)
    ready.adopt(CATALOGUE, newer)
    with pytest.raises(RegistryError, match="listing 1 of catalogue is older than 3"):
        ready.adopt(CATALOGUE, listed)
    ready.adopt(MODEL, sign_release(model_of(newer, 3), shop.operator))
    with pytest.raises(RegistryError, match="release 2 of p1 is older than 3"):
        ready.adopt(MODEL, sign_release(model_of(newer, 2), shop.operator))
    assert ready.releases.model().version == 3


def test_a_version_is_given_once(ready, shop, listed):
    with pytest.raises(RegistryError, match="another listing 1 of catalogue"):
        ready.adopt(CATALOGUE, sign_listing(listing_of(items=ITEMS[::-1]), shop.operator))
    with pytest.raises(RegistryError, match="another release 1 of p1"):
        ready.adopt(MODEL, sign_release(model_of(listed, mix=0.4), shop.operator))
    ready.adopt(CATALOGUE, listed)
    ready.adopt(MODEL, sign_release(model_of(listed), shop.operator))
    assert ranked(ready)[0] == "milk"


def test_a_model_that_rests_on_another_listing_ranks_nothing(ready, shop, listed):
    ready.adopt(CATALOGUE, sign_listing(listing_of(2, ITEMS[::-1]), shop.operator))
    assert ready.releases.model() is None
    assert ranked(ready) == "public"
    assert ready.explain("tea").ranking == "public_order"


@pytest.mark.parametrize("more", [(), ("a", "second")])
def test_a_model_that_rests_on_more_or_less_ranks_nothing(ready, shop, listed, more):
    rests_on = tuple(map(digest, map(str.encode, more)))
    resting = replace(model_of(listed, 2), rests_on=(digest(listed), *rests_on) if more else ())
    ready.adopt(MODEL, sign_release(resting, shop.operator))
    assert ranked(ready) == "public"


def test_a_model_over_more_items_than_its_listing_ranks_nothing(ready, shop, listed):
    six = {"popularity": np.full(6, 1 / 6), "rate": np.ones(6), "factors": np.eye(6)}
    ready.adopt(MODEL, sign_release(model_of(listed, 2, **six), shop.operator))
    assert ready.releases.model() is None
    assert ranked(ready) == "public"


def unit(values, **changes):
    """An array that no honest coordinator could have made with `Array.from_numpy`."""
    return replace(Array.from_numpy("popularity", values), **changes)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"popularity": SHARES * 1.01}, "adds up to"),
        ({"popularity": np.array([0.6, 0.4, 0.2, -0.1, -0.1])}, "above 0"),
        ({"popularity": SHARES[:, None]}, r"popularity came as \(5, 1\)"),
        ({"popularity": unit(SHARES, data=np.array([np.nan] * 5, "<f4").tobytes())}, "not finite"),
        ({"popularity": unit(SHARES, data=np.array([np.inf] * 5, "<f4").tobytes())}, "not finite"),
        ({"popularity": unit(SHARES, data=bytes(19))}, "19 bytes for the shape"),
        ({"popularity": unit(SHARES, shape=(6,))}, "20 bytes for the shape"),
        ({"popularity": unit(SHARES, shape=(0,), data=b"")}, "at least one item"),
        ({"popularity": None}, "no array 'popularity'"),
        ({"rate": None}, "no array 'rate'"),
        ({"rate": np.full(4, 0.05)}, r"rate came as \(4,\)"),
        ({"rate": np.zeros(5)}, "above 0"),
        ({"factors": None}, "no array 'factors'"),
        ({"factors": np.eye(4)}, r"factors of shape \(4, 4\)"),
        ({"factors": np.ones(5)}, r"factors of shape \(5,\)"),
        ({"mix": 1.5}, "mix is 1.5"),
    ],
)
def test_a_model_that_makes_no_sense_is_refused_when_it_comes(ready, shop, listed, changes, says):
    with pytest.raises(RegistryError, match=says) as refused:
        ready.adopt(MODEL, sign_release(model_of(listed, 2, **changes), shop.operator))
    assert "\n" not in str(refused.value)
    assert ready.releases.model().version == 1
    assert ranked(ready)[0] == "milk"


def test_a_model_without_its_mix_is_refused(ready, shop, listed):
    with pytest.raises(RegistryError, match="no figure 'mix'"):
        ready.adopt(MODEL, sign_release(replace(model_of(listed, 2), figures=()), shop.operator))


def test_medians_that_are_not_all_there_are_refused(ready, shop):
    some = (Figure("recency", 6.5), Figure("frequency", 40.0))
    with pytest.raises(RegistryError, match="no figure 'monetary'"):
        ready.adopt("q20", sign_release(Release("q20", 1, "q20-1", some), shop.operator))
    assert ready.tags()


@pytest.mark.parametrize(
    ("listing", "says"),
    [
        (listing_of(2, items=("tea", "tea")), "every name once"),
        (listing_of(2, levels=(Level.from_groups("department", ("a", "b")),)), "2 groups for 5 items"),
        (listing_of(2, levels=(Level("department", ("a",), b"\1\0" * 5),)), "does not exist"),
        (listing_of(2, levels=(Level("department", ("a",), bytes(9)),)), "9 bytes"),
    ],
)
def test_a_listing_that_makes_no_sense_is_refused_when_it_comes(ready, shop, listing, says):
    with pytest.raises(RegistryError, match=says):
        ready.adopt(CATALOGUE, sign_listing(listing, shop.operator))
    assert ranked(ready)[0] == "milk"


def test_documents_go_with_the_purpose_that_needs_them(ready, shop, allow, listed):
    allow(ready, "personalize", "train")
    for name in (BASE, AXES):
        ready.adopt(name, sign_release(model_of(listed, name=name), shop.operator))
    ready.withdraw("train")
    assert ready.releases.kept([BASE, AXES]) == (b"", b"")
    assert ranked(ready)[0] == "milk"
    ready.withdraw("personalize")
    assert ready.releases.kept([CATALOGUE, MODEL]) == (b"", b"")


def test_no_document_comes_without_its_purpose(ready, shop, listed):
    with pytest.raises(ConsentError):
        ready.adopt(BASE, sign_release(model_of(listed, name=BASE), shop.operator))
    ready.withdraw("personalize")
    for name in (CATALOGUE, MODEL):
        with pytest.raises(ConsentError):
            ready.adopt(name, listed)
    assert ready.releases.kept([CATALOGUE, MODEL, BASE]) == (b"", b"", b"")
