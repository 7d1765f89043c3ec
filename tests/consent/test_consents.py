"""People's choices as JSON."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from test_assessments import approve, propose
from test_publishing import publish, written

from covey_consent.access.roles import Role
from covey_consent.access.signed_messages import open_from_device
from covey_consent.decisions import states
from covey_consent.decisions.consent_event import Act
from covey_consent.decisions.records import Record, commit
from covey_consent.errors import ConflictError, DeniedError
from covey_consent.policy import ages
from covey_consent.receipts import signed_receipts
from covey_consent.storage.models import Event
from covey_consent.tickets import tickets as booked_tickets
from covey_privacy import tickets
from covey_privacy.registry_messages import GRANTED, TICKETS, TicketRequest

YEAR = 2027
"""The clock's."""


@pytest.fixture
def service(shop):
    return shop.as_(Role.SERVICE)


@pytest.fixture
def person(shop, service):
    return new(shop, service)


def new(shop, service, **facts):
    answer = shop.http.post("/v1/subjects", json=facts, headers=service)
    assert answer.status_code == 201, answer.text
    return answer.json()["subject"]


def yes(shop, purpose="train", **changes):
    notice = shop.notices()[purpose]
    said = {
        "purpose": purpose,
        "state": "granted",
        "notice_version": notice.version,
        "language": "en",
        "text_sha256": notice.text("en").digest.hex(),
        "method": "toggle",
    }
    return said | changes


def say(shop, headers, person, said):
    return shop.http.post(f"/v1/subjects/{person}/consents", json=said, headers=headers)


def verdict(shop, headers, person, purpose="train"):
    answer = shop.http.get(f"/v1/subjects/{person}/decisions/{purpose}", headers=headers)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["allowed"] == (found["verdict"] == "allowed")
    return found["verdict"]


@pytest.mark.compliance("GDPR 25", "nothing optional is allowed before the person says yes")
def test_a_new_person_allows_nothing_that_needs_consent(shop, service, person):
    purposes = shop.http.get("/v1/purposes").json()
    for purpose in purposes:
        if purpose["basis"] == "consent":
            assert verdict(shop, service, person, purpose["id"]) == "undecided"
    assert verdict(shop, service, person, "core") == "allowed"


@pytest.mark.compliance("GDPR 7(4)", "who refuses or withdraws all that is optional is served all the same")
@pytest.mark.compliance("PIPL 16", "orders and membership do not depend on any optional purpose")
def test_who_refuses_or_withdraws_everything_is_served_all_the_same(shop, service):
    optional = [one["id"] for one in shop.http.get("/v1/purposes").json() if one["basis"] == "consent"]
    assert len(optional) > 15
    service_purposes = ("core", "membership")
    refusing, withdrawing = new(shop, service), new(shop, service)
    for purpose in optional:
        assert say(shop, service, refusing, {"purpose": purpose, "state": "refused"}).status_code == 201
        assert verdict(shop, service, refusing, purpose) == "refused"
        assert {verdict(shop, service, refusing, one) for one in service_purposes} == {"allowed"}
    opened = [purpose for purpose in optional if purpose in shop.notices()]
    for purpose in opened:
        assert say(shop, service, withdrawing, yes(shop, purpose)).status_code == 201
    for purpose in opened:
        said = {"purpose": purpose, "state": "withdrawn"}
        assert say(shop, service, withdrawing, said).status_code == 201
        assert verdict(shop, service, withdrawing, purpose) == "withdrawn"
        assert {verdict(shop, service, withdrawing, one) for one in service_purposes} == {"allowed"}


@pytest.mark.compliance(
    "GDPR 7(3)", "to withdraw takes less than to grant, by the same call, and counts at once"
)
def test_a_withdrawal_needs_less_than_a_grant_and_ends_it_at_once(shop, service, person):
    grant, withdrawal = yes(shop), {"purpose": "train", "state": "withdrawn"}
    assert set(withdrawal) < set(grant)
    assert say(shop, service, person, grant).status_code == 201
    assert verdict(shop, service, person) == "allowed"
    assert say(shop, service, person, withdrawal).status_code == 201
    assert verdict(shop, service, person) == "withdrawn"


