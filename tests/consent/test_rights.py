"""Data subjects' requests: their clock and what each of them does."""

import csv
import hashlib
import io
import json
import zipfile
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import select

from covey_consent.access.roles import Role
from covey_consent.decisions.consent_event import Record, commit
from covey_consent.errors import ConflictError, RequestError
from covey_consent.policy.periods import Period, period_for
from covey_consent.rights import personal_data_rows
from covey_consent.rights.states import OPEN, TRANSITIONS, RequestAction, RequestState, advance, is_overdue
from covey_consent.rights.tables import AttributeChange, RightsRequest
from covey_consent.storage.models import Base
from covey_privacy.registry_messages import WITHDRAWN

DAY = 86400
PURPOSES = ("core", "personalize", "analytics", "train", "replenish", "marketing")


def person(shop, phone=None, **facts):
    """Make a person known, with a phone where one is given; return their pseudonym."""
    service = shop.as_(Role.SERVICE)
    subject = shop.http.post("/v1/subjects", json=facts, headers=service).json()["subject"]
    if phone is not None:
        path = f"/v1/subjects/{subject}/devices/{phone.device.hex()}"
        assert shop.http.put(path, headers=service).status_code == 204
    return subject


def me(shop, subject):
    return shop.as_(Role.SUBJECT, "app", subject)


def ask(shop, headers, status=201, **said):
    answer = shop.http.post("/v1/rights", json=said, headers=headers)
    assert answer.status_code == status, answer.text
    return answer.json()


def step(shop, id_, name, status=200, headers=None, **said):
    headers = (headers or shop.as_(Role.OFFICER, "olga")) | {"if-match": "*"}
    answer = shop.http.post(f"/v1/rights/{id_}/steps", json={"step": name, **said}, headers=headers)
    assert answer.status_code == status, answer.text
    return answer.json()


def verdict(shop, subject, purpose):
    path = f"/v1/subjects/{subject}/decisions/{purpose}"
    return shop.http.get(path, headers=shop.as_(Role.SERVICE)).json()["verdict"]


def verdicts(shop, subject):
    return {purpose: verdict(shop, subject, purpose) for purpose in PURPOSES}


def export(shop, subject):
    """Return a person's export as bytes, and as a dictionary of its files."""
    asked = ask(shop, me(shop, subject), kind="portability")
    answer = shop.http.get(f"/v1/rights/{asked['id']}/export", headers=me(shop, subject))
    assert answer.status_code == 200, answer.text
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        return answer.content, {name: archive.read(name) for name in archive.namelist()}


def at(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("begun", "length", "ends"),
    [
        ("2027-01-31T10:00", "P1M", "2027-02-28T10:00"),
        ("2028-01-31T10:00", "P1M", "2028-02-29T10:00"),
        ("2027-12-15T23:59", "P1M", "2028-01-15T23:59"),
        ("2027-11-30T00:00", "P3M", "2028-02-29T00:00"),
        ("2027-02-20T08:00", "P15D", "2027-03-07T08:00"),
    ],
)
def test_months_are_the_calendars(begun, length, ends):
    assert Period.parse(length).after(at(begun)) == at(ends)


@given(st.integers(0, 4_000_000_000), st.integers(1, 3))
def test_a_month_is_never_longer_than_the_law_lets_it(start, months):
    ends = Period(months=months).after(start)
    assert 28 * months - 3 <= (ends - start) / DAY <= 31 * months


@pytest.mark.parametrize("text", ["", "P", "P1", "1M", "PT1M", "P-1M", "P1.5M", "P٣M", "P1Y"])
def test_what_is_no_period_is_refused(text):
    with pytest.raises(RequestError):
        Period.parse(text)


def test_the_nearest_period_holds():
    periods = {"default": "P1M", "default/access": "P7D", "CN": "P15D", "CN/erasure": "P5D"}
    assert period_for(periods, "CN", "erasure") == Period(days=5)
    assert period_for(periods, "CN", "access") == Period(days=15)
    assert period_for(periods, "DE", "access") == Period(days=7)
    assert period_for(periods, None, "erasure") == Period(months=1)


