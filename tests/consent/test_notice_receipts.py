import json

import pytest
from sqlalchemy import select

from covey_consent.access.roles import Role
from covey_consent.decisions import notice_receipts
from covey_consent.notices import files
from covey_consent.storage.models import Device

SQLITE_ALONE = True  # What these tests say does not rest on the database.


@pytest.fixture
def subject(shop) -> str:
    phone = shop.phone()
    with shop.http.app.state.registry.store.session() as session:
        return session.scalar(select(Device.subject).where(Device.key == phone.device))


def told(shop, of: str, **changes) -> dict:
    text = shop.notices()["analytics"].text("zh")
    plain = {"subject": of, "purpose": "analytics", "version": "1.0.0", "language": "zh"}
    shown = {"text_digest": text.digest.hex(), "place": "dialog", "at": shop.clock.ms}
    return plain | shown | changes


def tell(shop, of: str, headers: dict, **changes):
    return shop.http.post("/v1/served", json=told(shop, of, **changes), headers=headers)


def test_what_a_person_was_shown_is_kept_once(shop, subject):
    headers = shop.as_(Role.SUBJECT, subject=subject)
    first = tell(shop, subject, headers)
    assert first.status_code == 201
    assert tell(shop, subject, headers).json() == first.json()
    later = tell(shop, subject, shop.as_(Role.SERVICE), place="settings").json()
    listed = shop.http.get("/v1/served", params={"subject": subject}, headers=headers).json()
    assert listed["items"] == [first.json(), later]


def test_a_grant_can_ask_whether_the_text_was_shown(shop, subject):
    tell(shop, subject, shop.as_(Role.SERVICE))
    notice = shop.notices()["analytics"]
    with shop.http.app.state.registry.store.session() as session:
        assert notice_receipts.was_shown(session, subject, notice.text("zh").digest)
        assert not notice_receipts.was_shown(session, subject, notice.text("en").digest)
        assert not notice_receipts.was_shown(session, "0" * 32, notice.text("zh").digest)


def test_a_text_that_was_replaced_since_was_shown_all_the_same(shop, subject):
    body = told(shop, subject)
    file = json.loads(files.packaged()["analytics"].model_dump_json()) | {"version": "1.1.0"}
    file["texts"]["zh"]["text"] += "！"
    assert shop.publish(file).status_code == 201
    assert shop.http.post("/v1/served", json=body, headers=shop.as_(Role.SERVICE)).status_code == 201
    newer = body | {"version": "1.1.0"}
    assert shop.http.post("/v1/served", json=newer, headers=shop.as_(Role.SERVICE)).status_code == 422


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"text_digest": "00" * 32}, 422),
        ({"language": "en"}, 422),
        ({"version": "1.0.1"}, 404),
        ({"version": "1"}, 422),
        ({"purpose": "train"}, 422),
        ({"purpose": "resale"}, 404),
        ({"place": "billboard"}, 422),
        ({"at": 0}, 422),
        ({"at": 2**63}, 422),
        ({"subject": "0" * 32}, 404),
        ({"subject": "ada"}, 422),
        ({"name": "Ada"}, 422),
    ],
)
def test_what_was_not_shown_is_not_kept(shop, subject, problem, changes, status):
    problem(tell(shop, subject, shop.as_(Role.SERVICE), **changes), status)
    headers = shop.as_(Role.OFFICER)
    listed = shop.http.get("/v1/served", params={"subject": subject}, headers=headers).json()
    assert listed == {"items": [], "next": None}


def test_a_person_tells_and_asks_of_themselves_alone(shop, subject, problem):
    other = shop.as_(Role.SUBJECT, subject="0" * 32)
    problem(tell(shop, subject, other), 403)
    problem(shop.http.get("/v1/served", params={"subject": subject}, headers=other), 403)


def test_a_guardian_tells_and_asks_for_their_ward(shop, problem):
    def new(**facts):
        answer = shop.http.post("/v1/subjects", json=facts, headers=shop.as_(Role.SERVICE))
        return answer.json()["subject"]

    parent = new()
    child = new(birth_year=2020, country="DE", guardian=parent)
    guardian, own = (shop.as_(Role.SUBJECT, subject=one) for one in (parent, child))
    first = tell(shop, child, guardian)
    assert first.status_code == 201, first.text
    listed = shop.http.get("/v1/served", params={"subject": child}, headers=guardian).json()
    assert listed["items"] == [first.json()]
    problem(tell(shop, parent, own), 403)
    problem(shop.http.get("/v1/served", params={"subject": parent}, headers=own), 403)


def test_who_may_do_what(shop, subject, problem):
    for role in Role:
        headers = shop.as_(role, subject=subject)
        writes, reads = (
            role in (Role.SUBJECT, Role.SERVICE),
            role in (Role.SUBJECT, Role.OFFICER, Role.AUDITOR),
        )
        assert tell(shop, subject, headers).status_code == (201 if writes else 403)
        listed = shop.http.get("/v1/served", params={"subject": subject}, headers=headers)
        assert listed.status_code == (200 if reads else 403)
    problem(shop.http.get("/v1/served", params={"subject": subject}), 401)


def test_a_long_history_comes_in_pages(shop, subject, problem):
    for place in ("onboarding", "settings", "dialog"):
        tell(shop, subject, shop.as_(Role.SERVICE), place=place)
    headers, found, cursor = shop.as_(Role.AUDITOR), [], {}
    while True:
        asked = {"subject": subject, "limit": 2, **cursor}
        page = shop.http.get("/v1/served", params=asked, headers=headers).json()
        assert len(page["items"]) <= 2
        found += [one["place"] for one in page["items"]]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert found == ["onboarding", "settings", "dialog"]
    problem(shop.http.get("/v1/served", params={"subject": "0" * 32, **cursor}, headers=headers), 422)
