"""The answer that is kept for an Idempotency-Key is given again to the token that got it, and to no other."""

import json

from joserfc import jws

from covey_consent.access.dpop import token_hash
from covey_consent.access.roles import Caller, Role
from covey_consent.access.tokens import jwk
from covey_privacy.signatures import SigningKey

KEY = {"idempotency-key": "the same key"}


def test_kept_answers_belong_to_one_token(shop):
    """Two tills have tokens of one role and one name, as a chain's often have."""
    first, second = shop.as_(Role.SERVICE, "till"), shop.as_(Role.SERVICE, "till")
    created = shop.http.post("/v1/subjects", json={}, headers=first | KEY)
    other = shop.http.post("/v1/subjects", json={}, headers=second | KEY)
    assert (created.status_code, other.status_code) == (201, 201)
    assert other.json()["subject"] != created.json()["subject"]
    assert "idempotent-replayed" not in other.headers
    again = shop.http.post("/v1/subjects", json={}, headers=first | KEY)
    assert again.json() == created.json()
    assert again.headers["idempotent-replayed"] == "true"


def test_a_secret_that_is_shown_once_is_shown_to_one_token(shop):
    said = {"name": "Mail", "url": "https://mail.invalid/", "purposes": ["train"]}
    first, second = shop.as_(Role.ADMIN, "ada"), shop.as_(Role.ADMIN, "ada")
    created = shop.http.post("/v1/recipients", json=said, headers=first | KEY)
    other = shop.http.post("/v1/recipients", json=said, headers=second | KEY)
    assert created.json()["secret"] not in other.text


def test_tokens_bound_to_one_key_are_one_caller(opened):
    """A token that is bound to a key is renewed often; whoever proves the same key is the same caller."""
    base = "https://consent.shop.example"
    with opened(public_url=base) as shop:
        key, now = jwk(SigningKey(b"k" * 32)), int(shop.clock.now)
        answers = []
        for number in range(2):
            token = shop.http.app.state.registry.tokens.mint(
                Caller(Role.SERVICE, "till"), now, 600, key.thumbprint()
            )
            said = {"jti": f"{number}", "htm": "POST", "htu": f"{base}/v1/subjects", "iat": now}
            header = {"typ": "dpop+jwt", "alg": "Ed25519", "jwk": key.as_dict(private=False)}
            shown = jws.serialize_compact(
                header, json.dumps(said | {"ath": token_hash(token)}), key, ["Ed25519"]
            )
            headers = {"authorization": f"DPoP {token}", "dpop": shown} | KEY
            answers.append(shop.http.post("/v1/subjects", json={}, headers=headers))
        assert [answer.status_code for answer in answers] == [201, 201]
        assert answers[0].json() == answers[1].json()
