import json

import pytest

from covey_consent.access.roles import Role
from covey_consent.notices import files

HIGH = ("family", "health", "partner")
YEAR = 365 * 86400


def notice(purpose: str, version: str = "1.0.0") -> dict:
    return json.loads(files.packaged()[purpose].model_dump_json()) | {"version": version}


def publish(shop, purpose: str, version: str = "1.0.0"):
    return shop.publish(notice(purpose, version))


def propose(shop, purpose: str = "health", author: str = "ada", **changes):
    plain = {"purpose": purpose, "kind": "dpia", "document_sha256": "ab" * 32}
    body = {**plain, "valid_until": int(shop.clock.now) + YEAR, **changes}
    return shop.http.post("/v1/assessments", json=body, headers=shop.as_(Role.OFFICER, author))


def approve(shop, assessment: str, approver: str = "grace", role: Role = Role.OFFICER):
    headers = shop.match(f"/v1/assessments/{assessment}", shop.as_(role, approver))
    return shop.http.post(f"/v1/assessments/{assessment}/approval", headers=headers)


@pytest.mark.compliance(
    "GDPR 35", "a purpose of high risk opens only once two people vouch for its assessment"
)
@pytest.mark.parametrize("purpose", HIGH)
def test_high_risk_opens_only_with_an_approved_assessment(shop, problem, purpose):
    assert "impact assessment" in problem(publish(shop, purpose), 409)
    written = propose(shop, purpose).json()
    problem(publish(shop, purpose), 409)
    assert approve(shop, written["id"]).status_code == 200
    assert publish(shop, purpose).status_code == 201
    assert purpose in shop.notices()


@pytest.mark.compliance("PIPL 55", "without a protection impact assessment sensitive purposes stay closed")
def test_no_start_opens_what_is_of_high_risk(opened, problem):
    with opened() as shop:
        assert not {*HIGH} & {*shop.notices()}
        approve(shop, propose(shop, kind="pipia").json()["id"])
    with opened() as shop:
        assert "health" not in shop.notices()
        assert publish(shop, "health").status_code == 201
        before = shop.notices()["health"]
    with opened(epsilon_total=3.0) as shop:
        assert shop.notices()["health"] == before


def test_an_assessment_of_another_purpose_opens_nothing(shop, problem):
    approve(shop, propose(shop, "family").json()["id"])
    problem(publish(shop, "health"), 409)


def test_four_eyes(shop, problem):
    written = propose(shop).json()
    assert "another person" in problem(approve(shop, written["id"], "ada"), 403)
    problem(approve(shop, written["id"], "ada", Role.ADMIN), 403)
    problem(publish(shop, "health"), 409)
    approved = approve(shop, written["id"], "grace", Role.ADMIN).json()
    assert (approved["author"], approved["approved_by"]) == ("ada", "grace")
    assert approve(shop, written["id"], "grace").json() == approved
    assert "already" in problem(approve(shop, written["id"], "alan"), 409)


def test_one_that_ran_out_opens_nothing_more_and_closes_nothing(shop, problem):
    late = propose(shop, valid_until=int(shop.clock.now) + 10).json()
    approve(shop, propose(shop).json()["id"])
    assert publish(shop, "health").status_code == 201
    shop.clock.now += YEAR
    problem(publish(shop, "health", "1.1.0"), 409)
    assert "health" in shop.notices()
    assert "time is over" in problem(approve(shop, late["id"]), 409)
    approve(shop, propose(shop).json()["id"])
    assert publish(shop, "health", "1.1.0").json()["version"] == "1.0.0"


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"purpose": "resale"}, 404),
        ({"purpose": "biometric"}, 422),
        ({"kind": "memo"}, 422),
        ({"document_sha256": "AB" * 32}, 422),
        ({"valid_until": 1}, 422),
        ({"author": "someone else"}, 422),
    ],
)
def test_what_is_no_assessment_is_refused(shop, problem, changes, status):
    body = {"purpose": "health", "kind": "dpia", "document_sha256": "ab" * 32, "valid_until": 2 * 10**9}
    answer = shop.http.post("/v1/assessments", json=body | changes, headers=shop.as_(Role.OFFICER))
    problem(answer, status)


def test_who_may_do_what(shop, problem):
    body = {"purpose": "health", "kind": "dpia", "document_sha256": "ab" * 32, "valid_until": 2 * 10**9}
    for role in Role:
        headers = shop.as_(role)
        allowed = role is Role.OFFICER
        assert shop.http.post("/v1/assessments", json=body, headers=headers).status_code == (
            201 if allowed else 403
        )
        allowed = role in (Role.OFFICER, Role.AUDITOR, Role.ADMIN)
        assert shop.http.get("/v1/assessments", headers=headers).status_code == (200 if allowed else 403)
        allowed = role in (Role.OFFICER, Role.ADMIN)
        missing = shop.http.post(f"/v1/assessments/{'0' * 32}/approval", headers=headers)
        problem(missing, 404 if allowed else 403)
    problem(shop.http.get("/v1/assessments"), 401)


def test_assessments_are_listed_by_purpose(shop):
    ids = [propose(shop, purpose).json()["id"] for purpose in ("health", "family", "health")]
    headers = shop.as_(Role.AUDITOR)
    listed = shop.http.get("/v1/assessments", params={"purpose": "health"}, headers=headers).json()
    assert {one["id"] for one in listed["items"]} == {ids[0], ids[2]}
    first = shop.http.get("/v1/assessments", params={"limit": 2}, headers=headers).json()
    rest = shop.http.get("/v1/assessments", params={"cursor": first["next"]}, headers=headers).json()
    assert sorted(one["id"] for one in first["items"] + rest["items"]) == sorted(ids)
    assert (len(first["items"]), rest["next"]) == (2, None)


def test_what_is_approved_is_what_was_read(shop, problem):
    path = f"/v1/assessments/{propose(shop).json()['id']}"
    grace = shop.as_(Role.OFFICER, "grace")
    read = shop.match(path, grace)
    problem(shop.http.post(f"{path}/approval", headers=grace), 428)
    assert shop.http.post(f"{path}/approval", headers=read).status_code == 200
    problem(shop.http.post(f"{path}/approval", headers=read), 412)