@pytest.mark.compliance("GDPR 4(11)", "nothing ticked beforehand, bundled or assumed counts as a yes")
@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"method": "prechecked"}, 422),
        ({"text_sha256": "00" * 32}, 422),
        ({"language": "fr"}, 422),
        ({"notice_version": 2}, 409),
        ({"purpose": "resale"}, 404),
        ({"purpose": "price_profile"}, 422),
        ({"purpose": ["train", "analytics"]}, 422),
        ({"state": "assumed"}, 422),
        ({"also": "marketing"}, 422),
    ],
)
def test_a_yes_that_proves_too_little_is_refused(shop, service, person, problem, changes, status):
    problem(say(shop, service, person, yes(shop) | changes), status)
    assert verdict(shop, service, person) == "undecided"


@pytest.mark.parametrize("missing", ["notice_version", "language", "text_sha256", "method"])
def test_a_yes_names_what_it_was_said_to(shop, service, person, problem, missing):
    said = yes(shop)
    del said[missing]
    problem(say(shop, service, person, said), 422)


def test_what_stood_at_a_time_is_told(shop, service, person):
    moments = []
    for state in ("granted", "withdrawn", "granted"):
        shop.clock.now += 600
        said = yes(shop) if state == "granted" else {"purpose": "train", "state": state}
        moments.append(say(shop, service, person, said).json()["at"])
    before = "2027-01-01T00:00:00Z"
    expected = [(before, []), *zip(moments, (["granted"], ["withdrawn"], ["granted"]), strict=True)]
    for at, told in expected:
        answer = shop.http.get(f"/v1/subjects/{person}/consents", params={"at": at}, headers=service)
        assert [choice["state"] for choice in answer.json()["choices"]] == told


def stood(shop, headers, person, at):
    """Return by purpose what the registry says now that stood at a time (Unix seconds), and its verdicts."""
    moment = datetime.fromtimestamp(at, UTC).isoformat()
    answer = shop.http.get(f"/v1/subjects/{person}/consents", params={"at": moment}, headers=headers)
    assert answer.status_code == 200, answer.text
    return {one["purpose"]: (one["state"], one["verdict"]) for one in answer.json()["choices"]}


def of_new_person(shop, service, phone):
    """Attach a phone that is not enrolled to a new person; return their pseudonym."""
    person = new(shop, service)
    path = f"/v1/subjects/{person}/devices/{phone.device.hex()}"
    assert shop.http.put(path, headers=service).status_code == 204
    return person


@pytest.mark.parametrize("after", ["renewed", "expired"])
def test_a_no_that_came_late_leaves_the_past_readable(shop, service, after):
    registry, phone = shop.http.app.state.registry, shop.stranger()
    person = of_new_person(shop, service, phone)
    granted = shop.clock.now
    ends = shop.clock.ms + 3_600_000 if after == "expired" else 0
    act = Act(person, "train", GRANTED, "subject", "toggle", shop.clock.ms, "1", 1, expires_at=ends)
    shop.http.portal.call(registry.recorder.submit, [act])
    shop.clock.now += 7200
    service = shop.as_(Role.SERVICE)
    if after == "renewed":
        assert say(shop, service, person, yes(shop, state="renewed")).status_code == 201
    else:
        assert shop.http.portal.call(registry.upkeep.once) == 1
    assert shop.decide(phone, "train", "withdrawn", at=int(1000 * (granted + 1800))).status_code == 204
    expected = ("granted", "allowed") if after == "renewed" else ("expired", "expired")
    assert stood(shop, service, person, shop.clock.now) == {"train": expected}
    assert stood(shop, service, person, granted + 60) == {"train": ("granted", "allowed")}
    assert stood(shop, service, person, granted + 1800) == {"train": ("withdrawn", "withdrawn")}


def test_a_no_dated_ahead_has_ended_the_grant_at_any_time_from_now(shop, service):
    phone = shop.stranger()
    person = of_new_person(shop, service, phone)
    shop.grant(phone, "train")
    shop.clock.now += 10
    assert shop.decide(phone, "train", "withdrawn", at=shop.clock.ms + 240_000).status_code == 204
    assert verdict(shop, service, person) == "withdrawn"
    assert stood(shop, service, person, shop.clock.now - 1) == {"train": ("granted", "allowed")}
    for later in (0, 100, 1000):
        told = stood(shop, service, person, shop.clock.now + later)
        assert told == {"train": ("withdrawn", "withdrawn")}


