"""The annex hides its figures behind the hash in the leaf, and opens to whom its key was given."""

import dataclasses
import hashlib
import itertools

import pytest

from covey_privacy import sealed_figures, wire
from covey_privacy.errors import PeerError, ServerError
from covey_privacy.evidence import Evidence
from covey_privacy.sealed_figures import Annex
from covey_privacy.signatures import SigningKey

OPERATOR = SigningKey(b"o" * 32)
FIGURES = Annex("q1-1", 40, 27, 26, 2, 1, 0, 3.5, bytes(range(32)))
EVIDENCE = Evidence(
    "q1-1", "q1", ("analytics",), "test", *[bytes(32)] * 4, 20, 0, "none", (), (), False,
    1.0, 4.0, 1.0, 1.0, 1e-6, 10, 20, "released", "1", True, FIGURES.digest, *[bytes(32)] * 2,
)  # fmt: skip


@pytest.fixture
def key():
    return sealed_figures.key(OPERATOR, "q1-1")


def test_an_auditor_opens_what_the_leaf_has_the_hash_of(key):
    assert sealed_figures.audit(sealed_figures.seal(FIGURES, key), key, EVIDENCE) == FIGURES


def test_another_annex_than_the_logged_one_is_found_out(key):
    for other in ({"final": 25}, {"salt": bytes(32)}, {"round_id": "q1-2"}):
        sealed = sealed_figures.seal(dataclasses.replace(FIGURES, **other), key)
        with pytest.raises(ServerError, match="has the hash of"):
            sealed_figures.audit(sealed, key, EVIDENCE)


def test_a_key_opens_one_round_and_what_was_altered_opens_to_none(key):
    sealed = sealed_figures.seal(FIGURES, key)
    with pytest.raises(PeerError, match="another round's"):
        sealed_figures.unseal(sealed, sealed_figures.key(OPERATOR, "q1-2"))
    with pytest.raises(PeerError, match="another round's"):
        sealed_figures.unseal(sealed, sealed_figures.key(SigningKey(b"x" * 32), "q1-1"))
    for altered in (sealed[:-1], sealed[:8], b"", sealed[:20] + bytes([sealed[20] ^ 1]) + sealed[21:]):
        with pytest.raises(PeerError):
            sealed_figures.unseal(altered, key)


def test_no_search_over_the_figures_finds_the_leafs_hash():
    """All figures are guessed right; what is missing is the salt."""
    guesses = itertools.product(range(20, 30), range(15, 30))
    guessed = (
        dataclasses.replace(FIGURES, included=included, final=final, salt=bytes(32))
        for included, final in guesses
    )
    assert FIGURES.digest not in {each.digest for each in guessed}
    unsalted = wire.encode(FIGURES)[: -len(FIGURES.salt)]
    assert FIGURES.digest != hashlib.sha256(unsalted).digest()


def test_the_same_figures_are_never_sealed_alike(key):
    assert sealed_figures.seal(FIGURES, key) != sealed_figures.seal(FIGURES, key)
