"""The routes that are served without FastAPI answer and refuse as FastAPI's own do."""

import hashlib

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from covey_consent.access.roles import Role
from covey_consent.api import consents, problems, verdicts
from covey_consent.api.http import add_routes

SQLITE_ALONE = True  # What these tests say does not rest on the database.

UNKNOWN = "0f" * 16
JSON = {"content-type": "application/json"}
NO = b'{"purpose":"train","state":"withdrawn"}'


@pytest.fixture
def by_fastapi(shop):
    """Yield a client of the same registry with every route served by FastAPI."""
    app = FastAPI()
    app.state.registry = shop.http.app.state.registry
    add_routes(app, consents.router)
    add_routes(app, verdicts.router)
    problems.install(app)
    with TestClient(app, raise_server_exceptions=False) as http:
        yield http


@pytest.fixture
def person(shop) -> str:
    return shop.http.post("/v1/subjects", json={}, headers=shop.as_(Role.SERVICE)).json()["subject"]


def test_a_lookup_answers_as_the_plain_route(shop, by_fastapi, person):
    service, officer = shop.as_(Role.SERVICE), shop.as_(Role.OFFICER)
    seen = set()
    for subject, purpose, headers in (
        (person, "train", service),
        (person, "core", service),
        (person, "train", officer),
        (person, "train", shop.as_(Role.SUBJECT, subject=person)),
        (person, "train", shop.as_(Role.SUBJECT, subject=UNKNOWN)),
        (person, "no_such_purpose", service),
        (UNKNOWN, "train", service),
        ("a person", "train", service),
        ("A" * 32, "train", officer),
        (person, "train", shop.as_(Role.OPERATOR)),
        (person, "train", {}),
    ):
        path = f"/v1/subjects/{subject}/decisions/{purpose}"
        plain, served = (http.get(path, headers=headers) for http in (by_fastapi, shop.http))
        assert (served.status_code, served.text) == (plain.status_code, plain.text)
        assert served.headers["content-type"] == plain.headers["content-type"]
        seen.add(served.status_code)
    assert seen == {200, 401, 403, 404, 422}


def test_an_officer_s_lookup_is_logged_once(shop):
    admin = shop.as_(Role.ADMIN)
    shop.http.get(f"/v1/subjects/{UNKNOWN}/decisions/train", headers=shop.as_(Role.OFFICER, "olga"))
    rows = shop.http.get("/v1/access-log", params={"name": "olga"}, headers=admin).json()["items"]
    assert [(row["operation"], row["subject"]) for row in rows] == [("verdict", UNKNOWN)]


DECISIONS = {
    "a no": (JSON, NO),
    "a suffix": ({"content-type": "application/ld+json; charset=utf-8"}, NO),
    "a key": (JSON | {"idempotency-key": "k"}, NO),
    "a long key": (JSON | {"idempotency-key": "k" * 256}, NO),
    "an objection to a contract": (JSON, b'{"purpose":"core","state":"objected"}'),
    "no such purpose": (JSON, b'{"purpose":"nothing","state":"refused"}'),
    "a yes to another text": (
        JSON,
        b'{"purpose":"train","state":"granted","notice_version":1,"language":"en","text_sha256":"%s",'
        b'"method":"toggle"}' % hashlib.sha256(b"").hexdigest().encode(),
    ),
    "no body": (JSON, None),
    "another state": (JSON, b'{"purpose":"train","state":"perhaps"}'),
    "a field too many": (JSON, b'{"purpose":"train","state":"refused","version":1}'),
    "a field too few": (JSON, b'{"state":"refused"}'),
    "a list": (JSON, b"[]"),
    "null": (JSON, b"null"),
    "half a body": (JSON, b'{"state":'),
    "half a character": (JSON, b'{"state":"\xc3"}'),
    "a NUL": (JSON, b'{"purpose":"\\u0000","state":"refused"}'),
    "NaN": (JSON, b'{"purpose":NaN,"state":"refused"}'),
    "too long": (JSON, b'{"purpose":"' + b"a" * 2**20 + b'"}'),
    "a text": ({"content-type": "text/plain"}, NO),
    "no media type": ({}, NO),
}


