"""Who may ask what: a route that is not in one of these tables fails the test.

A public route says why it needs no token; a guarded one names the roles that get through.
"""

import re

import pytest

from covey_consent.access.roles import Caller, Role

ADMIN, AUDITOR, OFFICER, OPERATOR, SERVICE, SUBJECT = (
    Role.ADMIN, Role.AUDITOR, Role.OFFICER, Role.OPERATOR, Role.SERVICE, Role.SUBJECT,
)  # fmt: skip

SIGNED = "the body is signed by the device or the operator that it names"
SAME_FOR_ALL = "the same for everyone, and about nobody"
LOG = "the transparency log is there for anyone to check"

PUBLIC = {
    "GET /openapi.json": SAME_FOR_ALL,
    "GET /problems": SAME_FOR_ALL,
    "GET /problems/{name}": SAME_FOR_ALL,
    "GET /healthz": SAME_FOR_ALL,
    "GET /livez": SAME_FOR_ALL,
    "GET /readyz": SAME_FOR_ALL,
    "GET /.well-known/jwks.json": SAME_FOR_ALL,
    "GET /.well-known/security.txt": SAME_FOR_ALL,
    "GET /.well-known/gpc.json": SAME_FOR_ALL,
    "GET /v1/purposes": SAME_FOR_ALL,
    "GET /v1/notices": SAME_FOR_ALL,
    "GET /v1/notices/{purpose}": SAME_FOR_ALL,
    "GET /v1/notices/{purpose}/versions": SAME_FOR_ALL,
    "GET /v1/notices/{purpose}/changes": SAME_FOR_ALL,
    "GET /v1/log/promises/{commitment}": LOG,
    "GET /v1/epoch": SAME_FOR_ALL,
    "GET /v1/issuers/{epoch}/{purposes}": SAME_FOR_ALL,
    "GET /v1/epochs/{epoch}/issued": SIGNED,
    "GET /v1/erasures/{id_}": "the request's random id is the person's, and the certificate names nobody",
    "GET /checkpoint": LOG,
    "GET /tile/{path:path}": LOG,
    "GET /v1/log/checkpoint": LOG,
    "GET /v1/log/inclusion/{leaf}": LOG,
    "GET /v1/log/consistency": LOG,
    "GET /v1/log/entries": LOG,
    "POST /v1/enrolments": SIGNED,
    "POST /v1/decisions": SIGNED,
    "POST /v1/sync": SIGNED,
    "POST /v1/tickets": SIGNED,
    "POST /v1/rounds": SIGNED,
    "POST /v1/rounds/{round_id}/roster": SIGNED,
    "POST /v1/rounds/{round_id}/evidence": SIGNED,
    "POST /v1/device-tokens": "a DPoP proof by the device's key is what is asked for",
}

GUARDED = {
    "POST /v1/subjects": {SERVICE, ADMIN},
    "PUT /v1/subjects/{subject}/devices/{key}": {SERVICE, ADMIN},
    "POST /v1/subjects/{subject}/consents": {SUBJECT, SERVICE, OFFICER},
    "GET /v1/subjects/{subject}/consents": {SUBJECT, SERVICE, OFFICER, AUDITOR},
    "GET /v1/subjects/{subject}/events": {SUBJECT, SERVICE, OFFICER, AUDITOR},
    "GET /v1/subjects/{subject}/decisions/{purpose}": {SUBJECT, SERVICE, OFFICER, AUDITOR},
    "PUT /v1/subjects/{subject}/restriction": {SUBJECT, OFFICER},
    "POST /v1/subjects/{subject}/signals": {SUBJECT, SERVICE},
    "POST /v1/decisions:batch": {SERVICE},
    "POST /v1/epochs/{epoch}/end": {OFFICER, ADMIN},
    "GET /v1/receipts/{event}.json": {SUBJECT, OFFICER, AUDITOR},
    "GET /v1/receipts/{event}.jwt": {SUBJECT, OFFICER, AUDITOR},
    "GET /v1/receipts/{event}.html": {SUBJECT, OFFICER, AUDITOR},
    "POST /v1/served": {SUBJECT, SERVICE},
    "GET /v1/served": {SUBJECT, OFFICER, AUDITOR},
    "POST /v1/notices": {ADMIN},
    "GET /v1/notices/{purpose}/reconsent": {OFFICER},
    "POST /v1/assessments": {OFFICER},
    "POST /v1/assessments/{assessment}/approval": {OFFICER, ADMIN},
    "GET /v1/assessments": {OFFICER, AUDITOR, ADMIN},
    "GET /v1/documents/{name}": {OFFICER, AUDITOR},
    "POST /v1/rights": {SUBJECT, OFFICER},
    "GET /v1/rights": {SUBJECT, OFFICER, AUDITOR},
    "GET /v1/rights/{id_}": {SUBJECT, OFFICER, AUDITOR},
    "POST /v1/rights/{id_}/steps": {SUBJECT, OFFICER},
    "GET /v1/rights/{id_}/export": {SUBJECT, OFFICER},
    "GET /v1/subjects/{subject}/attributes": {SUBJECT, OFFICER, AUDITOR},
    "PATCH /v1/subjects/{subject}/attributes": {OFFICER},
    "GET /v1/subjects/{subject}/recipients": {SUBJECT, OFFICER, AUDITOR},
    "POST /v1/imports": {ADMIN},
    "POST /v1/recipients": {ADMIN},
    "GET /v1/recipients": {ADMIN, OFFICER, AUDITOR},
    "PATCH /v1/recipients/{id_}": {ADMIN},
    "POST /v1/recipients/{id_}/retries": {ADMIN},
    "POST /v1/breaches": {OFFICER},
    "GET /v1/breaches": {OFFICER, AUDITOR},
    "GET /v1/breaches/{id_}": {OFFICER, AUDITOR},
    "POST /v1/breaches/{id_}/steps": {OFFICER},
    "GET /v1/access-log": {ADMIN, AUDITOR},
    "GET /metrics": {ADMIN, AUDITOR, OPERATOR},
}

