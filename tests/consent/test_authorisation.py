"""Who may ask what: a route that is not in one of these tables fails the test.

A public route says why it needs no token; a guarded one names the roles that get through.
"""

import json
import re

import pytest

from covey_consent.access.roles import Caller, Role
from covey_consent.notices import files

SQLITE_ALONE = True  # What these tests say does not rest on the database.

ADMIN, AUDITOR, OFFICER, OPERATOR, SERVICE, SUBJECT = (
    Role.ADMIN, Role.AUDITOR, Role.OFFICER, Role.OPERATOR, Role.SERVICE, Role.SUBJECT,
)  # fmt: skip

SIGNED = "the body is signed by the device or the operator that it names"
SAME_FOR_ALL = "the same for everyone, and about nobody"
TICKET = "the body holds a ticket of the round, signed by its round key, and names no device"
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
    "GET /v1/notices/{purpose}/versions/{version}": SAME_FOR_ALL,
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
    "POST /v1/rounds/{round_id}/volunteers": TICKET,
    "POST /v1/rounds/{round_id}/retractions": TICKET,
    "POST /v1/rounds/{round_id}/draw": SIGNED,
    "POST /v1/rounds/{round_id}/included": SIGNED,
    "POST /v1/rounds/{round_id}/disputes": SIGNED,
    "POST /v1/rounds/{round_id}/final": SIGNED,
    "GET /v1/rounds/{round_id}": LOG,
    "GET /v1/sets/{root}": LOG,
    "POST /v1/device-tokens": "a DPoP proof by the device's key is what is asked for",
}

GUARDED = {
    "POST /v1/subjects": {SERVICE, ADMIN},
    "PUT /v1/subjects/{subject}/devices/{key}": {SERVICE, ADMIN},
    "DELETE /v1/subjects/{subject}/devices/{key}": {SUBJECT, SERVICE, OFFICER},
    "PUT /v1/subjects/{subject}/reference": {SERVICE, ADMIN},
    "POST /v1/subjects:search": {OFFICER, AUDITOR},
    "GET /v1/purposes/{purpose}/subjects": {OFFICER, AUDITOR},
    "GET /v1/rounds": {OFFICER, AUDITOR, ADMIN},
    "POST /v1/subjects/{subject}/consents": {SUBJECT, SERVICE, OFFICER},
    "GET /v1/subjects/{subject}/consents": {SUBJECT, SERVICE, OFFICER, AUDITOR},
    "GET /v1/subjects/{subject}/events": {SUBJECT, SERVICE, OFFICER, AUDITOR},
    "GET /v1/subjects/{subject}/decisions/{purpose}": {SUBJECT, SERVICE, OFFICER, AUDITOR},
    "GET /v1/subjects/{subject}/restriction": {SUBJECT, OFFICER, AUDITOR},
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
    "GET /v1/assessments/{assessment}": {OFFICER, AUDITOR, ADMIN},
    "GET /v1/assessments": {OFFICER, AUDITOR, ADMIN},
    "GET /v1/documents/{name}": {OFFICER, AUDITOR},
    "POST /v1/rights": {SUBJECT, OFFICER},
    "GET /v1/rights": {SUBJECT, OFFICER, AUDITOR},
    "GET /v1/rights/{id_}": {SUBJECT, OFFICER, AUDITOR},
    "POST /v1/rights/{id_}/steps": {SUBJECT, OFFICER},
    "GET /v1/rights/{id_}/export": {SUBJECT, OFFICER},
    "GET /v1/erasures/{id_}/steps": {AUDITOR, ADMIN},
    "GET /v1/subjects/{subject}/attributes": {SUBJECT, OFFICER, AUDITOR},
    "PATCH /v1/subjects/{subject}/attributes": {OFFICER},
    "GET /v1/subjects/{subject}/recipients": {SUBJECT, OFFICER, AUDITOR},
    "POST /v1/imports": {ADMIN},
    "POST /v1/recipients": {ADMIN},
    "GET /v1/recipients": {ADMIN, OFFICER, AUDITOR},
    "GET /v1/recipients/{id_}": {ADMIN, OFFICER, AUDITOR},
    "PATCH /v1/recipients/{id_}": {ADMIN},
    "POST /v1/recipients/{id_}/retries": {ADMIN},
    "POST /v1/breaches": {OFFICER},
    "GET /v1/breaches": {OFFICER, AUDITOR},
    "GET /v1/breaches/{id_}": {OFFICER, AUDITOR},
    "POST /v1/breaches/{id_}/steps": {OFFICER},
    "GET /v1/access-log": {ADMIN, AUDITOR},
    "POST /v1/clock/confirmations": {ADMIN},
    "POST /v1/revocations": {ADMIN},
    "GET /v1/revocations": {ADMIN, AUDITOR},
    "GET /metrics": {ADMIN, AUDITOR, OPERATOR},
}

OWN, OTHERS = "5f" * 16, "a0" * 16

PAPER = {"purpose": "health", "kind": "dpia", "document_sha256": "ab" * 32, "valid_until": 1830000000}
MAIL = {"name": "Mail", "url": "https://mail.example/covey", "purposes": ["marketing"]}
DEVICE = "/v1/subjects/{subject}/devices/{key}"
STEPS = "/v1/rights/{id_}/steps"


def routes(app) -> set[str]:
    assert all(hasattr(route, "methods") for route in app.router.routes), "put routes in with ROUTERS"
    return {f"{method} {route.path}" for route in app.router.routes for method in route.methods - {"HEAD"}}


def ask(shop, route: str, headers: dict[str, str]):
    method, path = route.split(" ")
    filled = re.sub(r"{(\w+)(?::\w+)?}", lambda match: OWN if match[1] == "subject" else "1", path)
    return shop.http.request(method, filled, headers={"covey-reason": "a test", **headers})


