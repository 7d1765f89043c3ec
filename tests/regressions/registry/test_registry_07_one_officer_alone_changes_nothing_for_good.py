"""An erasure and a notice take two people, leave a trail of who did what, and a token can be revoked."""

import json

import httpx
import pytest

from covey_consent.access.roles import Caller, Role
from covey_consent.commands import token as command
from covey_consent.notices import files
from covey_consent.rights.erasure import vacuum_if_erased
from covey_consent.settings import Settings

METHOD = {"method": "passport, seen by video"}


def person(shop) -> str:
    return shop.http.post("/v1/subjects", json={}, headers=shop.as_(Role.SERVICE)).json()["subject"]


def enter(shop, subject: str, name: str, role: Role = Role.OFFICER) -> str:
    """Have an erasure entered; return the request's id."""
    headers = shop.as_(role, name, subject if role is Role.SUBJECT else None)
    said = {"kind": "erasure", "subject": subject}
    answer = shop.http.post("/v1/rights", json=said, headers=headers)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def take(shop, id_: str, name: str, step: str, **said: str):
    headers = shop.as_(Role.OFFICER, name) | {"if-match": "*"}
    return shop.http.post(f"/v1/rights/{id_}/steps", json={"step": step, **said}, headers=headers)


def log(shop, **sought: str) -> list[dict]:
    return shop.http.get("/v1/access-log", params=sought, headers=shop.as_(Role.AUDITOR)).json()["items"]


@pytest.mark.compliance("GDPR 32", "one officer alone can neither erase a person nor hide that they did")
def test_one_officer_alone_changes_nothing_for_good(shop, problem):
    subject = person(shop)
    id_ = enter(shop, subject, "mallory")
    for name in ("mallory", "Mallory", " mallory ", "ＭＡＬＬＯＲＹ"):
        assert "another officer" in problem(take(shop, id_, name.strip() or name, "verify", **METHOD), 403)
    problem(take(shop, id_, "mallory", "start"), 409)
    problem(take(shop, id_, "mallory", "fulfil"), 409)
    path = f"/v1/subjects/{subject}/consents"
    assert shop.http.get(path, headers=shop.as_(Role.SERVICE)).status_code == 200
    assert take(shop, id_, "grace", "verify", **METHOD).status_code == 200
    assert take(shop, id_, "mallory", "start").status_code == 200
    assert take(shop, id_, "mallory", "fulfil", reason="asked by letter").status_code == 200
    assert shop.http.get(path, headers=shop.as_(Role.SERVICE)).status_code == 404


def test_what_a_person_asks_for_themselves_takes_one_officer(shop):
    subject = person(shop)
    id_ = enter(shop, subject, "app", Role.SUBJECT)
    for step in ("start", "fulfil"):
        assert take(shop, id_, "olga", step).status_code == 200


def test_the_trail_of_an_erasure_stays(shop, problem, stored):
    subject = person(shop)
    looked = shop.as_(Role.OFFICER, "mallory", reason="a customer called")
    assert shop.http.get(f"/v1/subjects/{subject}/consents", headers=looked).status_code == 200
    id_ = enter(shop, subject, "mallory")
    assert take(shop, id_, "grace", "verify", method=f"passport of {subject}").status_code == 200
    assert take(shop, id_, "mallory", "start").status_code == 200
    assert take(shop, id_, "mallory", "fulfil", reason="asked by letter").status_code == 200
    rows = [(row["name"], row["operation"]) for row in reversed(log(shop, subject=id_)[1:])]
    steps = [("mallory", "take_step")] * 2
    assert rows == [("mallory", "view"), ("mallory", "ask"), ("grace", "take_step"), *steps]
    path = f"/v1/erasures/{id_}/steps"
    trail = shop.http.get(path, headers=shop.as_(Role.AUDITOR)).json()
    assert [(one["step"], one["name"], one["method"], one["reason"]) for one in trail["steps"]] == [
        ("enter", "mallory", "", ""),
        ("verify", "grace", "passport of [erased]", ""),
        ("start", "mallory", "", ""),
        ("fulfil", "mallory", "", "asked by letter"),
    ]
    for role in (Role.OFFICER, Role.SERVICE, Role.SUBJECT):
        problem(shop.http.get(path, headers=shop.as_(role)), 403)
    shop.http.portal.call(vacuum_if_erased, shop.http.app.state.registry.store)
    assert subject.encode() not in stored()


def test_the_trail_names_no_person_who_asked_themselves(shop):
    subject = person(shop)
    id_ = enter(shop, subject, "anna@shop.example", Role.SUBJECT)
    for step in ("start", "fulfil"):
        assert take(shop, id_, "olga", step).status_code == 200
    trail = shop.http.get(f"/v1/erasures/{id_}/steps", headers=shop.as_(Role.AUDITOR))
    assert "anna" not in trail.text
    assert [one["role"] for one in trail.json()["steps"]] == ["subject", "subject", "officer", "officer"]


