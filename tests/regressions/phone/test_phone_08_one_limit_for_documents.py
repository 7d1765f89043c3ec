"""What is signed is also taken: one limit for signed documents, checked when they are signed."""

import numpy as np
import pytest

from covey_models import Catalogue
from covey_models.recommender.steps import CATALOGUE, MODEL
from covey_privacy import wire
from covey_privacy.catalogue_document import MOST_ITEMS, Listing, open_listing, sign_listing
from covey_privacy.errors import MisuseError, PeerError
from covey_privacy.release import Array, Figure, Release, open_release, sign_release
from covey_privacy.round_files import RoundFiles
from covey_privacy.signatures import DOCUMENT_LIMIT, Signed, SigningKey, open_signed, sign
from covey_privacy.tickets import IssuerKeys
from covey_server.catalogue import publish_catalogue
from covey_server.errors import ConfigError
from covey_server.store import Store

OPERATOR = SigningKey(bytes(32))


def release_of(factors, version=1):
    base = {"popularity": np.full(len(factors), 1 / len(factors)), "rate": np.full(len(factors), 0.1)}
    arrays = tuple(Array.from_numpy(name, values) for name, values in {**base, "factors": factors}.items())
    return Release(MODEL, version, f"p1-{version}", (Figure("mix", 0.5),), arrays)


def test_phone_08_one_limit_for_documents():
    arrays = (Array.from_numpy("factors", np.zeros((40_000, 8))),)
    signed = sign_release(Release(MODEL, 1, "p1-1", (Figure("mix", 0.5),), arrays), OPERATOR)
    assert len(signed) > 2**20
    assert open_release(signed, OPERATOR.public).array("factors").shape == (40_000, 8)


def test_a_phone_keeps_a_model_of_100_000_items_and_64_factors(device, shop):
    signed = sign_release(release_of(np.zeros((100_000, 64), "<f4")), shop.operator)
    assert len(signed) > 25_000_000
    device.adopt(MODEL, signed)
    assert device.releases.kept([MODEL]) == (signed,)


def test_a_document_above_the_limit_is_not_signed():
    arrays = tuple(Array(f"a{n}", (DOCUMENT_LIMIT // 8,), bytes(DOCUMENT_LIMIT // 2)) for n in range(2))
    with pytest.raises(MisuseError, match=f"at most {DOCUMENT_LIMIT} are taken"):
        sign_release(Release(MODEL, 1, "p1-1", (), arrays), OPERATOR)


def test_signing_and_reading_have_the_same_limit():
    def signed_of(size):
        return sign("test", Signed(bytes(size), bytes(64)), OPERATOR)

    overhead = len(signed_of(2**20)) - 2**20
    largest = signed_of(DOCUMENT_LIMIT - overhead)
    assert len(largest) == DOCUMENT_LIMIT
    assert len(open_signed(Signed, "test", largest, OPERATOR.public).body) == DOCUMENT_LIMIT - overhead
    with pytest.raises(MisuseError, match="would be refused"):
        signed_of(DOCUMENT_LIMIT - overhead + 1)
    with pytest.raises(PeerError, match="at most"):
        open_signed(Signed, "test", largest + b"\0", OPERATOR.public)


def test_a_large_document_travels_with_the_files_of_a_round():
    signed = sign_release(release_of(np.zeros((40_000, 8))), OPERATOR)
    keys = IssuerKeys(("train",), 1, (bytes(300),), (b"v" * 300,))
    files = wire.encode(RoundFiles(b"manifest", keys, documents=(signed,)))
    assert wire.decode(RoundFiles, files).documents == (signed,)


def test_a_listing_of_as_many_items_as_possible_is_taken_and_of_more_is_not_signed():
    items = tuple(
        f"item {place}, 128 bytes or less of any name that a shop gives" for place in range(MOST_ITEMS)
    )
    signed = sign_listing(Listing(1, items, ()), OPERATOR)
    assert open_listing(signed, OPERATOR.public).items == items
    with pytest.raises(MisuseError, match="would be refused by everyone"):
        sign_listing(Listing(1, (*items, "one more"), ()), OPERATOR)


def test_items_that_phones_would_refuse_are_an_error_of_the_configuration(tmp_path):
    store = Store(tmp_path / "server.db")
    try:
        with pytest.raises(ConfigError, match="the shop's items cannot be published"):
            publish_catalogue(Catalogue(("x" * 129,)), store, OPERATOR)
        assert store.releases([CATALOGUE]) in ((), (b"",))
    finally:
        store.close()
