import json

import pytest
from joserfc import jws
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.util import urlsafe_b64encode

from covey_consent.access import dpop
from covey_consent.access.dpop import Proofs, ReplayCache
from covey_consent.access.roles import Caller, Role
from covey_consent.access.tokens import jwk
from covey_consent.errors import ProofError, UnavailableError
from covey_privacy.signatures import SigningKey

SQLITE_ALONE = True  # What these tests say does not rest on the database.

_HEADER = (
    "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpD"
    "a0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6"
    "IlAtMjU2In19"
)
RFC_9449_FIGURE_1 = (
    f"{_HEADER}.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29t"
    "L3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK"
    "70nfbV37xRZT3Lg"
)
RFC_9449_FIGURE_12 = (
    f"{_HEADER}.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9y"
    "Zy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NB"
    "cWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA"
)
THUMBPRINT = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
RFC_TOKEN = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"

BASE = "http://testserver"
ISSUE = "/v1/device-tokens"
HEADER = {"typ": "dpop+jwt", "alg": "Ed25519"}
COUNT = iter(range(10**6))


def proof(key, claims: dict, header: dict | None = None, public=None) -> str:
    public = (public or key).as_dict(private=False)
    rules = jws.JWSRegistry(algorithms=["Ed25519", "ES256", "EdDSA", "RS256"], strict_check_header=False)
    rules.get_alg = lambda name: jws.JWSRegistry.algorithms[name]
    return jws.serialize_compact(
        {**HEADER, "jwk": public, **(header or {})}, json.dumps(claims), key, registry=rules
    )


def claims(shop, method: str, path: str, **changes) -> dict:
    said = {"jti": f"proof {next(COUNT)}", "htm": method, "htu": BASE + path, "iat": int(shop.clock.now)}
    return {name: value for name, value in {**said, **changes}.items() if value is not None}


def issue(shop, key, **changes):
    return shop.http.post(ISSUE, headers={"dpop": proof(key, claims(shop, "POST", ISSUE, **changes))})


def test_the_proofs_of_rfc_9449_hold():
    first = Proofs(60, 0).check(RFC_9449_FIGURE_1, "POST", "https://server.example.com/token", 1562262616)
    assert first.thumbprint == THUMBPRINT
    with_token = Proofs(60, 0).check(
        RFC_9449_FIGURE_12, "GET", "https://resource.example.org/protectedresource", 1562262618, RFC_TOKEN
    )
    assert with_token.thumbprint == THUMBPRINT
    assert dpop.token_hash(RFC_TOKEN) == with_token.claims.ath


def test_every_changed_character_breaks_the_proof_of_rfc_9449():
    url, at = "https://server.example.com/token", 1562262616
    for place in range(0, len(RFC_9449_FIGURE_1), 7):
        old = RFC_9449_FIGURE_1[place]
        changed = f"{RFC_9449_FIGURE_1[:place]}{'A' if old != 'A' else 'B'}{RFC_9449_FIGURE_1[place + 1 :]}"
        with pytest.raises(ProofError):
            Proofs(60, 0).check(changed, "POST", url, at)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://a.example/x?q=1#f", "https://a.example/x", True),
        ("HTTPS://A.example:443/x", "https://a.example/x", True),
        ("https://a.example/%7Ex", "https://a.example/~x", True),
        ("https://a.example/x", "http://a.example/x", False),
        ("https://a.example/x", "https://b.example/x", False),
        ("https://a.example/x", "https://a.example:8443/x", False),
        ("https://a.example/x", "https://a.example/X", False),
        ("https://a.example:bad/x", "https://a.example/x", False),
    ],
)
def test_addresses_are_compared_without_query_and_fragment(one, other, same):
    assert dpop.same_address(one, other) is same


def test_a_device_s_token_works_with_a_proof_and_only_with_one(shop, problem):
    phone = shop.phone()
    key = jwk(phone.key)
    answer = issue(shop, key)
    assert answer.status_code == 200, answer.text
    token = answer.json()["access_token"]
    assert answer.json()["token_type"] == "DPoP"
    path = "/v1/access-log"
    ath = dpop.token_hash(token)
    shown = proof(key, claims(shop, "GET", path, ath=ath))
    held = shop.http.get(path, headers={"authorization": f"DPoP {token}", "dpop": shown})
    assert "needs the role" in problem(held, 403), "who asks is known: a person, who may not read this"
    for headers in (
        {"authorization": f"Bearer {token}"},
        {"authorization": f"DPoP {token}"},
        {"authorization": f"Bearer {token}", "dpop": proof(key, claims(shop, "GET", path, ath=ath))},
        {"authorization": f"DPoP {token}", "dpop": proof(key, claims(shop, "GET", path))},
        {"authorization": f"DPoP {token}", "dpop": shown},
    ):
        refused = shop.http.get(path, headers=headers)
        problem(refused, 401)
        assert 'DPoP error="invalid_dpop_proof"' in refused.headers["www-authenticate"]


def test_a_stolen_token_is_of_no_use_with_another_key(shop, problem):
    owner, thief = shop.phone(), shop.phone()
    token = issue(shop, jwk(owner.key)).json()["access_token"]
    shown = proof(jwk(thief.key), claims(shop, "GET", "/v1/access-log", ath=dpop.token_hash(token)))
    headers = {"authorization": f"DPoP {token}", "dpop": shown}
    assert "another key" in problem(shop.http.get("/v1/access-log", headers=headers), 401)