@pytest.mark.parametrize(
    "at",
    [
        "0001-01-01T00:00:00",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "2027-01-01T00:00:00",
        "1969-12-31T23:59:59Z",
        "yesterday",
    ],
)
def test_a_time_has_a_zone_and_a_year_that_registries_know(shop, service, person, problem, at):
    path = f"/v1/subjects/{person}/consents"
    problem(shop.http.get(path, params={"at": at}, headers=service), 422)


def test_there_is_no_past_of_a_stranger(shop, service, problem):
    path = f"/v1/subjects/{'0' * 32}/consents"
    problem(shop.http.get(path, params={"at": "2027-01-01T00:00:00Z"}, headers=service), 404)


def test_the_past_is_judged_by_the_notices_of_its_time(shop, service, person):
    assert say(shop, service, person, yes(shop)).status_code == 201
    granted = shop.clock.now
    shop.clock.now += 600
    assert publish(shop, written("train", "2.0.0", "\n\nMore.")).status_code == 201
    assert verdict(shop, service, person) == "notice-outdated"
    assert stood(shop, service, person, granted + 599) == {"train": ("granted", "allowed")}
    assert stood(shop, service, person, granted + 600) == {"train": ("granted", "notice-outdated")}


def test_history_comes_in_pages_and_each_event_has_its_receipt(shop, service, person):
    for state in ("granted", "withdrawn", "granted"):
        shop.clock.now += 1
        said = yes(shop) if state == "granted" else {"purpose": "train", "state": state}
        assert say(shop, service, person, said).status_code == 201
    path, told, cursor = f"/v1/subjects/{person}/events", [], None
    own = shop.as_(Role.SUBJECT, subject=person)
    while cursor or not told:
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = shop.http.get(path, params=query, headers=own).json()
        told, cursor = told + page["items"], page["next"]
    assert [event["state"] for event in told] == ["granted", "withdrawn", "granted"]
    assert {event["notice"] for event in told if event["state"] == "granted"} == {"1.0.0"}
    for event in told:
        receipt = shop.http.get(f"/v1/receipts/{event['event']}.jwt", headers=own)
        assert receipt.status_code == 200, receipt.text
        shown = signed_receipts.verify(receipt.content, shop.registry.public)
        assert shown.receipt.has_record_of_activity[0].evidence.record.event == event["event"]
    stranger = shop.as_(Role.SUBJECT, subject=new(shop, service))
    assert shop.http.get(f"/v1/receipts/{told[0]['event']}.jwt", headers=stranger).status_code == 404


def test_a_grant_that_holds_for_a_time_ends_with_it(shop, service, person):
    registry, ends = shop.http.app.state.registry, shop.clock.ms + 1000
    act = Act(person, "train", GRANTED, "subject", "toggle", shop.clock.ms, "1", 1, expires_at=ends)
    shop.http.portal.call(registry.recorder.submit, [act])
    assert verdict(shop, service, person) == "allowed"
    shop.clock.now += 1
    assert verdict(shop, service, person) == "expired"
    assert shop.http.portal.call(registry.upkeep.once) == 1
    assert shop.http.portal.call(registry.upkeep.once) == 0
    answer = shop.http.get(f"/v1/subjects/{person}/consents", headers=service).json()
    assert [choice["state"] for choice in answer["choices"]] == ["expired"]
    assert say(shop, service, person, yes(shop)).status_code == 201
    assert verdict(shop, service, person) == "allowed"


def test_who_renews_while_upkeep_looks_keeps_the_grant(shop, service, person, monkeypatch):
    registry, ends = shop.http.app.state.registry, shop.clock.ms + 1000
    act = Act(person, "train", GRANTED, "subject", "toggle", shop.clock.ms, "1", 1, expires_at=ends)
    shop.http.portal.call(registry.recorder.submit, [act])
    shop.clock.now += 1
    look, found = registry.upkeep._lapsed, []

    def look_and_renew(session):
        found.append(look(session))
        if len(found) == 1:
            assert say(shop, service, person, yes(shop, state="renewed")).status_code == 201
        return found[-1]

    monkeypatch.setattr(registry.upkeep, "_lapsed", look_and_renew)
    assert shop.http.portal.call(registry.upkeep.once) == 0
    assert found == [[person], []]
    assert verdict(shop, service, person) == "allowed"


def test_only_what_stands_can_be_renewed(shop, service, person, problem):
    problem(say(shop, service, person, yes(shop, state="renewed")), 409)
    assert say(shop, service, person, yes(shop)).status_code == 201
    assert say(shop, service, person, yes(shop, state="renewed")).json()["state"] == "renewed"
    assert verdict(shop, service, person) == "allowed"


