import json
from typing import Annotated

import pytest
from fastapi import APIRouter, Header
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from covey_consent.access.roles import Role
from covey_consent.api.http import add_routes
from covey_consent.api.media import JSON
from covey_consent.api.problems import catalogue
from covey_consent.api.request_headers import IfMatch, etag, require_match

SQLITE_ALONE = True  # What these tests say does not rest on the database.

JSON_BODY = {"content-type": "application/json"}


class Toy(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    size: int = 0


@pytest.fixture
def toys(shop):
    router = APIRouter()

    @router.post("/toys")
    async def make(toy: Toy) -> Toy:
        return toy

    @router.put("/toys")
    async def change(toy: Toy, if_match: IfMatch = None) -> Toy:
        require_match(if_match, etag(Toy(name="old")))
        return toy

    @router.get("/fails")
    async def fails(x_word: Annotated[str, Header()] = "") -> None:
        raise RuntimeError(x_word)

    add_routes(shop.http.app, router)
    return shop


def test_types_are_stable():
    """An address, once given, is what a client branches on."""
    assert set(catalogue()) == {
        "conflict", "damage", "denied", "limit", "malformed", "proof", "request", "stale", "token",
        "unauthenticated", "unavailable", "unconditional", "unknown",
    }  # fmt: skip


def test_the_catalogue_says_what_each_type_means(shop, problem):
    listed = {entry["type"]: entry for entry in shop.http.get("/problems").json()}
    problem(shop.http.get("/v1/notices/none"), 404)
    said = shop.http.get("/v1/notices/none").json()["type"]
    assert said == "/problems/unknown"
    one = shop.http.get(said).json()
    assert one == listed[said]
    assert one["status"] == 404
    assert all(len(entry["means"]) > 20 for entry in listed.values())
    problem(shop.http.get("/problems/none"), 404)


BROKEN = (
    b"\xff\xfe{}", b'{"name": "\xc3\x28"}', b'{"name": "a"', b"", b"null", b"[" * 100_000,
    b'{"name": ' + b"1" * 5000 + b"}", b'{"name": "\\ud800"}', b'{"name": "a", "\\ud800": 1}',
    b'{"name": "a", "x\\ny": 1}', b'{"name": "a", "size": 1e400}', b'{"name": "a", "size": NaN}',
    b'{"name": 7}', b'{"name": "a", "more": 1}',
)  # fmt: skip


@pytest.mark.parametrize("body", BROKEN, ids=range(len(BROKEN)))
def test_a_broken_body_is_the_sender_s_problem(toys, problem, body):
    problem(toys.http.post("/toys", content=body, headers=JSON_BODY), 422)


KEYS_OF_THEIR_OWN = st.text(max_size=60).map(lambda text: json.dumps({text: text}).encode())


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.binary(max_size=60), KEYS_OF_THEIR_OWN))
def test_no_body_makes_the_server_fail(toys, problem, body):
    problem(toys.http.post("/toys", content=body, headers=JSON_BODY), 422)


def test_what_is_too_long_is_refused_before_it_is_read(toys, problem):
    long = b'{"name": "' + b"a" * JSON + b'"}'
    for headers in (JSON_BODY, {"content-type": "text/plain"}, {}):
        assert str(JSON) in problem(toys.http.post("/toys", content=long, headers=headers), 413)
    problem(toys.http.post("/toys", content=iter([long]), headers=JSON_BODY), 413)
    lying = {**JSON_BODY, "content-length": "9" * 30}
    problem(toys.http.post("/toys", content=b"{}", headers=lying), 413)
    assert toys.http.post("/toys", json={"name": "a" * (JSON - 20)}).status_code == 200


def test_who_leaves_in_the_middle_of_a_body_is_no_failure_of_the_server(toys):
    parts = iter([{"type": "http.request", "body": b'{"na', "more_body": True}, {"type": "http.disconnect"}])
    answered = []

    async def receive():
        return next(parts)

    async def send(message):
        answered.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/toys", "query_string": b"", "root_path": "",
        "headers": [(b"content-type", b"application/json")],
    }  # fmt: skip
    toys.http.portal.call(toys.http.app, scope, receive, send)
    assert answered[0]["status"] == 400


def test_what_nobody_foresaw_says_nothing_of_itself(toys, problem):
    answer = toys.http.get("/fails", headers={"x-word": "secret"})
    assert "secret" not in problem(answer, 500)
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_browsers_are_told_to_be_careful(shop):
    headers = shop.http.get("/v1/purposes").headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "strict-transport-security" not in headers
    assert shop.http.get("/checkpoint").headers["cache-control"] == "no-cache", "a route's own stands"


def test_browsers_are_told_to_come_back_by_tls(opened):
    with opened(public_url="https://consent.shop.example") as https:
        assert "max-age" in https.http.get("/healthz").headers["strict-transport-security"]


def test_a_method_that_a_route_has_not_says_which_it_has(shop, problem):
    answer = shop.http.delete("/v1/access-log")
    problem(answer, 405)
    assert answer.headers["allow"] == "GET"


@pytest.mark.parametrize(
    ("if_match", "status"),
    [
        (None, 428),
        ("CURRENT", 200),
        ('"other", CURRENT', 200),
        ("*", 200),
        ('"other"', 412),
        ("W/CURRENT", 412),
        ("nonsense", 412),
        ("", 412),
    ],
)
def test_a_change_names_the_version_that_was_read(toys, problem, if_match, status):
    current = etag(Toy(name="old"))
    headers = {} if if_match is None else {"if-match": if_match.replace("CURRENT", current)}
    answer = toys.http.put("/toys", json={"name": "new"}, headers=headers)
    assert answer.status_code == status, answer.text
    if status != 200:
        problem(answer, status)


def test_an_etag_is_of_the_whole():
    assert etag(Toy(name="a")) != etag(Toy(name="a", size=1))


@pytest.mark.parametrize("text", ["a\0", "\0", "a\\\0"])
def test_no_text_has_a_nul(shop, problem, text):
    """SQLite would keep it and PostgreSQL refuse it: it is refused on both."""
    subject = shop.http.post("/v1/subjects", json={}, headers=shop.as_(Role.SERVICE)).json()["subject"]
    own, admin = shop.as_(Role.SUBJECT, subject=subject), shop.as_(Role.ADMIN)
    said = {"kind": "access", "words": text}
    assert "NUL" in problem(shop.http.post("/v1/rights", json=said, headers=own), 422)
    problem(shop.http.post("/v1/rights", json={"kind": "access", text: 1}, headers=own), 422)
    assert "NUL" in problem(shop.http.get("/v1/access-log", params={"name": text}, headers=admin), 422)
    problem(shop.http.get("/v1/rights/%00", headers=own), 422)


def test_a_backslash_before_u0000_is_no_nul(shop):
    subject = shop.http.post("/v1/subjects", json={}, headers=shop.as_(Role.SERVICE)).json()["subject"]
    said = {"kind": "access", "words": "\\u0000 and \\\\u0000"}
    answer = shop.http.post("/v1/rights", json=said, headers=shop.as_(Role.SUBJECT, subject=subject))
    assert answer.json()["words"] == said["words"]