class Request(RuleBasedStateMachine):
    """One request under every order of steps."""

    @initialize(months=st.integers(1, 3))
    def receive(self, months):
        self.now = 1_800_000_000
        self.first = self.due = Period(months=months).after(self.now)
        self.request = RightsRequest(state=RequestState.RECEIVED, due_at=self.due, extended=False)
        self.verified = self.closed = False
        self.extensions = 0

    @rule(action=st.sampled_from(RequestAction))
    def take(self, action):
        before, overdue = self.request.state, is_overdue(self.request, self.now)
        try:
            advance(self.request, action, self.now, Period(months=2))
        except ConflictError:
            assert self.request.state == before
            return
        assert action in TRANSITIONS[before]
        self.verified |= action is RequestAction.VERIFY
        self.extensions += action is RequestAction.EXTEND
        assert not (action is RequestAction.EXTEND and overdue)
        if before not in OPEN:
            assert self.request.state == before
        assert self.request.state != RequestState.FULFILLED or self.verified

    @precondition(lambda self: self.now < 1_900_000_000)
    @rule(seconds=st.integers(1, 60 * DAY))
    def wait(self, seconds):
        self.now += seconds

    @invariant()
    def is_flagged_past_its_due_time(self):
        if self.request.state in OPEN:
            assert is_overdue(self.request, self.now) == (self.now > self.request.due_at)
            assert self.request.due_at <= Period(months=2).after(self.first)

    @invariant()
    def is_extended_once(self):
        assert self.extensions <= 1


TestRequest = Request.TestCase
TestRequest.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)


@pytest.mark.compliance("GDPR 12(3)", "a request not answered on day 31 is on the overdue list")
def test_a_request_is_overdue_once_its_month_has_passed(shop):
    subject = person(shop)
    id_ = ask(shop, me(shop, subject), kind="erasure")["id"]
    registry = shop.http.app.state.registry

    def late():
        officer = shop.as_(Role.OFFICER)
        answer = shop.http.get("/v1/rights", params={"overdue": True}, headers=officer).json()
        return [item["id"] for item in answer["items"]]

    shop.clock.now += 28 * DAY
    assert late() == []
    shop.clock.now += 3 * DAY + 1
    assert late() == [id_]
    assert shop.http.get(f"/v1/rights/{id_}", headers=shop.as_(Role.OFFICER)).json()["overdue"]
    with registry.store.session() as session:
        assert registry.rights.count_overdue(session) == 1
    step(shop, id_, "refuse", reason="a law suit is pending")
    assert late() == []


def test_chinas_period_is_shorter(shop):
    asked = [ask(shop, me(shop, person(shop, country=country)), kind="erasure") for country in ("CN", "DE")]
    days = [(one["due_at"] - one["received_at"]) / DAY for one in asked]
    assert days[0] == 15
    assert 28 <= days[1] <= 31


def test_an_extension_is_told_in_time_reasoned_and_once(shop, problem):
    id_ = ask(shop, me(shop, person(shop)), kind="erasure")["id"]
    due = step(shop, id_, "start")["due_at"]
    step(shop, id_, "extend", 422)
    assert step(shop, id_, "extend", reason="many requests")["due_at"] == Period(months=2).after(due)
    step(shop, id_, "extend", 409, reason="still many")
    other = ask(shop, me(shop, person(shop)), kind="erasure")["id"]
    shop.clock.now += 40 * DAY
    step(shop, other, "extend", 409, reason="too late")


