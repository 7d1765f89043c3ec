"""A device that is taken from its person, as a lost one is, speaks for nobody any more."""

import pytest
from test_dpop import BASE, claims, issue, proof

from covey_consent.access.access_log import Access
from covey_consent.access.dpop import token_hash
from covey_consent.access.roles import Role
from covey_consent.access.tokens import jwk
from covey_privacy import tickets


@pytest.fixture
def phone(shop):
    return shop.stranger()


@pytest.fixture
def person(shop, phone) -> str:
    """A person who allows analytics, by their phone."""
    subject = made(shop)
    assert attach(shop, subject, phone).status_code == 204
    shop.grant(phone, "analytics")
    assert shop.choices(phone) == {"analytics": "granted"}
    return subject


def made(shop) -> str:
    return shop.http.post("/v1/subjects", json={}, headers=shop.as_(Role.SERVICE)).json()["subject"]


def path(subject, phone) -> str:
    return f"/v1/subjects/{subject}/devices/{phone.device.hex()}"


def attach(shop, subject, phone):
    return shop.http.put(path(subject, phone), headers=shop.as_(Role.SERVICE))


def detach(shop, subject, phone, role=Role.SERVICE, own=None):
    return shop.http.delete(path(subject, phone), headers=shop.as_(role, role.value, own))


@pytest.mark.compliance("GDPR 32", "who finds a lost phone says nothing for its person any more")
def test_nothing_that_a_detached_device_signs_counts(shop, person, phone, problem):
    issuer = shop.issuer("analytics")
    request = phone.request(issuer, tickets.request(issuer.keys))
    signed = phone.batch(phone.decision(shop.notices()["train"]))
    assert detach(shop, person, phone).status_code == 204
    problem(shop.post("/v1/sync", phone.sync()), 404)
    problem(shop.post("/v1/decisions", signed), 404)
    problem(shop.post("/v1/tickets", request), 404)
    problem(issue(shop, jwk(phone.key)), 404)
    problem(shop.post("/v1/enrolments", phone.batch(phone.enrolment())), 403)
    headers = shop.as_(Role.SUBJECT, subject=person)
    view = shop.http.get(f"/v1/subjects/{person}/consents", headers=headers).json()
    assert [one["state"] for one in view["choices"]] == ["granted"], "what was said before stands"


def test_a_token_that_the_device_has_is_worth_nothing(shop, person, phone, problem):
    key = jwk(phone.key)
    token = issue(shop, key).json()["access_token"]

    def look():
        address = f"/v1/subjects/{person}/consents"
        shown = proof(key, claims(shop, "GET", address, ath=token_hash(token)))
        return shop.http.get(BASE + address, headers={"authorization": f"DPoP {token}", "dpop": shown})

    assert look().status_code == 200
    assert detach(shop, person, phone, Role.SUBJECT, person).status_code == 204
    problem(look(), 404)


def test_a_detached_device_comes_back_to_nobody_but_its_person(shop, person, phone, problem):
    other = made(shop)
    assert detach(shop, person, phone).status_code == 204
    problem(attach(shop, other, phone), 409)
    problem(shop.post("/v1/sync", phone.sync()), 404)
    assert attach(shop, person, phone).status_code == 204
    assert shop.choices(phone) == {"analytics": "granted"}


def test_another_device_of_the_person_goes_on(shop, person, phone):
    second = shop.stranger()
    assert attach(shop, person, second).status_code == 204
    assert detach(shop, person, phone).status_code == 204
    assert shop.choices(second) == {"analytics": "granted"}


def test_it_stays_detached_after_a_restart(opened, problem):
    with opened() as shop:
        subject, phone = made(shop), shop.stranger()
        attach(shop, subject, phone)
        assert detach(shop, subject, phone).status_code == 204
    with opened() as shop:
        problem(shop.post("/v1/sync", phone.sync()), 404)
        problem(attach(shop, made(shop), phone), 409)


def test_a_device_is_detached_by_its_person_the_shop_or_an_officer(shop, person, phone, problem):
    other = made(shop)
    problem(detach(shop, person, phone, Role.SUBJECT, other), 403)
    problem(detach(shop, other, phone, Role.SUBJECT, other), 404)
    for role, own in ((Role.SUBJECT, person), (Role.SERVICE, None), (Role.OFFICER, None)):
        assert detach(shop, person, phone, role, own).status_code == 204
        problem(detach(shop, person, phone, role, own), 404)
        assert attach(shop, person, phone).status_code == 204
    with shop.http.app.state.registry.store.session() as session:
        rows = session.query(Access).filter_by(operation="detach", subject=person).order_by(Access.id)
        done = [(row.role, row.reason) for row in rows]
    assert done == [("subject", None), ("service", None), ("officer", "a test"), ("officer", "a test")]
