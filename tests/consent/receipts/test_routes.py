import json

import pytest

from covey_consent.access.roles import Role
from covey_consent.decisions.consent_event import commit
from covey_consent.receipts import issue
from covey_consent.receipts.issue import Found, Receipts
from covey_consent.receipts.verification import verify
from covey_privacy.inclusion_promise import CONTEXT as PROMISE
from covey_privacy.inclusion_promise import Promise
from covey_privacy.registry_messages import LEAF_CONSENT
from covey_privacy.signatures import sign

SUBJECT = "5e" * 16


@pytest.fixture
def kept(shop, registrar):
    """Keep one event in the running registry, as its table of events will; return it."""
    registry = shop.http.app.state.registry
    notice = registry.notices["train"]
    record = registrar.record(text=notice.text("en").digest.hex(), subject=SUBJECT)
    commitment = commit(registrar.salt, record)
    promise = sign(
        PROMISE,
        Promise("covey.test/log", commitment, shop.clock.ms, shop.clock.ms + 3_600_000),
        shop.registry,
    )

    def find(_session, event):
        if event != record.event:
            raise issue.unknown(event)
        return Found(record, registrar.salt, notice, promise)

    registry.receipts = Receipts(registry.store, registry.log, registry.key, registry.controller, find)
    return record


@pytest.fixture
def publish(shop, kept, registrar):
    """Let the log have the event, among others."""

    def publish():
        log = shop.http.app.state.registry.log
        for entry in (bytes(32), commit(registrar.salt, kept), bytes(32)):
            shop.http.portal.call(log.write, log.append, LEAF_CONSENT, entry)

    return publish


@pytest.fixture
def read(shop, kept):
    def read(form, role=Role.SUBJECT, subject=SUBJECT, event=kept.event, **params):
        headers = shop.as_(role, subject=subject if role is Role.SUBJECT else None)
        return shop.http.get(f"/v1/receipts/{event}.{form}", headers=headers, params=params)

    return read


@pytest.mark.parametrize("role", [Role.SUBJECT, Role.OFFICER, Role.AUDITOR])
def test_the_person_the_officer_and_the_auditor_read_it(read, publish, role):
    publish()
    answer = read("json", role)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/ld+json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["dpv:hasRecordOfActivity"][0]["dpv:hasDataSubject"]["dct:identifier"] == SUBJECT


@pytest.mark.parametrize("form", ["json", "jwt", "html"])
def test_nobody_else_reads_it(shop, kept, read, problem, form):
    problem(read(form, Role.SERVICE), 403)
    problem(read(form, Role.ADMIN), 403)
    problem(read(form, subject="6f" * 16), 404)
    problem(read(form, subject=None), 404)
    problem(shop.http.get(f"/v1/receipts/{kept.event}.{form}"), 401)


def test_another_persons_event_looks_like_none(read, problem):
    other = problem(read("json", subject="6f" * 16), 404)
    missing = problem(read("json", event="11111111-6a2d-4c58-9d0e-2f7a51c4e9b1"), 404)
    assert other.replace("0b3f8c1e", "11111111") == missing


def test_what_is_no_event_is_refused(read, problem):
    problem(read("json", event="0b3f8c1e"), 422)


def test_the_signed_receipt_is_promised_first_and_then_in_the_log(shop, read, publish):
    promised = verify(read("jwt").content, shop.registry.public)
    assert "promised to the log covey.test/log" in str(promised)
    publish()
    published = read("jwt")
    assert published.headers["content-type"] == "application/jose"
    size = shop.checkpoint().size
    place = f"entry {size - 2} of {size} in the log covey.test/log"
    assert verify(published.content, shop.registry.public).places == (place,)


def test_the_page_comes_with_a_policy_that_forbids_all_but_its_style(read):
    answer = read("html")
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert "You agreed" in answer.text


def test_the_older_profile_is_asked_for_by_name(read, problem):
    assert read("json", profile="kantara-1.1").json()["version"] == "KI-CR-v1.1.0"
    problem(read("json", profile="kantara-2"), 422)


def test_a_registry_without_events_finds_none(shop, problem):
    headers = shop.as_(Role.OFFICER)
    event = "0b3f8c1e-6a2d-4c58-9d0e-2f7a51c4e9b1"
    problem(shop.http.get(f"/v1/receipts/{event}.jwt", headers=headers), 404)


def test_the_routes_are_described(shop):
    paths = json.loads(shop.http.get("/openapi.json").text)["paths"]
    described = paths["/v1/receipts/{event}.json"]["get"]
    assert described["operationId"]
    assert described["responses"]["200"]["content"]["application/ld+json"]["schema"]["$ref"].endswith(
        "Receipt"
    )