class World:
    """What exists: a person with a device, an event and requests; an assessment, a recipient, a breach."""

    def __init__(self, shop) -> None:
        self.shop, self.key, self.subject = shop, shop.stranger().device.hex(), None
        self.subject = self.make("/v1/subjects", SERVICE, {"country": "DE"}, "subject")
        self.attach()
        no = {"purpose": "train", "state": "refused"}
        self.event = self.make(f"/v1/subjects/{self.subject}/consents", SUBJECT, no, "event")
        self.assessment = self.make("/v1/assessments", OFFICER, PAPER, "id", "ada")
        self.things = {
            "recipients": self.make("/v1/recipients", ADMIN, MAIL, "id"),
            "breaches": self.make("/v1/breaches", OFFICER, {}, "id"),
            "rights": self.request("access"),
        }

    def make(self, path: str, role: Role, body: dict, key: str, name: str = "someone") -> str:
        answer = self.shop.http.post(path, json=body, headers=self.shop.as_(role, name, self.subject))
        assert answer.status_code == 201, answer.text
        return answer.json()[key]

    def attach(self) -> None:
        path = DEVICE.format(subject=self.subject, key=self.key)
        assert self.shop.http.put(path, headers=self.shop.as_(SERVICE)).status_code == 204

    def request(self, kind: str) -> str:
        return self.make("/v1/rights", SUBJECT, {"kind": kind}, "id")

    def body(self, route: str) -> dict | None:
        """Return what the route takes, such that it does something."""
        text = self.shop.notices()["analytics"].text("en").digest.hex()
        shown = {"version": "1.0.0", "language": "en", "text_digest": text, "place": "dialog"}
        return {
            "POST /v1/subjects": {},
            "POST /v1/subjects:search": {"prefix": self.subject[:8]},
            "PUT /v1/subjects/{subject}/reference": {"reference": "customer 4711"},
            "POST /v1/subjects/{subject}/consents": {"purpose": "train", "state": "withdrawn"},
            "PUT /v1/subjects/{subject}/restriction": {"restricted": True},
            "POST /v1/decisions:batch": {"purpose": "train", "subjects": [self.subject]},
            "POST /v1/epochs/{epoch}/end": {"reason": "a drill"},
            "POST /v1/served": shown | {
                "subject": self.subject, "purpose": "analytics", "at": self.shop.clock.ms,
            },
            "POST /v1/notices": json.loads(files.packaged()["marketing"].model_dump_json()),
            "POST /v1/assessments": PAPER,
            "POST /v1/rights": {"kind": "access", "subject": self.subject},
            f"POST {STEPS}": {"step": "cancel", "reason": "told by telephone"},
            "PATCH /v1/subjects/{subject}/attributes": {"country": "AT"},
            "POST /v1/recipients": MAIL | {"name": "Post"},
            "PATCH /v1/recipients/{id_}": {"active": True},
            "POST /v1/breaches": {},
            "POST /v1/clock/confirmations": {"now": int(self.shop.clock.now)},
            "POST /v1/revocations": {"role": "officer", "name": "who left"},
            "POST /v1/breaches/{id_}/steps": {"step": "update"},
        }.get(route)  # fmt: skip

    def ask(self, route: str, headers: dict[str, str]):
        """Ask a route of what exists, conditionally and with all that it takes."""
        method, path = route.split(" ")
        kind = path.split("/")[min(2, path.count("/"))]
        if path == STEPS:
            self.things["rights"] = self.request("erasure")
        if path == DEVICE:
            self.attach()
        params = {"subject": self.subject} if route == "GET /v1/served" else None
        filled = path.format(
            subject=self.subject, event=self.event, assessment=self.assessment, key=self.key,
            purpose="train", epoch=self.shop.clock.epoch, name="toms", id_=self.things.get(kind),
        )  # fmt: skip
        always = {"if-match": "*", "sec-gpc": "1"}
        return self.shop.http.request(
            method, filled, json=self.body(route), params=params, headers=always | headers
        )


@pytest.fixture
def world(shop) -> World:
    return World(shop)


ENDED = {
    "POST /v1/epochs/{epoch}/end": 409,
    "POST /v1/imports": 422,
    "GET /v1/erasures/{id_}/steps": 404,
}
"""What can be done once, and the answer to who comes second; so is nothing to import, and nobody erased."""


@pytest.mark.compliance("GDPR 32", "every route names who may ask; whoever else is refused")
def test_every_route_says_who_may_ask(shop):
    assert routes(shop.http.app) == PUBLIC.keys() | GUARDED.keys()
    assert not PUBLIC.keys() & GUARDED.keys()


@pytest.mark.parametrize("route", GUARDED)
def test_whoever_may_ask_is_answered_and_nobody_else(shop, world, problem, route):
    for role in Role:
        answer = world.ask(route, shop.as_(role, subject=world.subject))
        if role not in GUARDED[route]:
            problem(answer, 403)
        elif answer.status_code != ENDED.get(route):
            assert answer.is_success, (role, answer.text)


@pytest.mark.parametrize("route", [route for route, roles in GUARDED.items() if SUBJECT in roles])
def test_a_person_is_shown_nothing_of_another(shop, world, route):
    other = shop.http.post("/v1/subjects", json={}, headers=shop.as_(SERVICE)).json()["subject"]
    answer = world.ask(route, shop.as_(SUBJECT, subject=other))
    assert answer.status_code in (403, 404) or answer.json() == {"items": [], "next": None}, answer.text


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

    from covey_consent.api.authorization import needs

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
