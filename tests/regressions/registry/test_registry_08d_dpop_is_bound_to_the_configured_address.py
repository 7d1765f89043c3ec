"""A DPoP proof names the address that was asked; the registry knows its own from its settings alone."""

import json
from itertools import count

import pytest
from joserfc import jws

from covey_consent.access.dpop import token_hash
from covey_consent.access.roles import Caller, Role
from covey_consent.access.tokens import jwk

ISSUE = "/v1/device-tokens"
OWN, OTHER = "https://consent.shop.example", "https://relay.example"
NUMBERS = count()


def proof(shop, phone, method: str, url: str, **more: str) -> str:
    key = jwk(phone.key)
    said = {"jti": f"proof {next(NUMBERS)}", "htm": method, "htu": url, "iat": int(shop.clock.now), **more}
    header = {"typ": "dpop+jwt", "alg": "Ed25519", "jwk": key.as_dict(private=False)}
    return jws.serialize_compact(header, json.dumps(said), key, ["Ed25519"])


def issue(shop, phone, base: str, host: str):
    """Ask for a device token with a proof for one address, under the Host header of another."""
    headers = {"dpop": proof(shop, phone, "POST", base + ISSUE), "host": host}
    return shop.http.post(ISSUE, headers=headers)


def test_dpop_is_bound_to_the_configured_address(opened, problem):
    with opened(public_url=None) as shop:
        phone = shop.phone()
        for base, host in (("http://relay.example", "relay.example"), (OTHER, "relay.example")):
            said = problem(issue(shop, phone, base, host), 401)
            assert "COVEY_REGISTRY_PUBLIC_URL" in said


def test_a_bound_token_is_refused_without_a_configured_address(opened, problem):
    with opened(public_url=None) as shop:
        phone, now = shop.phone(), int(shop.clock.now)
        device = jwk(phone.key).thumbprint()
        token = shop.http.app.state.registry.tokens.mint(Caller(Role.SERVICE, "till"), now, 600, device)
        url = "http://relay.example/v1/subjects"
        shown = proof(shop, phone, "POST", url, ath=token_hash(token))
        headers = {"authorization": f"DPoP {token}", "dpop": shown, "host": "relay.example"}
        said = problem(shop.http.post("/v1/subjects", json={}, headers=headers), 401)
        assert "COVEY_REGISTRY_PUBLIC_URL" in said


@pytest.mark.parametrize("host", ["relay.example", "consent.shop.example", "testserver"])
def test_the_host_header_decides_nothing_where_an_address_is_configured(opened, problem, host):
    with opened(public_url=OWN) as shop:
        phone = shop.phone()
        assert issue(shop, phone, OWN, host).status_code == 200
        assert "another request" in problem(issue(shop, phone, f"http://{host}", host), 401)
