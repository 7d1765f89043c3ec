import re

import pytest
from sqlalchemy.exc import OperationalError

from covey_consent.access.roles import Role
from covey_consent.errors import UnavailableError
from covey_privacy.registry_messages import GRANTED, WITHDRAWN

SQLITE_ALONE = True  # What these tests say does not rest on the database.

DAY = 86400


def test_it_lives_and_is_ready(shop):
    assert shop.http.get("/livez").json() == {"status": "ok"}
    found = shop.http.get("/readyz").json()
    loops = found.pop("loops")
    assert found == {
        "status": "ready", "database": "ok", "log_entries": shop.checkpoint().size,
        "letters": {"oldest_hours": 0}, "clock": {"state": "trusted", "reason": ""},
    }  # fmt: skip
    assert {loop["state"] for loop in loops.values()} == {"running"}


def test_without_its_database_it_lives_and_is_not_ready(shop, problem, monkeypatch):
    def gone(*_args):
        raise OperationalError("SELECT 1", {}, Exception("gone"))

    monkeypatch.setattr("covey_consent.recipients.outbox.Outbox.undelivered", gone)
    assert shop.http.get("/livez").status_code == 200
    answer = shop.http.get("/readyz")
    assert "database" in problem(answer, 503)
    assert answer.headers["retry-after"]


def metrics(shop) -> str:
    answer = shop.http.get("/metrics", headers=shop.as_(Role.OPERATOR))
    assert answer.headers["content-type"].startswith("text/plain")
    return answer.text


def test_metrics_count_answers_by_template_and_decisions_by_purpose(shop):
    phone = shop.phone()
    shop.decide(phone, "train", GRANTED)
    shop.decide(phone, "train", WITHDRAWN)
    shop.http.get("/v1/notices/train")
    shop.http.get("/v1/notices/nothing-such")
    shop.http.get(f"/no/route/{phone.device.hex()}")
    shop.http.request("BREW", "/healthz")
    text = metrics(shop)
    count = "covey_registry_request_seconds_count"
    assert f'{count}{{method="GET",route="/v1/notices/{{purpose}}",status="200"}} 1.0' in text
    assert f'{count}{{method="GET",route="/v1/notices/{{purpose}}",status="404"}} 1.0' in text
    assert f'{count}{{method="GET",route="none",status="404"}} 1.0' in text
    assert 'method="other"' in text
    assert 'covey_registry_decisions_total{purpose="train",state="granted"} 1.0' in text
    assert 'covey_registry_decisions_total{purpose="train",state="withdrawn"} 1.0' in text
    assert f"covey_registry_log_entries {float(shop.checkpoint().size)}" in text
    assert not re.search("[0-9a-f]{32}", text), "no identifier"


def overdue(shop) -> dict[str, str]:
    return dict(re.findall(r'^covey_registry_overdue{what="(\w+)"} (\S+)$', metrics(shop), re.MULTILINE))


@pytest.mark.compliance("GDPR 12(3)", "on day 31 the metric of late requests is 1, until it is answered")
def test_what_is_late_is_a_metric(shop):
    person = shop.http.post("/v1/subjects", json={}, headers=shop.as_(Role.SERVICE)).json()["subject"]
    own = shop.as_(Role.SUBJECT, subject=person)
    id_ = shop.http.post("/v1/rights", json={"kind": "erasure"}, headers=own).json()["id"]
    shop.clock.now += 28 * DAY
    assert overdue(shop) == {"requests": "0.0", "breaches": "0.0"}
    shop.clock.now += 3 * DAY + 1
    assert overdue(shop) == {"requests": "1.0", "breaches": "0.0"}
    shop.http.post("/v1/breaches", json={}, headers=shop.as_(Role.OFFICER))
    shop.clock.now += 3 * DAY + 1
    assert overdue(shop) == {"requests": "1.0", "breaches": "1.0"}
    officer = shop.as_(Role.OFFICER) | {"if-match": "*"}
    refusal = {"step": "refuse", "reason": "a law suit is pending"}
    answer = shop.http.post(f"/v1/rights/{id_}/steps", json=refusal, headers=officer)
    assert answer.status_code == 200
    assert overdue(shop) == {"requests": "0.0", "breaches": "1.0"}


def test_without_the_database_what_is_late_is_unknown_and_the_rest_is_told(shop, monkeypatch):
    def gone(*_args):
        raise UnavailableError("gone")

    monkeypatch.setattr("covey_consent.api.health._overdue", gone)
    assert overdue(shop) == {"requests": "NaN", "breaches": "NaN"}
    assert "covey_registry_log_entries" in metrics(shop)


def test_the_access_token_s_key_is_published(shop):
    from joserfc import jwk, jwt

    published = shop.http.get("/.well-known/jwks.json").json()["keys"]
    token = shop.as_(Role.AUDITOR, "bob")["authorization"].removeprefix("Bearer ")
    (key,) = [key for key in published if key["kid"] == shop.http.app.state.registry.tokens.kid]
    assert "d" not in key
    assert jwt.decode(token, jwk.import_key(key), ["Ed25519"]).claims["sub"] == "bob"


def test_the_receipts_key_is_published_and_gpc_is_heeded(shop):
    import base64

    published = shop.http.get("/.well-known/jwks.json").json()["keys"]
    halves = [base64.urlsafe_b64decode(key["x"] + "=") for key in published]
    assert shop.registry.public in halves
    assert len({key["kid"] for key in published}) == len(published)
    assert shop.http.get("/.well-known/gpc.json").json()["gpc"] is True


def test_security_txt_has_what_rfc_9116_asks_for(shop):
    answer = shop.http.get("/.well-known/security.txt")
    assert answer.headers["content-type"].startswith("text/plain")
    fields = dict(line.split(": ", 1) for line in answer.text.splitlines())
    assert fields["Contact"].startswith("mailto:")
    assert fields["Expires"] == "2027-04-15T08:00:00Z"