@pytest.mark.parametrize("name", DECISIONS)
def test_a_decision_is_answered_as_by_the_plain_route(shop, by_fastapi, person, name):
    headers, body = DECISIONS[name]
    answers = []
    for http in (by_fastapi, shop.http):
        for role in (Role.SERVICE, Role.OFFICER):
            said = headers | shop.as_(role)
            answer = http.post(f"/v1/subjects/{person}/consents", content=body, headers=said)
            told = answer.json()
            answers.append((answer.status_code, told.keys() if answer.is_success else told))
    assert answers[:2] == answers[2:]
    assert all(status < 500 for status, _ in answers)


@pytest.mark.parametrize("subject", ["a person", "A" * 32, UNKNOWN])
def test_a_decision_for_nobody_is_refused_as_by_the_plain_route(shop, by_fastapi, subject):
    path, headers = f"/v1/subjects/{subject}/consents", JSON | shop.as_(Role.SERVICE)
    plain, served = (http.post(path, content=NO, headers=headers) for http in (by_fastapi, shop.http))
    assert (served.status_code, served.text) == (plain.status_code, plain.text)
    assert served.status_code in (404, 422)


BATCHES = {
    "two people": (JSON, b'{"purpose":"train","subjects":["%s","%s"]}'),
    "a key": (JSON | {"idempotency-key": "k"}, b'{"purpose":"train","subjects":["%s"]}'),
    "no such purpose": (JSON, b'{"purpose":"nothing","subjects":["%s"]}'),
    "nobody": (JSON, b'{"purpose":"train","subjects":[]}'),
    "a name": (JSON, b'{"purpose":"train","subjects":["ada"]}'),
    "a field too many": (JSON, b'{"purpose":"train","subjects":["%s"],"at":1}'),
    "null": (JSON, b"null"),
    "half a body": (JSON, b'{"purpose":'),
    "half a character": (JSON, b'{"purpose":"\xc3"}'),
    "NaN": (JSON, b'{"purpose":NaN,"subjects":[]}'),
    "no body": (JSON, None),
    "a text": ({"content-type": "text/plain"}, b'{"purpose":"train","subjects":["%s"]}'),
}


@pytest.mark.parametrize("name", BATCHES)
def test_a_batch_is_answered_as_by_the_plain_route(shop, by_fastapi, person, name):
    headers, body = BATCHES[name]
    if body and b"%s" in body:
        body %= (person.encode(), UNKNOWN.encode())[: body.count(b"%s")]
    for role in (Role.SERVICE, Role.OFFICER):
        said = headers | shop.as_(role)
        plain, served = (
            http.post("/v1/decisions:batch", content=body, headers=said) for http in (by_fastapi, shop.http)
        )
        assert (served.status_code, served.text) == (plain.status_code, plain.text)
        assert served.headers["content-type"] == plain.headers["content-type"]
        assert served.status_code < 500


def test_who_leaves_in_the_middle_of_a_decision_is_no_failure_of_the_server(shop, person):
    token = shop.as_(Role.SERVICE)["authorization"].encode()
    parts = [{"type": "http.request", "body": NO[:9], "more_body": True}, {"type": "http.disconnect"}]
    answered = []

    async def receive():
        return parts.pop(0) if len(parts) > 1 else parts[0]

    async def send(message):
        answered.append(message)

    scope = {
        "type": "http", "method": "POST", "path": f"/v1/subjects/{person}/consents", "query_string": b"",
        "root_path": "", "headers": [(b"content-type", b"application/json"), (b"authorization", token)],
    }  # fmt: skip
    shop.http.portal.call(shop.http.app, scope, receive, send)
    assert answered[0]["status"] == 400