def test_a_bearer_token_is_not_taken_as_a_bound_one(shop, problem):
    key = OKPKey.generate_key("Ed25519")
    token = shop.as_(Role.AUDITOR)["authorization"].removeprefix("Bearer ")
    shown = proof(key, claims(shop, "GET", "/v1/access-log", ath=dpop.token_hash(token)))
    headers = {"authorization": f"DPoP {token}", "dpop": shown}
    problem(shop.http.get("/v1/access-log", headers=headers), 401)


def test_a_p_256_key_can_hold_a_token(shop):
    key = ECKey.generate_key("P-256")
    registry = shop.http.app.state.registry
    token = registry.tokens.mint(Caller(Role.AUDITOR, "a"), int(shop.clock.now), 60, key.thumbprint())
    said = claims(shop, "GET", "/v1/access-log", ath=dpop.token_hash(token))
    headers = {"authorization": f"DPoP {token}", "dpop": proof(key, said, {"alg": "ES256"})}
    assert shop.http.get("/v1/access-log", headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"htm": "GET"}, "another request"),
        ({"htu": f"{BASE}/v1/other"}, "another request"),
        ({"htu": f"https://elsewhere.example{ISSUE}"}, "another request"),
        ({"iat": 1_800_000_301}, "set the clock"),
        ({"iat": 1_799_999_699}, "set the clock"),
        ({"iat": True}, "iat"),
        ({"iat": "now"}, "iat"),
        ({"iat": float("nan")}, "iat"),
        ({"iat": None}, "iat"),
        ({"jti": None}, "jti"),
        ({"jti": ""}, "jti"),
        ({"jti": "x" * 257}, "jti"),
        ({"jti": 7}, "jti"),
    ],
)
def test_a_proof_is_for_this_request_and_now(shop, problem, changes, says):
    answer = issue(shop, jwk(shop.phone().key), **changes)
    assert says in problem(answer, 401)
    assert answer.headers["www-authenticate"].startswith('DPoP error="invalid_dpop_proof"')


def test_a_proof_counts_once(shop, problem):
    key = jwk(shop.phone().key)
    said = {"dpop": proof(key, claims(shop, "POST", ISSUE))}
    assert shop.http.post(ISSUE, headers=said).status_code == 200
    shop.clock.now += 299
    assert "used before" in problem(shop.http.post(ISSUE, headers=said), 401)


def test_a_proof_from_before_a_restart_counts_no_more(opened, problem):
    with opened() as shop:
        key = jwk(shop.phone().key)
        said = {"dpop": proof(key, claims(shop, "POST", ISSUE))}
        assert shop.http.post(ISSUE, headers=said).status_code == 200
        shop.clock.now += 1
    with opened() as shop:
        assert "before the registry last started" in problem(shop.http.post(ISSUE, headers=said), 401)


def test_proofs_are_signed_by_an_allowed_algorithm_and_the_key_in_the_header(shop, problem):
    key, other = jwk(shop.phone().key), OKPKey.generate_key("Ed25519")
    said = claims(shop, "POST", ISSUE)
    good = proof(key, said)
    head, body, _ = good.split(".")
    rsa = RSAKey.generate_key(2048)
    private = {**HEADER, "jwk": key.as_dict(private=True)}

    def headed(header: object) -> str:
        return urlsafe_b64encode(json.dumps(header).encode()).decode()

    for bad in (
        proof(other, said, public=key),
        f"{headed({**HEADER, 'alg': 'none', 'jwk': key.as_dict(private=False)})}.{body}.",
        proof(rsa, said, {"alg": "RS256"}),
        proof(key, said, {"typ": "JWT"}),
        proof(key, said, {"jwk": key.as_dict(private=True)}),
        f"{headed(private)}.{body}.AA",
        f"{headed({**HEADER, 'jwk': {'kty': 'oct', 'k': 'AAAA'}})}.{body}.AA",
        f"{headed(HEADER)}.{body}.AA",
        f"{headed('alg')}.{body}.AA",
        f"{head}.{body}.",
        f"{head}..",
        "x" * 5000,
        "not a proof",
    ):
        answer = shop.http.post(ISSUE, headers={"dpop": bad})
        problem(answer, 401)
        assert 'error="invalid_dpop_proof"' in answer.headers["www-authenticate"]
    problem(shop.http.post(ISSUE), 401)
    twice = [("dpop", good), ("dpop", proof(key, claims(shop, "POST", ISSUE)))]
    problem(shop.http.post(ISSUE, headers=twice), 401)
    assert shop.http.post(ISSUE, headers={"dpop": good}).status_code == 200, "and the good one holds"


def test_a_device_that_nobody_enrolled_gets_no_token(shop, problem):
    problem(issue(shop, jwk(SigningKey(b"n" * 32))), 404)
    key = ECKey.generate_key("P-256")
    said = claims(shop, "POST", ISSUE)
    problem(shop.http.post(ISSUE, headers={"dpop": proof(key, said, {"alg": "ES256"})}), 401)


def test_behind_a_proxy_proofs_name_the_public_address(opened, problem):
    with opened(public_url="https://consent.shop.example/registry") as shop:
        key = jwk(shop.phone().key)
        problem(issue(shop, key), 401)
        assert issue(shop, key, htu=f"https://consent.shop.example/registry{ISSUE}").status_code == 200


def test_a_full_memory_of_proofs_takes_no_more_until_they_are_too_old():
    replays = ReplayCache(seconds=10, limit=2)
    replays.take("key", "a", 0)
    replays.take("other", "a", 5)
    with pytest.raises(UnavailableError):
        replays.take("key", "b", 10)
    replays.take("key", "b", 11)
    with pytest.raises(ProofError):
        replays.take("other", "a", 15)