@pytest.mark.compliance("GDPR 12(6)", "an officer's request is fulfilled only after an identity check")
def test_what_an_officer_enters_needs_an_identity_check(shop):
    subject = person(shop)
    officer = shop.as_(Role.OFFICER, "olga")
    asked = ask(shop, officer, kind="access", subject=subject)
    assert asked["state"] == "received"
    for name in ("start", "fulfil"):
        step(shop, asked["id"], name, 409)
    step(shop, asked["id"], "verify", 422)
    step(shop, asked["id"], "doubt", reason="the voice was another's")
    step(shop, asked["id"], "fulfil", 409)
    step(shop, asked["id"], "verify", method="passport at the desk")
    step(shop, asked["id"], "start")
    done = step(shop, asked["id"], "fulfil")
    assert [(one["step"], one["method"], one["name"]) for one in done["steps"]] == [
        ("doubt", "", "olga"),
        ("verify", "passport at the desk", "olga"),
        ("start", "", "olga"),
        ("fulfil", "", "olga"),
    ]


@pytest.mark.compliance("PIPL 50", "no request is refused without a reason")
def test_a_refusal_has_a_reason(shop):
    id_ = ask(shop, me(shop, person(shop)), kind="erasure")["id"]
    step(shop, id_, "refuse", 422)
    step(shop, id_, "refuse", 422, reason="   ")
    assert step(shop, id_, "refuse", reason="a claim is defended with it")["state"] == "refused"
    step(shop, id_, "fulfil", 409)


def test_people_see_and_cancel_their_own_requests_alone(shop, problem):
    anna, ben = person(shop), person(shop)
    id_ = ask(shop, me(shop, anna), kind="erasure")["id"]
    assert shop.http.get(f"/v1/rights/{id_}", headers=me(shop, ben)).status_code == 404
    assert shop.http.get("/v1/rights", headers=me(shop, ben)).json()["items"] == []
    step(shop, id_, "cancel", 404, headers=me(shop, ben))
    ask(shop, me(shop, ben), 403, kind="erasure", subject=anna)
    for name in ("verify", "start", "fulfil", "refuse"):
        step(shop, id_, name, 403, headers=me(shop, anna), method="m", reason="r")
    assert step(shop, id_, "cancel", headers=me(shop, anna))["state"] == "cancelled"


def test_a_token_that_names_nobody_is_nobody(shop):
    id_ = ask(shop, me(shop, person(shop)), kind="erasure")["id"]
    nobody = shop.as_(Role.SUBJECT)
    assert shop.http.get("/v1/rights", headers=nobody).json()["items"] == []
    assert shop.http.get(f"/v1/rights/{id_}", headers=nobody).status_code == 404
    ask(shop, nobody, 422, kind="erasure")


def test_a_guardian_asks_for_their_ward(shop):
    guardian = person(shop)
    child = person(shop, birth_year=2020, country="DE", guardian=guardian)
    asked = ask(shop, me(shop, guardian), kind="restriction", subject=child)
    assert asked["state"] == "fulfilled"
    assert verdict(shop, child, "core") == "restricted"
    ask(shop, me(shop, child), 403, kind="restriction", subject=guardian)


