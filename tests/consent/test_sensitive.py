"""Sensitive purposes: opened after an assessment, and said yes to apart, in a dialogue."""

import json
from importlib import resources

import pytest

from covey_consent.access.roles import Role
from covey_consent.notices import files
from covey_consent.policy import purposes

SQLITE_ALONE = True  # What these tests say does not rest on the database.

YEAR_SECONDS = 365 * 86400
SENSITIVE = ("family", "health")
HIGH = (*SENSITIVE, "partner")
TELLING = {"pd:Health", "pd:FamilyStructure"}
"""Kinds of data that are of a special category, or sensitive."""


def publish(shop, purpose, **changes):
    file = json.loads(files.packaged()[purpose].model_dump_json()) | {"version": "1.0.0"} | changes
    return shop.publish(file)


def assess(shop, purpose):
    officer = shop.as_(Role.OFFICER, "ada")
    assessed = {"purpose": purpose, "kind": "dpia", "document_sha256": "ab" * 32}
    assessed["valid_until"] = int(shop.clock.now) + YEAR_SECONDS
    written = shop.http.post("/v1/assessments", json=assessed, headers=officer).json()
    approver = shop.as_(Role.OFFICER, "grace") | {"if-match": "*"}
    assert shop.http.post(f"/v1/assessments/{written['id']}/approval", headers=approver).status_code == 200


@pytest.fixture
def high(shop):
    """The purposes of high risk, opened."""
    for purpose in HIGH:
        assess(shop, purpose)
        assert publish(shop, purpose).status_code == 201
    return shop


@pytest.mark.compliance("GDPR 9", "health and family rest on explicit consent alone, and the notice says so")
@pytest.mark.parametrize("purpose", SENSITIVE)
def test_a_special_category_rests_on_explicit_consent_alone(high, problem, purpose):
    phone, notice = high.phone(), high.notices()[purpose]
    assert notice.basis == "consent"
    assert all("9(2)(a)" in text.text for text in notice.texts)
    for method in ("toggle", "settings", "prechecked"):
        assert "dialog" in problem(high.decide(phone, purpose, method=method), 422)
    assert high.choices(phone) == {}
    assert high.decide(phone, purpose, method="dialog").status_code == 204
    assert high.choices(phone) == {purpose: "granted"}


@pytest.mark.compliance(
    "PIPL 28", "what tells of health or family has purposes of its own, on the phone, after an assessment"
)
def test_sensitive_data_have_purposes_of_their_own(shop, problem):
    offered = {name: one for name, one in purposes.load().items() if one.basis != purposes.REFUSED}
    assert {name for name, one in offered.items() if TELLING & {*one.personal_data}} == {*SENSITIVE}
    assert {name for name, one in offered.items() if one.sensitive} == {*SENSITIVE}
    for purpose in SENSITIVE:
        assert offered[purpose].storage == "phone"
        assert "impact assessment" in problem(publish(shop, purpose), 409)
        assess(shop, purpose)
        assert publish(shop, purpose).status_code == 201


@pytest.mark.compliance(
    "PIPL 29", "a yes to everything else is none to health, and one to health is no other"
)
def test_sensitive_data_take_a_consent_of_their_own(high, problem):
    phone = high.phone()
    ordinary = {*high.notices()} - {*HIGH}
    high.grant(phone, *ordinary)
    assert high.choices(phone) == dict.fromkeys(ordinary, "granted")
    problem(high.decide(phone, "health"), 422)
    assert high.decide(phone, "health", method="dialog").status_code == 204
    assert high.choices(phone) == dict.fromkeys({*ordinary, "health"}, "granted")


@pytest.mark.compliance("PIPL 30", "the notice says why they are needed and what that means for the person")
@pytest.mark.parametrize("purpose", SENSITIVE)
def test_why_sensitive_data_are_needed_is_told_or_the_notice_is_refused(shop, problem, purpose):
    assess(shop, purpose)
    texts = json.loads(files.packaged()[purpose].model_dump_json())["texts"]
    for words in texts.values():
        assert words["items"].pop("necessity")
    refused = problem(publish(shop, purpose, texts=texts), 422)
    assert "en: necessity (GDPR 9(2)(a), PIPL 30) is missing" in refused
    assert "zh: necessity" in refused
    assert publish(shop, purpose).status_code == 201
    english, chinese = (text.text for text in shop.notices()[purpose].texts)
    assert "Why it is needed, and what it means for you: " in english
    assert "必要性及对您权益的影响：" in chinese


@pytest.mark.compliance(
    "PIPL 23", "a partner is agreed to apart, on a notice that names it and how to reach it"
)
def test_a_partner_is_agreed_to_by_its_name(high, problem):
    phone, notice = high.phone(), high.notices()["partner"]
    assert all("Covey Example Partner, DE, privacy@partner.example" in text.text for text in notice.texts)
    problem(high.decide(phone, "partner"), 422)
    assert high.decide(phone, "partner", method="dialog", text_digest=bytes(32)).status_code == 422
    assert high.decide(phone, "partner", method="dialog").status_code == 204
    assert high.choices(phone) == {"partner": "granted"}


@pytest.mark.compliance("PIPL 23", "without a named recipient there is nothing to agree to")
def test_a_partner_that_nobody_names_is_not_opened(opened, tmp_path, problem):
    packaged = resources.files("covey_consent.policy").joinpath("controller.toml").read_text("utf-8")
    path = tmp_path / "controller.toml"
    path.write_text(packaged.replace('purposes = ["partner"]', 'purposes = ["core"]'), "utf-8")
    with opened(controller=path) as shop:
        assess(shop, "partner")
        assert "recipients (GDPR 13(1)(e), PIPL 23) names nobody" in problem(publish(shop, "partner"), 422)


def test_health_and_partner_hold_for_a_time_and_then_ask_again(high):
    phone = high.phone()
    for purpose in HIGH:
        assert high.decide(phone, purpose, method="dialog").status_code == 204
    high.clock.now += YEAR_SECONDS + 31 * 86400
    assert high.choices(phone) == {"family": "granted", "health": "expired", "partner": "expired"}
