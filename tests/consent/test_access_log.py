from typing import Annotated
from urllib.parse import quote

import pytest
from sqlalchemy import select
from test_authorisation import GUARDED, World

from covey_consent.access import access_log
from covey_consent.access.access_log import Access
from covey_consent.access.roles import Caller, Role
from covey_consent.api.authorization import needs
from covey_consent.commands import pack
from covey_consent.errors import UnknownError
from covey_consent.settings import Settings

LOG = "/v1/access-log"

OF_NOBODY = "it is about no person"
OF_MANY = "it is about many people, and names none"

UNNAMED = {
    "POST /v1/epochs/{epoch}/end": OF_NOBODY,
    "GET /v1/notices/{purpose}/reconsent": OF_NOBODY,
    "POST /v1/assessments": OF_NOBODY,
    "POST /v1/assessments/{assessment}/approval": OF_NOBODY,
    "GET /v1/assessments": OF_NOBODY,
    "GET /v1/assessments/{assessment}": OF_NOBODY,
    "GET /v1/documents/{name}": OF_NOBODY,
    "GET /v1/recipients": OF_NOBODY,
    "GET /v1/recipients/{id_}": OF_NOBODY,
    "POST /v1/breaches": OF_NOBODY,
    "GET /v1/breaches": OF_NOBODY,
    "GET /v1/breaches/{id_}": OF_NOBODY,
    "POST /v1/breaches/{id_}/steps": OF_NOBODY,
    "GET /v1/rounds": OF_NOBODY,
    "GET /v1/purposes/{purpose}/subjects": OF_MANY,
    "POST /v1/subjects:search": OF_MANY,
    "GET /v1/rights": OF_MANY,
}
"""What officers may ask that names no person; everything else that they ask is about one."""
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


@pytest.fixture
def world(shop) -> World:
    return World(shop)


def kept(shop, name: str) -> list[tuple[str | None, str | None]]:
    with shop.http.app.state.registry.store.session() as session:
        return [(row.subject, row.reason) for row in session.scalars(select(Access).filter_by(name=name))]


@pytest.mark.compliance("GDPR 32", "no officer looks at a person without a reason, by any address")
@pytest.mark.parametrize("route", [route for route, roles in GUARDED.items() if Role.OFFICER in roles])
def test_whatever_an_officer_asks_names_the_person_and_why(shop, world, problem, route):
    alone = shop.as_(Role.OFFICER, "alice", reason=None)
    if UNNAMED.get(route) == OF_NOBODY:
        assert world.ask(route, alone).is_success
        assert kept(shop, "alice") == [(None, None)]
        return
    assert "reason" in problem(world.ask(route, alone), 422)
    assert kept(shop, "alice") == []
    answer = world.ask(route, alone | {"covey-reason": "request%2017"})
    assert answer.is_success, answer.text
    assert kept(shop, "alice") == [(None if route in UNNAMED else world.subject, "request 17")]


def test_an_officer_gives_a_reason_to_look_for_what_is_not_there(shop, problem):
    """Without one, nobody learns whether an event or a request exists."""
    for path in ("/v1/receipts/00000000-0000-0000-0000-000000000000.json", f"/v1/rights/{'0' * 32}"):
        problem(shop.http.get(path, headers=shop.as_(Role.OFFICER, reason=None)), 422)
        problem(shop.http.get(path, headers=shop.as_(Role.OFFICER)), 404)


def test_a_parameter_that_the_route_does_not_have_names_nobody(shop, world):
    auditor = shop.as_(Role.AUDITOR, "bob")
    path = f"/v1/receipts/{world.event}.html"
    assert shop.http.get(path, params={"subject": ANOTHER}, headers=auditor).status_code == 200
    assert shop.http.get("/v1/breaches", params={"subject": ANOTHER}, headers=auditor).status_code == 200
    assert kept(shop, "bob") == [(world.subject, None), (None, None)]


@pytest.mark.parametrize("subject", ["x" * 20_000, "ada", PERSON.upper(), f"{PERSON}0", ""])
def test_what_is_no_pseudonym_is_not_kept(shop, problem, subject):
    auditor = shop.as_(Role.AUDITOR, "bob")
    for path in (LOG, "/v1/served"):
        problem(shop.http.get(path, params={"subject": subject}, headers=auditor), 422)
    if subject:
        problem(shop.http.get(f"/v1/subjects/{subject}/consents", headers=auditor), 422)
    assert kept(shop, "bob") == []


def test_who_packs_a_person_s_records_at_the_machine_is_in_the_log(shop, world, database_url, tmp_path):
    """Also beside a registry that serves: the command takes no lock, and writes no other row."""
    settings = Settings(database_url=database_url, key_file=tmp_path / "registry.key")
    assert pack.make(settings, 0, world.subject)
    assert pack.make(settings, 0, None)
    with pytest.raises(UnknownError):
        pack.make(settings, 0, PERSON)
    newest = rows(shop)[1]
    assert (newest["role"], newest["operation"], newest["subject"]) == ("operator", "pack", world.subject)
    assert newest["name"]
    assert [row["operation"] for row in rows(shop)].count("pack") == 1
    assert shop.http.get(f"/v1/subjects/{world.subject}/events", headers=shop.as_(Role.OFFICER)).is_success