def test_nobody_says_yes_for_another(shop, service, person, problem):
    other = shop.as_(Role.SUBJECT, subject=new(shop, service))
    problem(say(shop, other, person, yes(shop)), 403)
    problem(say(shop, other, person, {"purpose": "train", "state": "withdrawn"}), 403)
    problem(shop.http.get(f"/v1/subjects/{person}/consents", headers=other), 403)
    problem(say(shop, shop.as_(Role.OFFICER), person, yes(shop)), 403)
    assert verdict(shop, service, person) == "undecided"


def test_a_person_speaks_for_themselves(shop, person):
    own = shop.as_(Role.SUBJECT, subject=person)
    assert say(shop, own, person, yes(shop)).json()["actor"] == "subject"
    assert verdict(shop, own, person) == "allowed"


def test_an_objection_outlasts_an_officer_and_ends_by_the_persons_own_yes(shop, service, person, problem):
    assert say(shop, service, person, {"purpose": "marketing", "state": "objected"}).status_code == 201
    for state in ("refused", "withdrawn"):
        say(shop, shop.as_(Role.OFFICER), person, {"purpose": "marketing", "state": state})
        assert verdict(shop, service, person, "marketing") == "objected"
    problem(say(shop, shop.as_(Role.OFFICER), person, yes(shop, "marketing")), 403)
    shop.clock.now += 1
    assert "objected" in problem(say(shop, service, person, yes(shop, "marketing")), 403)
    assert verdict(shop, service, person, "marketing") == "objected"
    own = shop.as_(Role.SUBJECT, subject=person)
    assert say(shop, own, person, yes(shop, "marketing")).status_code == 201
    assert verdict(shop, service, person, "marketing") == "allowed"
    problem(say(shop, service, person, {"purpose": "core", "state": "objected"}), 422)


@pytest.mark.parametrize("version", [None, "1.0.0"])
def test_acknowledging_a_contract_takes_nothing_away(shop, service, person, version):
    if version:
        assert say(shop, service, person, yes(shop, "core")).status_code == 201
    assert publish(shop, written("core", "9.0.0", "\n\nMore.")).status_code == 201
    assert verdict(shop, service, person, "core") == "allowed"


def test_restriction_stops_everything_and_forgets_nothing(shop, service, person):
    assert say(shop, service, person, yes(shop)).status_code == 201
    path, officer = f"/v1/subjects/{person}/restriction", shop.as_(Role.OFFICER)
    for restricted, expected in ((True, "restricted"), (False, "allowed")):
        shop.clock.now += 1
        read, said = shop.match(path, officer), {"restricted": restricted, "told": "by letter"}
        assert shop.http.put(path, json=said, headers=read).status_code == 200
        assert shop.http.get(path, headers=officer).json()["restricted"] is restricted
        assert verdict(shop, service, person) == expected
        assert (verdict(shop, service, person, "core") == "allowed") is not restricted


def test_a_restriction_is_changed_by_who_has_read_it(shop, person, problem):
    path, officer = f"/v1/subjects/{person}/restriction", shop.as_(Role.OFFICER)
    problem(shop.http.put(path, json={"restricted": True}, headers=officer), 428)
    read = shop.match(path, officer)
    done = shop.http.put(path, json={"restricted": True}, headers=read)
    assert done.headers["etag"] == shop.match(path, officer)["if-match"]
    problem(shop.http.put(path, json={"restricted": False}, headers=read), 412)
    assert shop.http.get(path, headers=officer).json() == {"restricted": True}


def test_restriction_reaches_the_phone(shop, service, problem):
    phone = shop.phone()
    shop.grant(phone, "analytics")
    issuer = shop.issuer("analytics")

    def whose(session):
        return session.query(Event.subject).first()[0]

    person = shop.http.portal.call(shop.http.app.state.registry.store.read, whose)
    path, officer = f"/v1/subjects/{person}/restriction", shop.as_(Role.OFFICER)
    read = shop.match(path, officer)
    assert shop.http.put(path, json={"restricted": True}, headers=read).status_code == 200
    assert shop.choices(phone) == {"analytics": "restricted"}
    problem(shop.post("/v1/tickets", phone.request(issuer, tickets.request(issuer.keys))), 403)


