"""A route that takes a body says what is wrong with one that is empty or is no JSON: it never answers 500."""

import re

import pytest
from fastapi.routing import APIRoute

from covey_consent.access.roles import Role
from covey_consent.api.authorization import Guard

BODIES = {
    "empty": b"",
    "no JSON": b"\x00\xff{",
    "half of one": b'{"subject": ',
    "no object": b"[]",
    "null": b"null",
    "a number": b"1e999",
    "a lone surrogate": b'{"subject": "\\ud800"}',
    "a NUL": b'{"subject": "\\u0000"}',
    "not UTF-8": b'{"subject": "\xff"}',
    "very deep": b"[" * 100_000,
    "another kind of subject": b'{"subject": {"a": [1]}}',
}
KINDS = (
    "application/json",
    *[pytest.param(each, marks=pytest.mark.slow) for each in ("application/cbor", "text/plain")],
    *[pytest.param(each, marks=pytest.mark.slow) for each in ("application/zip", None)],
)


def writing(app) -> list[tuple[str, str, tuple[str, ...]]]:
    """Return method and path of each route that may take a body, with the roles that it names."""
    found = []
    for route in app.router.routes:
        if isinstance(route, APIRoute):
            guards = [need for need in _dependencies(route.dependant) if isinstance(need.call, Guard)]
            roles = tuple(sorted({role for need in guards for role in need.call._roles}))
            methods = sorted(route.methods & {"POST", "PUT", "PATCH", "DELETE"})
            found += [(method, route.path, roles) for method in methods]
    return found


def _dependencies(dependant):
    for one in dependant.dependencies:
        yield one
        yield from _dependencies(one)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_no_body_is_no_failure(shop, kind):
    subject = shop.http.post("/v1/subjects", json={}, headers=shop.as_(Role.SERVICE)).json()["subject"]
    routes = writing(shop.http.app)
    assert ("POST", "/v1/rights", (Role.OFFICER, Role.SUBJECT)) in routes
    failed = []
    for method, path, roles in routes:
        filled = re.sub(r"{(\w+)(?::\w+)?}", lambda m: subject if m[1] == "subject" else "1", path)
        for role in roles or (None,):
            headers = {} if role is None else shop.as_(role, subject=subject)
            headers |= {"if-match": "*"} | ({} if kind is None else {"content-type": kind})
            for name, body in BODIES.items():
                answer = shop.http.request(method, filled, content=body, headers=headers)
                if answer.status_code >= 500:
                    failed.append((method, path, role, name, answer.status_code))
    assert failed == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("body", [b"", b"\x00\xff{", b'{"subject": '])
def test_an_officers_request_without_json_is_malformed(shop, problem, body):
    headers = shop.as_(Role.OFFICER) | {"content-type": "application/json"}
    assert "body" in problem(shop.http.post("/v1/rights", content=body, headers=headers), 422)