def notice() -> dict:
    file = json.loads(files.packaged()["marketing"].model_dump_json())
    file["version"], file["texts"]["en"]["title"] = "1.1.0", "Other words"
    return file


def test_one_person_alone_puts_no_notice_in_force(shop):
    before = shop.notices()["marketing"]
    for name in ("mallory", "mallory", "Mallory"):
        answer = shop.http.post("/v1/notices", json=notice(), headers=shop.as_(Role.ADMIN, name))
        assert answer.status_code == 202
        assert shop.notices()["marketing"] == before
    other = notice()
    other["texts"]["en"]["title"] = "Words that mallory did not send"
    grace = shop.as_(Role.ADMIN, "grace")
    assert shop.http.post("/v1/notices", json=other, headers=grace).status_code == 202
    assert shop.notices()["marketing"] == before
    assert shop.http.post("/v1/notices", json=notice(), headers=grace).status_code == 201
    assert shop.notices()["marketing"].semver == "1.1.0"


WHO = "/v1/access-log"


def revoked(shop, **said: str) -> None:
    answer = shop.http.post("/v1/revocations", json=said, headers=shop.as_(Role.ADMIN, "ada"))
    assert answer.status_code == 201, answer.text


def test_a_revoked_token_counts_no_more_at_once(opened, problem):
    with opened() as shop:
        one, other = shop.as_(Role.AUDITOR, "mallory"), shop.as_(Role.AUDITOR, "mallory")
        for headers in (one, other):
            assert shop.http.get(WHO, headers=headers).status_code == 200
        id_ = command.token_id(one["authorization"].partition(" ")[2])
        revoked(shop, token=id_)
        assert "revoked" in problem(shop.http.get(WHO, headers=one), 401)
        assert shop.http.get(WHO, headers=other).status_code == 200
    with opened() as shop:
        assert "revoked" in problem(shop.http.get(WHO, headers=one), 401)
        assert shop.http.get(WHO, headers=other).status_code == 200


def test_all_tokens_of_a_name_are_revoked_until_a_later_one(shop, problem):
    old = shop.as_(Role.AUDITOR, "mallory")
    namesake = shop.as_(Role.ADMIN, "mallory")
    assert shop.http.get(WHO, headers=old).status_code == 200
    revoked(shop, role="auditor", name="mallory")
    assert "revoked" in problem(shop.http.get(WHO, headers=old), 401)
    assert shop.http.get(WHO, headers=namesake).status_code == 200
    shop.clock.now += 1
    assert shop.http.get(WHO, headers=shop.as_(Role.AUDITOR, "mallory")).status_code == 200
    found = shop.http.get("/v1/revocations", headers=shop.as_(Role.AUDITOR)).json()["items"]
    assert [(one["role"], one["name"], one["by"]) for one in found] == [("auditor", "mallory", "ada")]


@pytest.mark.parametrize(
    "said", [{}, {"token": "a", "role": "admin", "name": "b"}, {"role": "admin"}, {"token": "a", "name": "b"}]
)
def test_a_revocation_names_one_token_or_one_name(shop, problem, said):
    problem(shop.http.post("/v1/revocations", json=said, headers=shop.as_(Role.ADMIN)), 422)


def test_the_command_revokes_at_a_registry_that_serves(shop, tmp_path, monkeypatch, capsys):
    settings = Settings(key_file=tmp_path / "registry.key", origin="covey.test/log")
    monkeypatch.setattr("time.time", shop.clock)
    monkeypatch.setattr(httpx, "post", lambda url, timeout, **sent: shop.http.post(url, **sent))
    assert command.mint("auditor", "mallory", 8, settings=settings) == 0
    printed = capsys.readouterr()
    token = printed.out.strip()
    assert command.token_id(token) in printed.err
    headers = {"authorization": f"Bearer {token}"}
    assert shop.http.get(WHO, headers=headers).status_code == 200
    assert command.revoke("http://testserver", token, None, None, settings) == 0
    assert shop.http.get(WHO, headers=headers).status_code == 401
    assert command.revoke("http://testserver", None, "auditor", None, settings) == 2


def test_no_token_lives_longer_than_a_day_unless_a_setting_says_so(opened, problem, tmp_path, capsys):
    with opened() as shop:
        caller, now = Caller(Role.AUDITOR, "alice"), int(shop.clock.now)
        token = shop.http.app.state.registry.tokens.mint(caller, now, 90 * 86400)
        headers = {"authorization": f"Bearer {token}"}
        assert shop.http.get(WHO, headers=headers).status_code == 200
        shop.clock.now += 86400
        problem(shop.http.get(WHO, headers=headers), 401)
    with opened(token_hours=48) as shop:
        assert shop.http.get(WHO, headers=headers).status_code == 200
        shop.clock.now += 86400
        assert "TOKEN_HOURS" in problem(shop.http.get(WHO, headers=headers), 401)
    settings = Settings(key_file=tmp_path / "registry.key")
    assert command.mint("auditor", "alice", 25, settings=settings) == 2
    assert "at most 24" in capsys.readouterr().err