def test_no_ticket_for_a_contract_while_restricted(shop, service, problem):
    phone = shop.stranger()
    person = of_new_person(shop, service, phone)
    assert shop.post("/v1/enrolments", phone.batch(phone.enrolment())).status_code == 204
    issuer, registry = shop.issuer("core"), shop.http.app.state.registry
    request = phone.request(issuer, tickets.request(issuer.keys))
    path, officer = f"/v1/subjects/{person}/restriction", shop.as_(Role.OFFICER) | {"if-match": "*"}
    assert shop.issued("core").json()["granted"] == 1
    assert shop.http.put(path, json={"restricted": True}, headers=officer).status_code == 200
    assert "restricted" in problem(shop.post("/v1/tickets", request), 403)
    asked = open_from_device(TicketRequest, TICKETS, request)
    with pytest.raises(DeniedError, match="restricted"):
        shop.http.portal.call(
            registry.store.write, booked_tickets.book, asked, registry.notices, registry.calendar, 9
        )
    assert shop.issued("core").json() == {"batches": 0, "granted": 0}
    lift = {"restricted": False, "told": "by letter"}
    assert shop.http.put(path, json=lift, headers=officer).status_code == 200
    assert shop.post("/v1/tickets", request).status_code == 200


def gpc(shop, headers, person):
    answer = shop.http.post(f"/v1/subjects/{person}/signals", headers=headers | {"sec-gpc": "1"})
    assert answer.status_code == 204, answer.text


def said_so_far(shop, headers, person):
    page = shop.http.get(f"/v1/subjects/{person}/events", headers=headers).json()
    return [(event["purpose"], event["state"], event["method"]) for event in page["items"]]


def test_the_privacy_signal_comes_with_each_request_and_is_kept_once(shop, service, person):
    for _ in range(3):
        shop.clock.now += 1
        gpc(shop, service, person)
    assert said_so_far(shop, service, person) == [("partner", "objected", "gpc")]


def test_the_privacy_signal_yields_to_a_yes_that_was_said_after_it_alone(shop, service, person):
    approve(shop, propose(shop, "partner").json()["id"])
    assert publish(shop, written("partner", "1.0.0")).status_code == 201
    own, yes_ = shop.as_(Role.SUBJECT, subject=person), yes(shop, "partner", method="dialog")
    for said, expected in ((yes_, "objected"), (yes_, "allowed")):
        shop.clock.now += 1
        assert say(shop, own, person, said).status_code == 201
        gpc(shop, own, person)
        assert verdict(shop, own, person, "partner") == expected
    assert say(shop, own, person, {"purpose": "partner", "state": "withdrawn"}).status_code == 201
    gpc(shop, own, person)
    assert verdict(shop, own, person, "partner") == "objected"
    assert say(shop, own, person, yes_).status_code == 201
    shop.clock.now += 91 * 86400
    own = shop.as_(Role.SUBJECT, subject=person)
    assert verdict(shop, own, person, "partner") == "expired"
    gpc(shop, own, person)
    assert verdict(shop, own, person, "partner") == "objected"


def test_every_event_is_counted_once_wherever_it_comes_from(shop, service):
    phone = shop.stranger()
    person = of_new_person(shop, service, phone)
    own = shop.as_(Role.SUBJECT, subject=person)
    signed = phone.decision(shop.notices()["train"])
    for _ in range(2):
        assert shop.post("/v1/decisions", phone.batch(signed, signed)).status_code == 204
    assert say(shop, own, person, {"purpose": "train", "state": "withdrawn"}).status_code == 201
    gpc(shop, own, person)
    asked = {"kind": "objection", "purpose": "marketing"}
    assert shop.http.post("/v1/rights", json=asked, headers=own).status_code == 201
    assert say(shop, own, person, yes(shop, state="renewed")).status_code == 409
    text = shop.http.get("/metrics", headers=shop.as_(Role.OPERATOR)).text
    counted = re.findall(r'covey_registry_decisions_total{purpose="(\w+)",state="(\w+)"} (\S+)', text)
    assert sorted(counted) == [
        ("marketing", "objected", "1.0"), ("partner", "objected", "1.0"),
        ("train", "granted", "1.0"), ("train", "withdrawn", "1.0"),
    ]  # fmt: skip


