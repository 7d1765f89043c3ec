"""The site document: what it pins, and what is refused."""

import dataclasses

import pytest

from covey_privacy.errors import MisuseError, PeerError, ServerError
from covey_privacy.note import COSIGNATURE, VerifierKey
from covey_privacy.signatures import SigningKey, sign
from covey_privacy.site_document import CONTEXT, Organisation, SiteDocument, open_site, sign_site

OPERATOR, OTHER = SigningKey(b"o" * 32), SigningKey(b"x" * 32)
KEYS = [SigningKey(bytes([number]) * 32).public for number in range(6)]
WITNESS = VerifierKey("witness.example", COSIGNATURE, KEYS[5]).vkey
SITE = SiteDocument(
    1, "shop.example", "test", KEYS[4], "https://registry.shop.example", "registry.shop.example/log",
    (WITNESS,), 1, 3600, ("https://gateway.shop.example",),
    (
        Organisation("consumers.example", (KEYS[0], KEYS[1]), ("https://a.example", "https://b.example")),
        Organisation("trustee.example", (KEYS[2],), ("https://c.example",)),
    ),
)  # fmt: skip


def test_what_the_operator_signed_is_read_again():
    assert open_site(sign_site(SITE, OPERATOR), OPERATOR.public) == SITE


def test_another_signature_is_refused():
    with pytest.raises(PeerError, match="operator"):
        open_site(sign_site(SITE, OTHER), OPERATOR.public)


def test_it_gives_the_log_view_and_the_organisation_of_a_key():
    assert SITE.log_view.witnesses.least == 1
    assert (SITE.log_view.origin, SITE.log_view.registry) == ("registry.shop.example/log", KEYS[4])
    assert SITE.organisation_of(KEYS[2]).name == "trustee.example"
    assert SITE.organisation_of(KEYS[3]) is None
    assert SITE.organisation_keys == frozenset(KEYS[:3])


def test_without_witnesses_no_decryptor_believes_the_log():
    bare = dataclasses.replace(SITE, witnesses=(), least_witnesses=0)
    assert bare.policy is None
    with pytest.raises(MisuseError, match="no witness"):
        _ = bare.log_view


ONE, SAME = Organisation("a", (KEYS[0],), ("u",)), Organisation("b", (KEYS[0],), ("v",))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"organisations": (ONE, SAME)}, "two seats"),
        ({"organisations": (Organisation("a", (KEYS[0], KEYS[1]), ("u",)),)}, "one address a key"),
        ({"witnesses": ("no key",)}, "verifier key"),
        ({"least_witnesses": 2}, "2 of 1 witnesses"),
    ],
)
def test_what_does_not_fit_together_is_neither_signed_nor_read(changes, said):
    wrong = dataclasses.replace(SITE, **changes)
    with pytest.raises(ServerError, match=said):
        sign_site(wrong, OPERATOR)
    with pytest.raises(ServerError, match=said):
        open_site(sign(CONTEXT, wrong, OPERATOR), OPERATOR.public)
