import json

import pytest

from covey_consent.access.roles import Role
from covey_consent.notices import files


def asked(shop) -> dict:
    answer = shop.http.get("/v1/notices/analytics/reconsent", headers=shop.as_(Role.OFFICER))
    assert answer.status_code == 200
    return answer.json()


def publish(shop, version: str) -> None:
    file = json.loads(files.packaged()["analytics"].model_dump_json()) | {"version": version}
    file["texts"]["en"]["text"] += version
    assert shop.publish(file).status_code == 201


@pytest.fixture
def crowd(shop):
    phones = [shop.phone() for _ in range(22)]
    for phone in phones:
        shop.grant(phone, "analytics")
    return phones


def counts(shop) -> tuple:
    told = asked(shop)
    return told["standing"], told["outdated"], told["projected"]


def test_a_major_asks_those_again_who_agreed_to_an_older_one(shop, crowd):
    assert counts(shop) == (22, "<10", None)
    publish(shop, "1.1.0")
    assert counts(shop) == (22, "<10", None)
    publish(shop, "2.0.0")
    assert counts(shop) == ("<10", 22, None)
    for phone in crowd[:11]:
        shop.grant(phone, "analytics")
    assert counts(shop) == (11, 11, 22)
    assert asked(shop)["version"] == "2.0.0"
    shop.withdraw(crowd[-1], "analytics")
    assert counts(shop) == (11, 10, 21)


def test_no_count_below_ten_and_no_sum_that_gives_one_away(shop, crowd):
    publish(shop, "2.0.0")
    for phone in crowd[:13]:
        shop.grant(phone, "analytics")
    assert counts(shop) == (13, "<10", None)


def test_only_an_officer_asks(shop, problem):
    for role in Role:
        answer = shop.http.get("/v1/notices/analytics/reconsent", headers=shop.as_(role))
        assert answer.status_code == (200 if role is Role.OFFICER else 403)
    problem(shop.http.get("/v1/notices/analytics/reconsent"), 401)
    problem(shop.http.get("/v1/notices/partner/reconsent", headers=shop.as_(Role.OFFICER)), 404)