def test_the_privacy_signal_objects_to_sharing_alone(shop, service, person, problem):
    assert say(shop, service, person, yes(shop)).status_code == 201
    path = f"/v1/subjects/{person}/signals"
    problem(shop.http.post(path, headers=service), 422)
    assert shop.http.post(path, headers={**service, "sec-gpc": "1"}).status_code == 204
    assert verdict(shop, service, person, "partner") == "objected"
    assert verdict(shop, service, person) == "allowed"


@pytest.mark.compliance("GDPR 8", "below the age a guardian says yes, and the child may say no")
@pytest.mark.compliance("PIPL 31", "a minor's consent is their guardian's")
def test_a_child_consents_through_a_guardian(shop, service, problem):
    parent = new(shop, service, birth_year=YEAR - 40, country="DE")
    child = new(shop, service, birth_year=YEAR - 10, country="DE", guardian=parent)
    own, guardian = (shop.as_(Role.SUBJECT, subject=one) for one in (child, parent))
    assert "guardian" in problem(say(shop, own, child, yes(shop)), 403)
    assert verdict(shop, service, child) == "undecided"
    assert say(shop, guardian, child, yes(shop)).json()["actor"] == "guardian"
    assert verdict(shop, service, child) == "allowed"
    assert say(shop, own, child, {"purpose": "train", "state": "withdrawn"}).status_code == 201
    assert verdict(shop, service, child) == "withdrawn"


@pytest.mark.compliance("GDPR 7(1)", "every event has a receipt, a restriction and an objection too")
def test_what_no_notice_stands_behind_has_its_receipt_too(shop, service, person):
    own = shop.as_(Role.SUBJECT, subject=person) | {"if-match": "*"}
    gpc = {"sec-gpc": "1", **service}
    assert shop.http.post(f"/v1/subjects/{person}/signals", headers=gpc).status_code == 204
    for restricted in (True, False):
        body = {"restricted": restricted}
        assert shop.http.put(f"/v1/subjects/{person}/restriction", json=body, headers=own).status_code == 200
    events = shop.http.get(f"/v1/subjects/{person}/events", headers=own).json()["items"]
    told = {(event["purpose"], event["state"]): event["event"] for event in events}
    assert {("partner", "objected"), ("*", "restricted"), ("*", "lifted")} <= told.keys()
    for event in told.values():
        signed = shop.http.get(f"/v1/receipts/{event}.jwt", headers=own)
        assert signed.status_code == 200, signed.text
        signed_receipts.verify(signed.content, shop.registry.public)
        for form in ("json", "html"):
            assert shop.http.get(f"/v1/receipts/{event}.{form}", headers=own).status_code == 200


def test_a_guardian_has_the_receipts_of_their_ward(shop, service):
    parent = new(shop, service, birth_year=YEAR - 40, country="DE")
    child = new(shop, service, birth_year=YEAR - 10, country="DE", guardian=parent)
    guardian = shop.as_(Role.SUBJECT, subject=parent)
    said = say(shop, guardian, child, yes(shop)).json()["event"]
    for form in ("json", "jwt", "html"):
        assert shop.http.get(f"/v1/receipts/{said}.{form}", headers=guardian).status_code == 200
    theirs = say(shop, guardian, parent, yes(shop)).json()["event"]
    own = shop.as_(Role.SUBJECT, subject=child)
    assert shop.http.get(f"/v1/receipts/{theirs}.json", headers=own).status_code == 404


@pytest.mark.compliance("GDPR 8", "a child renews nothing alone that their guardian said yes to")
def test_a_child_renews_nothing_alone(shop, service, problem):
    parent = new(shop, service, birth_year=YEAR - 40)
    child = new(shop, service, birth_year=YEAR - 10, guardian=parent)
    own, guardian = (shop.as_(Role.SUBJECT, subject=one) for one in (child, parent))
    assert say(shop, guardian, child, yes(shop)).status_code == 201
    shop.clock.now += 1
    for headers in (own, service):
        assert "guardian" in problem(say(shop, headers, child, yes(shop, state="renewed")), 403)
    assert say(shop, guardian, child, yes(shop, state="renewed")).json()["actor"] == "guardian"


def rectify(shop, person, **changes):
    anything = shop.as_(Role.OFFICER) | {"If-Match": "*"}
    return shop.http.patch(f"/v1/subjects/{person}/attributes", json=changes, headers=anything)