def test_requests_are_listed_in_pages(shop):
    ids = []
    for _ in range(5):
        shop.clock.now += 1
        ids.append(ask(shop, me(shop, person(shop)), kind="review", words="why?")["id"])
    found, cursor = [], None
    while True:
        params = {"limit": 2} | ({} if cursor is None else {"cursor": cursor})
        page = shop.http.get("/v1/rights", params=params, headers=shop.as_(Role.AUDITOR)).json()
        found += [item["id"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert found == ids
    bad = shop.http.get("/v1/rights", params={"cursor": "1' or 1"}, headers=shop.as_(Role.AUDITOR))
    assert bad.status_code == 422


def test_a_step_is_taken_by_who_has_read_where_the_request_stands(shop, problem):
    """Two officers decide on the same request: the one who read it before the other's step is told."""
    id_ = ask(shop, me(shop, person(shop)), kind="erasure")["id"]
    path = f"/v1/rights/{id_}"
    both = shop.match(path, shop.as_(Role.OFFICER, "olga"))
    shop.clock.now += 40 * DAY
    both |= shop.as_(Role.OFFICER, "olga")
    assert shop.http.get(path, headers=both).headers["etag"] == both["if-match"], "time alone is no change"
    start, refuse = {"step": "start"}, {"step": "refuse", "reason": "a claim"}
    problem(shop.http.post(f"{path}/steps", json=start, headers=shop.as_(Role.OFFICER)), 428)
    done = shop.http.post(f"{path}/steps", json=start, headers=both)
    assert done.status_code == 200
    problem(shop.http.post(f"{path}/steps", json=refuse, headers=both), 412)
    listed = both | {"if-match": f'"x", {done.headers["etag"]}'}
    assert shop.http.post(f"{path}/steps", json=refuse, headers=listed).json()["state"] == "refused"


@pytest.mark.compliance("GDPR 18", "a restriction ends every decision, until it is lifted")
def test_a_restriction_allows_nothing_until_it_is_lifted(shop):
    phone = shop.stranger()
    subject = person(shop, phone)
    shop.grant(phone, "train")
    assert verdict(shop, subject, "train") == "allowed"
    asked = ask(shop, me(shop, subject), kind="restriction")
    assert asked["state"] == "fulfilled"
    assert set(verdicts(shop, subject).values()) == {"restricted"}
    step(shop, asked["id"], "lift", 422)
    lifted = step(shop, asked["id"], "lift", reason="told by letter of 3 May")
    assert lifted["state"] == "fulfilled"
    assert lifted["steps"][-1]["reason"] == "told by letter of 3 May"
    assert verdict(shop, subject, "train") == "allowed"
    step(shop, asked["id"], "lift", 409, reason="again")


@pytest.mark.compliance("GDPR 18", "of two restrictions the first that is lifted ends nothing")
def test_a_restriction_holds_until_the_last_is_lifted(shop):
    phone = shop.stranger()
    subject = person(shop, phone)
    shop.grant(phone, "train")
    one, other = (ask(shop, me(shop, subject), kind="restriction") for _ in range(2))
    step(shop, one["id"], "lift", reason="told by letter of 3 May")
    assert verdict(shop, subject, "train") == "restricted"
    step(shop, one["id"], "lift", 409, reason="again")
    assert verdict(shop, subject, "train") == "restricted"
    step(shop, other["id"], "lift", reason="told by letter of 4 May")
    assert verdict(shop, subject, "train") == "allowed"
    again = ask(shop, me(shop, subject), kind="restriction")
    step(shop, again["id"], "lift", headers=me(shop, subject))
    assert verdict(shop, subject, "train") == "allowed"


@pytest.mark.compliance("GDPR 18", "no officer lifts a restriction without saying how the person was told")
def test_whoever_lifts_everything_says_how_the_person_was_told(shop):
    subject = person(shop)
    path = f"/v1/subjects/{subject}/restriction"
    officer = shop.as_(Role.OFFICER, "olga")

    def put(headers, status=200, **said):
        answer = shop.http.put(path, json=said, headers=headers | {"if-match": "*"})
        assert answer.status_code == status, answer.text
        return answer.json()

    put(officer, 409, restricted=False, told="by letter")
    asked = ask(shop, me(shop, subject), kind="restriction")
    put(officer, restricted=True)
    put(officer, 422, restricted=False)
    assert verdict(shop, subject, "core") == "restricted"
    assert put(officer, restricted=False, told="by letter of 3 May")["state"] == "lifted"
    assert verdict(shop, subject, "core") == "allowed"
    seen = shop.http.get(f"/v1/rights/{asked['id']}", headers=officer).json()
    assert seen["steps"][-1]["reason"] == "by letter of 3 May"
    assert put(officer, restricted=True)["state"] == "restricted"
    step(shop, ask(shop, me(shop, subject), kind="restriction")["id"], "lift", reason="by phone")
    assert verdict(shop, subject, "core") == "restricted"
    assert put(me(shop, subject), restricted=False)["state"] == "lifted"
    assert verdict(shop, subject, "core") == "allowed"


def test_only_a_restriction_can_be_lifted(shop):
    subject = person(shop)
    asked = ask(shop, me(shop, subject), kind="objection", purpose="marketing")
    step(shop, asked["id"], "lift", 409, reason="the shop would like to go on")
    assert verdict(shop, subject, "marketing") == "objected"


@pytest.mark.compliance(
    "GDPR 21", "an objection to marketing holds at once; nobody at the shop refuses, cancels or ends it"
)
def test_an_objection_to_marketing_is_absolute(shop):
    phone = shop.stranger()
    subject = person(shop, phone)
    shop.grant(phone, "marketing")
    asked = ask(shop, me(shop, subject), kind="objection", purpose="marketing")
    assert asked["state"] == "fulfilled"
    assert verdict(shop, subject, "marketing") == "objected"
    entered = ask(shop, shop.as_(Role.OFFICER), kind="objection", purpose="marketing", subject=subject)
    step(shop, entered["id"], "refuse", 409, reason="we need it")
    step(shop, entered["id"], "cancel", 409, reason="told us on the phone")
    notice = shop.notices()["marketing"]
    said = {
        "purpose": "marketing", "state": "granted", "notice_version": notice.version, "language": "en",
        "text_sha256": notice.text("en").digest.hex(), "method": "toggle",
    }  # fmt: skip
    path = f"/v1/subjects/{subject}/consents"
    for role in (Role.OFFICER, Role.SERVICE):
        assert shop.http.post(path, json=said, headers=shop.as_(role)).status_code == 403
        assert verdict(shop, subject, "marketing") == "objected"
    assert shop.http.post(path, json=said, headers=me(shop, subject)).status_code == 201
    assert verdict(shop, subject, "marketing") == "allowed"


@pytest.mark.compliance("PIPL 44", "a person's no holds at once, whatever a phone's clock says")
def test_an_objection_holds_against_a_grant_from_a_clock_that_runs_ahead(shop):
    phone = shop.stranger()
    subject = person(shop, phone)
    assert shop.decide(phone, "marketing", at=shop.clock.ms + 200_000).status_code == 204
    ask(shop, me(shop, subject), kind="objection", purpose="marketing")
    assert verdict(shop, subject, "marketing") == "objected"


def test_there_is_no_objection_to_a_contract(shop):
    ask(shop, me(shop, person(shop)), 422, kind="objection", purpose="core")
    ask(shop, me(shop, person(shop)), 404, kind="objection", purpose="nonsense")
    ask(shop, me(shop, person(shop)), 422, kind="objection")


@pytest.mark.compliance("GDPR 22", "a human answers, with reasons, who asks for a review")
def test_a_review_is_answered_by_a_human_with_reasons(shop):
    id_ = ask(shop, me(shop, person(shop)), kind="review", words="why no offer?")["id"]
    step(shop, id_, "start")
    step(shop, id_, "fulfil", 422)
    done = step(shop, id_, "fulfil", reason="you had not allowed marketing; nothing else decided it")
    assert done["steps"][-1]["role"] == "officer"
    assert done["steps"][-1]["reason"].startswith("you had not allowed")


def test_no_request_can_be_entered_for_somebody_unknown(shop):
    ask(shop, shop.as_(Role.OFFICER), 404, kind="access", subject="0" * 32)
    ask(shop, shop.as_(Role.OFFICER), 422, kind="access")


@pytest.mark.compliance("GDPR 14", "the export says where what is held came from")
@pytest.mark.compliance("GDPR 15", "the export has every row of every table, recipients, retention, sources")
def test_an_export_has_all_that_is_held(shop):
    phone = shop.stranger()
    subject = person(shop, phone, country="DE", birth_year=1990)
    shop.grant(phone, "train", "analytics")
    shop.withdraw(phone, "analytics")
    shop.tickets(phone, shop.issuer("train"))
    _, files = export(shop, subject)
    with shop.http.app.state.registry.store.session() as session:
        for table in personal_data_rows.tables():
            rows = personal_data_rows.rows(session, table, subject)
            shown = json.loads(files[f"tables/{table.name}.json"])
            assert len(shown) == len(rows)
            assert all(set(one) == set(table.columns.keys()) for one in shown)
            text = files[f"tables/{table.name}.csv"].decode("utf-8-sig")
            assert len(list(csv.DictReader(io.StringIO(text)))) == len(rows)
    assert json.loads(files["tables/subjects.json"])[0]["birth_year"] == 1990
    assert len(json.loads(files["tables/issuances.json"])) == 1
    about = json.loads(files["about.json"])
    assert about["recipients"][0]["name"] == "Covey Example Parcel"
    assert {one["id"] for one in about["purposes"]} > set(PURPOSES)
    assert all(one["retention"] for one in about["purposes"])
    for language in ("en", "zh"):
        assert set(about["words"][language]) == {"title", "files", "sources", "decisions", "rounds"}
    assert "cannot know" in about["words"]["en"]["rounds"]
    assert "from your own devices and decisions" in about["words"]["en"]["sources"]
    assert "您自己的设备与决定" in about["words"]["zh"]["sources"]


@pytest.mark.compliance("PIPL 48", "the rules of every purpose and automated decision are explained in words")
def test_an_export_explains_the_rules(shop):
    _, files = export(shop, person(shop))
    about = json.loads(files["about.json"])
    assert all(one["en"] and one["zh"] and one["pipl"] and one["data"] for one in about["purposes"])
    assert "yes where you granted" in about["words"]["en"]["decisions"]
    assert "自动判断" in about["words"]["zh"]["decisions"]
    assert about["controller"]["rights_url"].startswith("https://")


@pytest.mark.compliance("PIPL 45", "a person takes along the records, the salts and their own signed words")
def test_an_exports_consents_open_their_commitments(shop):
    phone = shop.stranger()
    subject = person(shop, phone)
    shop.grant(phone, "train")
    _, files = export(shop, subject)
    (consent,) = json.loads(files["consents.json"])
    made = commit(bytes.fromhex(consent["salt"]), Record(**consent["record"]))
    assert made.hex() == consent["commitment"]
    assert phone.decision(shop.notices()["train"]).hex() == consent["signed"]


def test_an_exports_manifest_is_of_every_file(shop):
    _, files = export(shop, person(shop))
    manifest = json.loads(files["manifest.json"])
    others = {name: data for name, data in files.items() if not name.startswith("manifest")}
    assert manifest["files"] == {name: hashlib.sha256(data).hexdigest() for name, data in others.items()}


def test_a_spreadsheet_finds_no_formula_in_an_export(shop):
    subject = person(shop)
    ask(shop, me(shop, subject), kind="review", words="=HYPERLINK(1)")
    _, files = export(shop, subject)
    assert b"'=HYPERLINK(1)" in files["tables/rights_requests.csv"]
    assert b'"=HYPERLINK(1)"' in files["tables/rights_requests.json"]


def test_an_export_is_the_persons_alone(shop):
    anna, ben = person(shop), person(shop)
    id_ = ask(shop, me(shop, anna), kind="access")["id"]
    path = f"/v1/rights/{id_}/export"
    assert shop.http.get(path, headers=me(shop, ben)).status_code == 404
    assert shop.http.get(path, headers=shop.as_(Role.AUDITOR)).status_code == 403
    review = ask(shop, me(shop, anna), kind="review")["id"]
    assert shop.http.get(f"/v1/rights/{review}/export", headers=me(shop, anna)).status_code == 409
    _, files = export(shop, anna)
    assert ben.encode() not in b"".join(files.values())


@pytest.mark.compliance("GDPR 16", "attributes are put right, by whom knows them, and what they were is kept")
def test_attributes_are_put_right_and_their_history_is_kept(shop):
    subject = person(shop, country="DE", birth_year=1990)
    path = f"/v1/subjects/{subject}/attributes"
    officer = shop.as_(Role.OFFICER, "olga")
    read = shop.http.get(path, headers=me(shop, subject))
    assert read.json() == {"country": "DE", "birth_year": 1990, "guardian": None}
    change = {"country": "AT"}
    assert shop.http.patch(path, json=change, headers=officer).status_code == 428
    match = {"If-Match": read.headers["etag"]}
    assert shop.http.patch(path, json=change, headers=me(shop, subject) | match).status_code == 403
    done = shop.http.patch(path, json=change, headers=officer | match)
    assert done.json() == {"country": "AT", "birth_year": 1990, "guardian": None}
    assert done.headers["etag"] != read.headers["etag"]
    assert shop.http.patch(path, json={"country": "FR"}, headers=officer | match).status_code == 412
    either = {"If-Match": f'"x", {done.headers["etag"]}'}
    assert shop.http.patch(path, json=change, headers=officer | either).status_code == 200
    with shop.http.app.state.registry.store.session() as session:
        row, _ = session.scalars(select(AttributeChange).filter_by(subject=subject))
        assert (row.attribute, row.before, row.after, row.name) == ("country", "DE", "AT", "olga")


@pytest.mark.compliance("PIPL 46", "what a person asks to be put right is put right")
def test_a_rectification_does_what_was_asked_for(shop):
    subject = person(shop, birth_year=1990)
    ask(shop, me(shop, subject), 422, kind="rectification")
    ask(shop, me(shop, subject), 422, kind="access", changes={"country": "DE"})
    id_ = ask(shop, me(shop, subject), kind="rectification", changes={"birth_year": 1991})["id"]
    step(shop, id_, "start")
    step(shop, id_, "fulfil")
    path = f"/v1/subjects/{subject}/attributes"
    assert shop.http.get(path, headers=me(shop, subject)).json()["birth_year"] == 1991


def test_who_turns_out_to_be_a_child_has_consented_to_nothing_alone(shop):
    phone = shop.stranger()
    subject = person(shop, phone, country="DE")
    shop.grant(phone, "train")
    id_ = ask(shop, me(shop, subject), kind="rectification", changes={"birth_year": 2020})["id"]
    step(shop, id_, "start")
    assert verdict(shop, subject, "train") == "allowed"
    step(shop, id_, "fulfil")
    assert verdict(shop, subject, "train") == WITHDRAWN
    assert verdict(shop, subject, "core") == "allowed"


def test_nobody_is_their_own_guardian(shop):
    subject = person(shop)
    path = f"/v1/subjects/{subject}/attributes"
    anything = shop.as_(Role.OFFICER) | {"If-Match": "*"}
    for changes, status in (({"guardian": subject}, 422), ({"guardian": "0" * 32}, 404), ({}, 422)):
        assert shop.http.patch(path, json=changes, headers=anything).status_code == status


def test_every_table_says_whose_its_rows_are():
    """A table without `subject` must not refer to a person, nor to a row of theirs."""
    personal = {table.name for table in personal_data_rows.tables()}
    assert {"subjects", "subject_keys", "devices", "events", "choices", "issuances"} <= personal
    for table in Base.metadata.sorted_tables:
        if table.name not in personal:
            refers = {key.column.table.name for key in table.foreign_keys}
            assert not refers & personal, table.name


def test_every_table_without_a_person_is_known_as_such():
    every = {table.name for table in Base.metadata.sorted_tables}
    impersonal = every - {table.name for table in personal_data_rows.tables()}
    # A new table belongs here, or has a column `subject`.
    assert impersonal == {
        "assessments", "breach_steps", "breaches", "checkpoints", "clock_state", "cosignatures",
        "ended_epochs", "erasure_steps", "included_sets", "issuer_keys", "log", "notice_proposals",
        "notices", "promised", "published_sets", "recipients", "revocations", "round_entries",
        "round_volunteers", "rounds",
        "spent", "tombstones", "write_probe",
    }  # fmt: skip
