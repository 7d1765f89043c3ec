import httpx
import pytest
from limits import parse

from covey_consent.access.roles import Role
from covey_consent.api.rates import Window
from covey_consent.settings import Settings
from covey_simulations.benchmarks.process import serving


def test_a_window_counts_each_one_apart_and_begins_anew():
    now = [0.0]
    window = Window(parse("2/minute"), lambda: now[0])
    assert [window.hit("a"), window.hit("a"), window.hit("a"), window.hit("b")] == [True, True, False, True]
    now[0] = 59.5
    assert (window.hit("a"), window.wait) == (False, 1)
    now[0] = 60.0
    assert window.hit("a")


def test_an_address_that_asks_too_often_waits(opened, problem):
    with opened(rate_address="3/hour") as shop:
        assert [shop.http.get("/healthz").status_code for _ in range(3)] == [200, 200, 200]
        answer = shop.http.get("/healthz")
        assert "try again in" in problem(answer, 429)
        assert answer.json()["type"] == "/problems/limit"
        assert 0 < int(answer.headers["retry-after"]) <= 3600
        assert answer.headers["ratelimit-policy"] == '"default";q=3;w=3600'
        assert answer.headers["ratelimit"].startswith('"default";r=0;t=')


def test_a_caller_is_counted_by_who_they_are_once_their_token_was_verified(opened, problem):
    with opened(rate_caller="2/hour", rate_address="4/hour") as shop:
        alice, bob = shop.as_(Role.AUDITOR, "alice"), shop.as_(Role.AUDITOR, "bob")

        def ask(headers) -> int:
            return shop.http.get("/metrics", headers=headers).status_code

        assert [ask(alice) for _ in range(4)] == [200, 200, 200, 429]
        shop.clock.now += 1
        another = shop.as_(Role.AUDITOR, "alice")
        assert ask(another) == 200, "a token not seen before counts for the address"
        assert ask(another) == 429, "and a new one is no new caller"
        assert ask(bob) == 200
        forged = {"authorization": "Bearer a.b.c"}
        assert [ask(forged), ask(forged)] == [401, 429], "what is no token counts for the address"


def test_no_rate_is_no_bound(opened):
    with opened(rate_address=None, rate_caller=None) as shop:
        assert all(shop.http.get("/healthz").status_code == 200 for _ in range(20))


def test_a_rate_that_cannot_be_read_is_no_setting():
    with pytest.raises(ValueError, match="rate_address"):
        Settings(rate_address="often")


def test_null_in_the_environment_lifts_a_bound(monkeypatch):
    monkeypatch.setenv("COVEY_REGISTRY_RATE_ADDRESS", "null")
    monkeypatch.setenv("COVEY_REGISTRY_IDP_ROLES", '{"dpo": "officer"}')
    assert Settings().rate_address is None
    assert Settings().idp_roles == {"dpo": Role.OFFICER}


@pytest.mark.parametrize(("public_url", "refused"), [(None, True), ("https://consent.shop.example", False)])
def test_a_forwarded_address_counts_only_where_a_proxy_is_said_to_stand(tmp_path, public_url, refused):
    variables = {
        "COVEY_REGISTRY_RATE_ADDRESS": "20/hour",
        "COVEY_REGISTRY_DATABASE_URL": f"sqlite:///{tmp_path}/registry.db",
        "COVEY_REGISTRY_KEY_FILE": str(tmp_path / "registry.key"),
    }
    if public_url is not None:
        variables["COVEY_REGISTRY_PUBLIC_URL"] = public_url
    with serving(["covey", "registry", "serve"], "/healthz", variables) as url:
        senders = ({"x-forwarded-for": f"192.0.2.{number}"} for number in range(25))
        statuses = {httpx.get(f"{url}/healthz", headers=headers).status_code for headers in senders}
    assert (429 in statuses) is refused