@pytest.mark.parametrize("renewed", [False, True])
def test_a_guardians_yes_stands_when_the_age_is_put_right(shop, service, renewed):
    parent = new(shop, service, birth_year=YEAR - 40)
    child = new(shop, service, birth_year=YEAR - 10, guardian=parent)
    guardian = shop.as_(Role.SUBJECT, subject=parent)
    assert say(shop, guardian, child, yes(shop)).status_code == 201
    shop.clock.now += 1
    if renewed:
        assert say(shop, guardian, child, yes(shop, state="renewed")).status_code == 201
    assert rectify(shop, child, birth_year=YEAR - 11).status_code == 200
    assert verdict(shop, service, child) == "allowed"


@pytest.mark.parametrize("facts", [{"birth_year": 1985}, {}])
def test_a_grown_person_has_no_guardian(shop, service, problem, facts):
    other = new(shop, service, birth_year=1980)
    linked = shop.http.post("/v1/subjects", json={**facts, "guardian": other}, headers=service)
    assert "child" in problem(linked, 422)
    person = new(shop, service, **facts)
    assert "child" in problem(rectify(shop, person, guardian=other), 422)


def test_a_child_is_nobodys_guardian(shop, service, problem):
    child = new(shop, service, birth_year=YEAR - 10)
    facts = {"birth_year": YEAR - 9, "guardian": child}
    assert "child" in problem(shop.http.post("/v1/subjects", json=facts, headers=service), 422)


def reaches(shop, headers, person, request):
    """Return what somebody may do for a person: read, say yes, ask for them, see their requests."""
    asked = {"kind": "access", "subject": person}
    return (
        shop.http.get(f"/v1/subjects/{person}/consents", headers=headers).is_success,
        say(shop, headers, person, yes(shop)).is_success,
        shop.http.post("/v1/rights", json=asked, headers=headers).is_success,
        shop.http.get(f"/v1/rights/{request}", headers=headers).is_success,
        bool(shop.http.get("/v1/rights", headers=headers).json()["items"]),
    )


@pytest.mark.compliance("GDPR 8", "a guardian speaks for a child, and no longer once they are of age")
@pytest.mark.parametrize("ends", ["years pass", "born earlier", "birth year unknown", "guardian a child"])
def test_a_guardian_speaks_only_for_a_child(shop, service, ends):
    parent = new(shop, service, birth_year=YEAR - 40, country="DE")
    child = new(shop, service, birth_year=YEAR - 15, country="DE", guardian=parent)
    asked = {"kind": "review", "words": "why?"}
    own = shop.as_(Role.SUBJECT, subject=child)
    request = shop.http.post("/v1/rights", json=asked, headers=own).json()["id"]
    assert reaches(shop, shop.as_(Role.SUBJECT, subject=parent), child, request) == (True,) * 5
    if ends == "years pass":
        shop.clock.now += 2 * 366 * 86400
    elif ends == "guardian a child":
        assert rectify(shop, parent, birth_year=YEAR - 12).status_code == 200
    else:
        birth_year = 1985 if ends == "born earlier" else None
        assert rectify(shop, child, birth_year=birth_year).status_code == 200
    assert reaches(shop, shop.as_(Role.SUBJECT, subject=parent), child, request) == (False,) * 5


@pytest.mark.parametrize(
    ("country", "age", "child"),
    [
        ("CN", 13, True),
        ("CN", 15, False),
        ("DE", 15, True),
        ("DE", 17, False),
        ("SE", 14, False),
        ("", 15, True),
    ],
)
def test_the_age_of_consent_is_the_countrys(shop, service, problem, country, age, child):
    facts = {"birth_year": YEAR - age - 1} | ({"country": country} if country else {})
    person = new(shop, service, **facts)
    answer = say(shop, service, person, yes(shop, "personalize"))
    assert answer.status_code == (403 if child else 201)
    assert ages.of_consent(country) in range(13, 17)


def test_a_childs_phone_needs_the_guardian_too(shop, service, problem):
    child = new(shop, service, birth_year=YEAR - 8)
    phone = shop.stranger()
    path = f"/v1/subjects/{child}/devices/{phone.device.hex()}"
    assert shop.http.put(path, headers=service).status_code == 204
    assert shop.post("/v1/enrolments", phone.batch(phone.enrolment())).status_code == 204
    problem(shop.decide(phone, "train"), 403)
    assert shop.choices(phone) == {}