OWN, OTHERS = "5f" * 16, "a0" * 16


def routes(app) -> set[str]:
    assert all(hasattr(route, "methods") for route in app.router.routes), "put routes in with ROUTERS"
    return {f"{method} {route.path}" for route in app.router.routes for method in route.methods - {"HEAD"}}


def ask(shop, route: str, headers: dict[str, str]):
    method, path = route.split(" ")
    filled = re.sub(r"{(\w+)(?::\w+)?}", lambda match: OWN if match[1] == "subject" else "1", path)
    return shop.http.request(method, filled, headers={"covey-reason": "a test", **headers})


@pytest.mark.compliance("GDPR 32", "every route names who may ask; whoever else is refused")
def test_every_route_says_who_may_ask(shop):
    assert routes(shop.http.app) == PUBLIC.keys() | GUARDED.keys()
    assert not PUBLIC.keys() & GUARDED.keys()
    for route, allowed in GUARDED.items():
        passed = {role for role in Role if ask(shop, route, shop.as_(role, subject=OWN)).status_code != 403}
        assert passed == allowed, route


@pytest.mark.parametrize("route", GUARDED)
def test_nobody_passes_without_a_token_that_holds(shop, problem, route):
    role = min(GUARDED[route])
    expired = shop.as_(role)
    shop.clock.now += 3600
    wrong = {name: value[:-8] + "AAAAAAAA" for name, value in shop.as_(role).items()}
    for headers in ({}, expired, wrong, {"authorization": "Basic YTpi"}, {"authorization": "Bearer"}):
        problem(ask(shop, route, headers), 401)


@pytest.mark.parametrize("route", PUBLIC)
def test_a_public_route_asks_for_no_role(shop, route):
    answer = ask(shop, route, {})
    assert answer.status_code not in (401, 403) or "DPoP" in answer.text


def test_a_person_sees_their_own_records_alone(shop, problem):
    from typing import Annotated

    from covey_consent.access.guard import needs

    @shop.http.app.get("/toy/{subject}")
    async def toy(subject: str, caller: Annotated[Caller, needs(SUBJECT, SERVICE)]) -> str:
        return subject

    @shop.http.app.get("/toy")
    async def asked(subject: str, caller: Annotated[Caller, needs(SUBJECT)]) -> str:
        return subject

    own, nobody = shop.as_(SUBJECT, subject=OWN), shop.as_(SUBJECT)
    assert shop.http.get(f"/toy/{OWN}", headers=own).json() == OWN
    assert shop.http.get("/toy", params={"subject": OWN}, headers=own).json() == OWN
    problem(shop.http.get(f"/toy/{OTHERS}", headers=own), 403)
    problem(shop.http.get("/toy", params={"subject": OTHERS}, headers=own), 403)
    problem(shop.http.get(f"/toy?subject={OWN}&subject={OTHERS}", headers=own), 403)
    problem(shop.http.get(f"/toy/{OWN}", headers=nobody), 403)
    assert shop.http.get(f"/toy/{OTHERS}", headers=shop.as_(SERVICE)).status_code == 200
