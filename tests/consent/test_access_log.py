from typing import Annotated
from urllib.parse import quote

import pytest

from covey_consent.access import access_log
from covey_consent.access.guard import needs
from covey_consent.access.roles import Caller, Role

LOG = "/v1/access-log"
PERSON, ANOTHER = "5f" * 16, "a0" * 16


@pytest.fixture
def looked_up(shop):
    """A route about one person, as the registry's are."""
    seen = []

    @shop.http.app.get("/toy/{subject}")
    async def read_toy(
        subject: str, caller: Annotated[Caller, needs(Role.OFFICER, Role.AUDITOR, Role.SERVICE, Role.SUBJECT)]
    ) -> str:
        seen.append(caller.name)
        return subject

    @shop.http.app.post("/toy")
    async def change_toy(caller: Annotated[Caller, needs(Role.OFFICER, Role.ADMIN)]) -> str:
        return "changed"

    return seen


def rows(shop, **asked):
    answer = shop.http.get(LOG, params=asked, headers=shop.as_(Role.ADMIN, "reader"))
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


@pytest.mark.compliance("GDPR 5(2)", "who looked at a person, when and why, can be shown")
def test_a_look_at_a_person_is_in_the_log_with_its_reason(shop, looked_up):
    headers = shop.as_(Role.OFFICER, "alice") | {"covey-reason": quote("申请 17")}
    assert shop.http.get(f"/toy/{PERSON}", headers=headers).status_code == 200
    shop.clock.now += 5
    assert shop.http.get(f"/toy/{PERSON}", headers=shop.as_(Role.AUDITOR, "bob")).status_code == 200
    assert rows(shop, subject=PERSON)[1:] == [
        {"at": 1_800_000_005, "role": "auditor", "name": "bob", "operation": "read_toy", "subject": PERSON,
         "reason": None},
        {"at": 1_800_000_000, "role": "officer", "name": "alice", "operation": "read_toy", "subject": PERSON,
         "reason": "申请 17"},
    ]  # fmt: skip


def test_an_officer_looks_at_nobody_without_a_reason(shop, looked_up, problem):
    for reason in (None, "", "%20", "%ff", "x" * 501, "two%0Alines"):
        headers = shop.as_(Role.OFFICER, "alice", reason=reason)
        assert "eason" in problem(shop.http.get(f"/toy/{PERSON}", headers=headers), 422)
    assert looked_up == []
    assert rows(shop, name="alice") == []


def test_what_cannot_be_logged_is_not_shown(shop, looked_up, monkeypatch):
    def broken(*_args):
        raise OSError("no space left on the device")

    monkeypatch.setattr(access_log, "record", broken)
    headers = shop.as_(Role.OFFICER, "alice") | {"covey-reason": "a request"}
    assert shop.http.get(f"/toy/{PERSON}", headers=headers).status_code == 500
    assert looked_up == []


def test_acts_are_logged_and_a_service_s_or_a_person_s_own_look_is_not(shop, looked_up):
    shop.http.post("/toy", headers=shop.as_(Role.OFFICER, "alice"))
    shop.http.post("/toy", headers=shop.as_(Role.ADMIN, "root"))
    assert shop.http.get(f"/toy/{PERSON}", headers=shop.as_(Role.SERVICE, "recs")).status_code == 200
    assert shop.http.get(f"/toy/{PERSON}", headers=shop.as_(Role.SUBJECT, "x", PERSON)).status_code == 200
    assert [(row["name"], row["operation"]) for row in rows(shop)[1:]] == [
        ("root", "change_toy"),
        ("alice", "change_toy"),
    ]


@pytest.mark.compliance("GDPR 32", "reading the access log is itself in the access log")
def test_reading_the_log_is_logged(shop):
    rows(shop)
    shop.http.get(LOG, params={"subject": PERSON}, headers=shop.as_(Role.AUDITOR, "bob"))
    newest, older = rows(shop)[1:3]
    assert (newest["name"], newest["operation"], newest["subject"]) == ("bob", "read_access_log", PERSON)
    assert older["name"] == "reader"


def test_a_refused_caller_leaves_no_row(shop, looked_up):
    assert shop.http.post("/toy", headers=shop.as_(Role.AUDITOR, "bob")).status_code == 403
    assert rows(shop, name="bob") == []


def test_pages_show_every_row_once_while_new_ones_come(shop, looked_up):
    for number in range(7):
        shop.http.post("/toy", headers=shop.as_(Role.OFFICER, f"officer {number}"))
    headers, seen, cursor = shop.as_(Role.AUDITOR, "pager"), [], {}
    while True:
        page = shop.http.get(LOG, params={"limit": 2, **cursor}, headers=headers).json()
        seen += [row["name"] for row in page["items"]]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert [name for name in seen if name != "pager"] == [f"officer {number}" for number in range(6, -1, -1)]


def test_a_cursor_is_the_registry_s_own(shop, problem):
    headers = shop.as_(Role.AUDITOR)
    cursors = shop.http.app.state.registry.cursors
    good = cursors.after("access-log", 3)
    changed = ("A" if good[0] != "A" else "B") + good[1:]
    for cursor in (changed, good[:-1], cursors.after("another", 3), "", "%%%", "é"):
        problem(shop.http.get(LOG, params={"cursor": cursor}, headers=headers), 422)
    assert shop.http.get(LOG, params={"cursor": good}, headers=headers).status_code == 200
    for limit in (0, 501, "x"):
        problem(shop.http.get(LOG, params={"limit": limit}, headers=headers), 422)
