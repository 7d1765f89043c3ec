"""The lookup of a verdict, served without FastAPI, answers and refuses as FastAPI's route does."""

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from covey_consent.access.roles import Role
from covey_consent.api import problems, verdicts
from covey_consent.api.http import add_routes

SQLITE_ALONE = True  # What these tests say does not rest on the database.

UNKNOWN = "0f" * 16


@pytest.fixture
def by_fastapi(shop):
    """Yield a client of the same registry with every route served by FastAPI."""
    app = FastAPI()
    app.state.registry = shop.http.app.state.registry
    add_routes(app, verdicts.router)
    problems.install(app)
    with TestClient(app, raise_server_exceptions=False) as http:
        yield http


def test_it_answers_as_the_plain_route(shop, by_fastapi):
    service = shop.as_(Role.SERVICE)
    person = shop.http.post("/v1/subjects", json={}, headers=service).json()["subject"]
    officer = shop.as_(Role.OFFICER)
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


def test_a_refused_look_of_an_officer_is_logged_once(shop):
    admin = shop.as_(Role.ADMIN)
    shop.http.get(f"/v1/subjects/{UNKNOWN}/decisions/train", headers=shop.as_(Role.OFFICER, "olga"))
    rows = shop.http.get("/v1/access-log", params={"name": "olga"}, headers=admin).json()["items"]
    assert [(row["operation"], row["subject"]) for row in rows] == [("verdict", UNKNOWN)]
