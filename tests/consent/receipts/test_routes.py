import json

import pytest

from covey_consent.access.roles import Role
from covey_consent.receipts.signed_receipts import verify


@pytest.fixture
def person(shop):
    answer = shop.http.post("/v1/subjects", json={}, headers=shop.as_(Role.SERVICE))
    return answer.json()["subject"]


@pytest.fixture
def event(shop, person):
    """Have the person grant a purpose; return the event's id."""
    notice = shop.notices()["train"]
    said = {
        "purpose": "train", "state": "granted", "notice_version": notice.version, "language": "en",
        "text_sha256": notice.text("en").digest.hex(), "method": "toggle",
    }  # fmt: skip
    own = shop.as_(Role.SUBJECT, subject=person)
    answer = shop.http.post(f"/v1/subjects/{person}/consents", json=said, headers=own)
    assert answer.status_code == 201, answer.text
    return answer.json()["event"]


@pytest.fixture
def publish(shop, event):
    """Let the log have the event."""

    def publish():
        shop.clock.now += 3600
        shop.http.portal.call(shop.http.app.state.registry.promises.publish)

    return publish


@pytest.fixture
def read(shop, person, event):
    def read(form, role=Role.SUBJECT, subject=person, event=event):
        headers = shop.as_(role, subject=subject if role is Role.SUBJECT else None)
        return shop.http.get(f"/v1/receipts/{event}.{form}", headers=headers)

    return read


@pytest.mark.parametrize("role", [Role.SUBJECT, Role.OFFICER, Role.AUDITOR])
def test_the_person_the_officer_and_the_auditor_read_it(read, person, publish, role):
    publish()
    answer = read("json", role)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/ld+json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["dpv:hasRecordOfActivity"][0]["dpv:hasDataSubject"]["dct:identifier"] == person


@pytest.mark.parametrize("form", ["json", "jwt", "html"])
def test_nobody_else_reads_it(shop, event, read, problem, form):
    problem(read(form, Role.SERVICE), 403)
    problem(read(form, Role.ADMIN), 403)
    problem(read(form, subject="6f" * 16), 404)
    problem(read(form, subject=None), 404)
    problem(shop.http.get(f"/v1/receipts/{event}.{form}"), 401)


def test_another_persons_event_looks_like_none(event, read, problem):
    other = problem(read("json", subject="6f" * 16), 404)
    missing = problem(read("json", event="11111111-6a2d-4c58-9d0e-2f7a51c4e9b1"), 404)
    assert other.replace(event, "11111111-6a2d-4c58-9d0e-2f7a51c4e9b1") == missing


def test_what_is_no_event_is_refused(read, problem):
    problem(read("json", event="0b3f8c1e"), 422)


def test_the_signed_receipt_is_promised_first_and_then_in_the_log(shop, read, publish):
    promised = verify(read("jwt").content, shop.registry.public)
    assert "promised to the log covey.test/log" in str(promised)
    publish()
    published = read("jwt")
    assert published.headers["content-type"] == "application/jose"
    size = shop.checkpoint().size
    place = f"entry {size - 1} of {size} in the log covey.test/log"
    assert verify(published.content, shop.registry.public).places == (place,)


def test_the_page_comes_with_a_policy_that_forbids_all_but_its_style(read):
    answer = read("html")
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert "You agreed" in answer.text


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