def test_two_phones_of_one_person_share_their_choices_and_their_batch(shop, service, problem):
    person = new(shop, service)
    phones = [shop.stranger(), shop.stranger()]
    for phone in phones:
        path = f"/v1/subjects/{person}/devices/{phone.device.hex()}"
        assert shop.http.put(path, headers=service).status_code == 204
    shop.grant(phones[0], "analytics")
    assert shop.choices(phones[1]) == {"analytics": GRANTED}
    issuer = shop.issuer("analytics")
    shop.tickets(phones[0], issuer)
    again = phones[1].request(issuer, tickets.request(issuer.keys))
    assert "batch" in problem(shop.post("/v1/tickets", again), 409)
    other = f"/v1/subjects/{new(shop, service)}/devices/{phones[0].device.hex()}"
    problem(shop.http.put(other, headers=service), 409)


def test_a_closed_registry_takes_no_stranger(opened, problem):
    with opened(open_enrolment=False) as shop:
        phone, service = shop.stranger(), shop.as_(Role.SERVICE)
        problem(shop.post("/v1/enrolments", phone.batch(phone.enrolment())), 403)
        path = f"/v1/subjects/{new(shop, service)}/devices/{phone.device.hex()}"
        assert shop.http.put(path, headers=service).status_code == 204
        assert shop.post("/v1/enrolments", phone.batch(phone.enrolment())).status_code == 204


def test_a_person_has_so_many_batches_a_year(opened, problem):
    with opened(yearly_batches=2) as shop:
        phone = shop.phone()
        for _ in range(2):
            shop.tickets(phone, shop.issuer("core"))
            shop.clock.now += 86400
        issuer = shop.issuer("core")
        request = phone.request(issuer, tickets.request(issuer.keys))
        assert "year" in problem(shop.post("/v1/tickets", request), 409)
        shop.clock.now += 364 * 86400
        shop.tickets(phone, shop.issuer("core"))


def test_many_verdicts_are_those_of_each(shop, service):
    people = [new(shop, service) for _ in range(8)]
    for place, person in enumerate(people):
        if place % 2:
            say(shop, service, person, yes(shop))
        if place in (3, 4):
            path = f"/v1/subjects/{person}/restriction"
            anyhow = shop.as_(Role.OFFICER) | {"if-match": "*"}
            shop.http.put(path, json={"restricted": True}, headers=anyhow)
    asked = {"purpose": "train", "subjects": [*people, "f" * 32, people[0]]}
    answer = shop.http.post("/v1/decisions:batch", json=asked, headers=service)
    assert answer.status_code == 200, answer.text
    told = answer.json()["verdicts"]
    assert told[:8] == [verdict(shop, service, person) for person in people]
    assert told[8:] == ["unknown-subject", "undecided"]
    assert {"allowed", "undecided", "restricted"} == set(told[:8])


def test_a_batch_is_bounded(shop, service, problem):
    asked = {"purpose": "train", "subjects": ["f" * 32] * 10_001}
    problem(shop.http.post("/v1/decisions:batch", json=asked, headers=service), 422)


def test_what_is_kept_opens_the_commitment(shop, service, person):
    say(shop, service, person, yes(shop))
    registry = shop.http.app.state.registry

    def opened(session):
        event = session.query(Event).one()
        return event.commitment, *registry.choices.events.open(session, event)

    commitment, record, opening = shop.http.portal.call(registry.store.read, opened)
    assert isinstance(record, Record)
    assert commit(opening.salt, record) == commitment
    assert re.fullmatch("[0-9a-f]{32}", record.subject)


class Choice(RuleBasedStateMachine):
    """Any history of one purpose, against the law in a few lines."""

    @initialize()
    def begin(self):
        self.state, self.objected, self.allowed = states.NONE, False, False

    @rule(event=st.sampled_from(["granted", "refused", "withdrawn", "renewed", "expired", "objected"]))
    def happens(self, event):
        before = self.state
        try:
            self.state = states.follow(before, event)
        except ConflictError:
            assert event in ("renewed", "expired")
            assert before != GRANTED
            return
        if event == "granted":
            self.objected = False
        self.objected |= event == "objected"
        self.allowed = event in ("granted", "renewed")

    @invariant()
    def only_a_yes_allows(self):
        assert (self.state == GRANTED) == self.allowed

    @invariant()
    def an_objection_stands(self):
        assert not self.objected or self.state == states.OBJECTED


TestChoice = Choice.TestCase
TestChoice.settings = settings(max_examples=100, stateful_step_count=20, deadline=None)
