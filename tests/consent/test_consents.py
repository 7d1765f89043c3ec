"""People's choices as JSON."""

import re

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from covey_consent import ages, states
from covey_consent.access.roles import Role
from covey_consent.acts import Act
from covey_consent.errors import ConflictError
from covey_consent.models import Event
from covey_consent.receipts import verification
from covey_consent.records import Record, commit
from covey_privacy import tickets
from covey_privacy.consent import GRANTED

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


@pytest.mark.compliance("GDPR 7(4)", "who decided nothing has their orders run all the same")
@pytest.mark.compliance("PIPL 16", "the service does not depend on any optional purpose")
def test_a_new_person_allows_nothing_that_needs_consent(shop, service, person):
    purposes = shop.http.get("/v1/purposes").json()
    for purpose in purposes:
        if purpose["basis"] == "consent":
            assert verdict(shop, service, person, purpose["id"]) == "undecided"
    assert verdict(shop, service, person, "core") == "allowed"


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
        shown = verification.verify(receipt.content, shop.registry.public)
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
    assert say(shop, service, person, yes(shop, "marketing")).status_code == 201
    assert verdict(shop, service, person, "marketing") == "allowed"
    problem(say(shop, service, person, {"purpose": "core", "state": "objected"}), 422)


def test_restriction_stops_everything_and_forgets_nothing(shop, service, person):
    assert say(shop, service, person, yes(shop)).status_code == 201
    path, officer = f"/v1/subjects/{person}/restriction", shop.as_(Role.OFFICER)
    for restricted, expected in ((True, "restricted"), (False, "allowed")):
        shop.clock.now += 1
        read = shop.match(path, officer)
        assert shop.http.put(path, json={"restricted": restricted}, headers=read).status_code == 200
        assert shop.http.get(path, headers=officer).json() == {"restricted": restricted}
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
    problem(shop.post("/v1/tickets", phone.request(issuer, tickets.request(issuer.key, 4))), 403)


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
    again = phones[1].request(issuer, tickets.request(issuer.key, issuer.batch))
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
        request = phone.request(issuer, tickets.request(issuer.key, issuer.batch))
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
