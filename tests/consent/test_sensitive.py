"""Sensitive purposes: opened after an assessment, and said yes to apart, in a dialogue."""

import json

import pytest

from covey_consent.access.roles import Role
from covey_consent.notices import files

YEAR_SECONDS = 365 * 86400


@pytest.fixture(params=["health", "family", "partner"])
def purpose(request, shop):
    """A purpose of high risk that was opened."""
    officer = shop.as_(Role.OFFICER, "ada")
    assessed = {"purpose": request.param, "kind": "dpia", "document_sha256": "ab" * 32}
    assessed["valid_until"] = int(shop.clock.now) + YEAR_SECONDS
    written = shop.http.post("/v1/assessments", json=assessed, headers=officer).json()
    approver = shop.as_(Role.OFFICER, "grace")
    assert shop.http.post(f"/v1/assessments/{written['id']}/approval", headers=approver).status_code == 200
    file = json.loads(files.packaged()[request.param].model_dump_json()) | {"version": "1.0.0"}
    assert shop.http.post("/v1/notices", json=file, headers=shop.as_(Role.ADMIN)).status_code == 201
    return request.param


@pytest.mark.compliance("GDPR 9", "health and family are agreed to in a dialogue, never by a toggle")
@pytest.mark.compliance("PIPL 28", "what is sensitive is opened after an assessment, and by a strict consent")
@pytest.mark.compliance("PIPL 29", "sensitive data take a separate consent")
@pytest.mark.compliance("PIPL 23", "a partner takes a separate consent")
def test_a_sensitive_purpose_takes_a_consent_of_its_own(shop, problem, purpose):
    phone, notice = shop.phone(), shop.notices()[purpose]
    for method in ("toggle", "settings", "prechecked"):
        problem(shop.decide(phone, purpose, method=method), 422)
    assert shop.choices(phone) == {}
    assert shop.decide(phone, purpose, method="dialog").status_code == 204
    assert shop.choices(phone) == {purpose: "granted"}
    assert len(notice.texts) >= 2


def test_health_and_partner_hold_for_a_time_and_then_ask_again(shop, purpose):
    phone = shop.phone()
    assert shop.decide(phone, purpose, method="dialog").status_code == 204
    shop.clock.now += YEAR_SECONDS + 31 * 86400
    assert shop.choices(phone) == {purpose: "granted" if purpose == "family" else "expired"}
