"""The breach register: its clock, what an account lacks, whom a breach touches."""

import json
import socket
import threading
import time
from contextlib import contextmanager

import pytest
import uvicorn
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from covey_consent.access.roles import Role
from covey_consent.app import create_app
from covey_consent.breaches.breach import TRANSITIONS, Account, BreachAction, BreachState, advance, missing
from covey_consent.commands import breach
from covey_consent.errors import ConflictError
from covey_consent.settings import Settings

HOUR = 3600
FULL = {
    "nature": "a backup was copied", "categories": "pseudonyms, decisions", "people": 3, "records": 9,
    "contact": "dpo@shop.example", "cause": "an old key", "consequences": "choices can be read",
    "measures": "the key was revoked", "advice": "look at your choices", "high_risk": False,
}  # fmt: skip


def open_breach(shop, **said):
    answer = shop.http.post("/v1/breaches", json=said, headers=shop.as_(Role.OFFICER, "olga"))
    assert answer.status_code == 201, answer.text
    return answer.json()


def step(shop, id_, name, status=200, **said):
    headers = shop.match(f"/v1/breaches/{id_}", shop.as_(Role.OFFICER, "olga"))
    answer = shop.http.post(f"/v1/breaches/{id_}/steps", json={"step": name, **said}, headers=headers)
    assert answer.status_code == status, answer.text
    return answer.json()


def read(shop, id_):
    return shop.http.get(f"/v1/breaches/{id_}", headers=shop.as_(Role.AUDITOR)).json()


@pytest.mark.compliance("GDPR 33", "the clock is 72 hours from the detection; a late notice says why")
def test_the_clock_runs_for_72_hours_from_the_detection(shop):
    detected = int(shop.clock.now) - 10 * HOUR
    found = open_breach(shop, detected_at=detected, account=FULL)
    assert found["due_at"] - detected == 72 * HOUR
    shop.clock.now += 62 * HOUR
    assert not read(shop, found["id"])["overdue"]
    shop.clock.now += 1
    assert read(shop, found["id"])["overdue"]
    registry = shop.http.app.state.registry
    with registry.store.session() as session:
        assert registry.breaches.count_overdue(session) == 1
    step(shop, found["id"], "notify authority", 422)
    told = step(shop, found["id"], "notify authority", reason="it was found on a holiday")
    assert told["state"] == "authority notified"
    assert not told["overdue"]
    assert told["steps"][-1]["reason"] == "it was found on a holiday"


def test_another_clock_can_be_set(opened):
    with opened(breach_seconds=96 * HOUR) as shop:
        found = open_breach(shop)
        assert found["due_at"] - found["detected_at"] == 96 * HOUR


@pytest.mark.parametrize("name", FULL)
def test_every_item_that_the_law_asks_for_is_missed(name):
    assert missing(Account(**FULL)) == ()
    (found,) = missing(Account(**{key: value for key, value in FULL.items() if key != name}))
    assert found.startswith(f"{name}: ")
    assert "GDPR 3" in found or "PIPL 57" in found


@pytest.mark.compliance("PIPL 57", "what is told names cause, harm, measures and what people can do")
def test_an_incomplete_notice_says_why_and_is_completed_before_the_end(shop):
    id_ = open_breach(shop, account={"nature": "a laptop was lost"})["id"]
    assert any("PIPL 57" in one for one in read(shop, id_)["missing"])
    step(shop, id_, "notify authority", 422)
    step(shop, id_, "notify authority", reason="in phases: it is being looked into")
    step(shop, id_, "close", 409, reason="done")
    step(shop, id_, "update", account=FULL)
    step(shop, id_, "notify authority")
    assert step(shop, id_, "close")["state"] == "closed"
    step(shop, id_, "update", 409, account=FULL)


@pytest.mark.compliance("GDPR 34", "a high risk is not closed before people are told, or it is said why not")
def test_people_are_told_of_a_high_risk(shop):
    id_ = open_breach(shop, account=FULL | {"high_risk": True})["id"]
    step(shop, id_, "notify authority")
    step(shop, id_, "close", 422)
    told = step(shop, id_, "notify people")
    assert (told["state"], told["people_at"]) == ("people notified", int(shop.clock.now))
    assert step(shop, id_, "close")["state"] == "closed"
    bare = open_breach(shop, account={"nature": "a laptop was lost"})["id"]
    step(shop, bare, "notify people", 422)


def test_a_breach_nobody_was_told_of_is_closed_with_a_reason(shop):
    id_ = open_breach(shop, account=FULL)["id"]
    step(shop, id_, "close", 422)
    closed = step(shop, id_, "close", reason="the disk was encrypted: no risk is likely")
    assert [(one["step"], one["name"]) for one in closed["steps"]] == [("open", "olga"), ("close", "olga")]


def test_a_breach_is_not_detected_in_the_future(shop):
    said = {"detected_at": int(shop.clock.now) + 7200}
    answer = shop.http.post("/v1/breaches", json=said, headers=shop.as_(Role.OFFICER))
    assert answer.status_code == 422


def test_people_are_counted_and_not_named(shop):
    phones = [shop.phone() for _ in range(5)]
    began = int(shop.clock.now)
    for phone in phones[:3]:
        shop.grant(phone, "train")
    shop.clock.now += 2 * HOUR
    for phone in phones[2:4]:
        shop.grant(phone, "analytics")

    def affected(**scope):
        return open_breach(shop, scope=scope)["affected"]

    assert affected() == 5
    assert affected(purposes=["train"]) == 3
    assert affected(purposes=["analytics"]) == 2
    assert affected(purposes=["train", "analytics"]) == 4
    assert affected(purposes=["train", "analytics"], until=began + HOUR) == 3
    assert affected(purposes=["train", "analytics"], since=began + HOUR) == 2
    assert affected(purposes=["marketing"]) == 0


@pytest.mark.compliance("GDPR 33", "the number of people: of what rests on contract or law, everyone's")
def test_what_rests_on_contract_or_law_touches_everyone_who_was_there(shop):
    for _ in range(2):
        shop.phone()
    began = int(shop.clock.now)
    shop.clock.now += 2 * HOUR
    shop.grant(shop.phone(), "train")

    def affected(**scope):
        return open_breach(shop, scope=scope)["affected"]

    for purpose in ("core", "membership", "consent_record"):
        assert affected(purposes=[purpose]) == 3
    assert affected(purposes=["core", "train"]) == 3
    assert affected(purposes=["core"], until=began) == 2
    # What a customer ordered last year is at the shop still: a late beginning takes nobody out.
    assert affected(purposes=["core"], since=began + HOUR) == 3


@pytest.mark.parametrize(("purpose", "status"), [("nonsense", 404), ("biometric", 422)])
def test_a_purpose_that_nobody_pursues_is_not_hit(shop, problem, purpose, status):
    said, officer = {"scope": {"purposes": ["train", purpose]}}, shop.as_(Role.OFFICER)
    assert purpose in problem(shop.http.post("/v1/breaches", json=said, headers=officer), status)
    assert shop.http.get("/v1/breaches", headers=officer).json()["items"] == []


def test_whoever_had_tickets_for_a_round_is_counted(shop):
    phones = [shop.phone() for _ in range(3)]
    for phone in phones:
        shop.grant(phone, "analytics")
    issuer = shop.issuer("analytics")
    for phone in phones[:2]:
        shop.tickets(phone, issuer)
    shop.announce(shop.manifest(issuer))
    assert open_breach(shop, scope={"rounds": ["round-1"]})["affected"] == 2
    headers = shop.as_(Role.OFFICER)
    unknown = shop.http.post("/v1/breaches", json={"scope": {"rounds": ["round-9"]}}, headers=headers)
    assert unknown.status_code == 404


def test_who_may_see_and_open_breaches(shop):
    open_breach(shop)
    for role in Role:
        read_it = shop.http.get("/v1/breaches", headers=shop.as_(role)).status_code
        assert read_it == (200 if role in (Role.OFFICER, Role.AUDITOR) else 403)
        opened = shop.http.post("/v1/breaches", json={}, headers=shop.as_(role)).status_code
        assert opened == (201 if role is Role.OFFICER else 403)


def test_breaches_are_listed_in_pages(shop):
    ids = []
    for _ in range(3):
        shop.clock.now += 1
        ids.append(open_breach(shop)["id"])
    auditor = shop.as_(Role.AUDITOR)
    first = shop.http.get("/v1/breaches", params={"limit": 2}, headers=auditor).json()
    after = {"limit": 2, "cursor": first["next"]}
    rest = shop.http.get("/v1/breaches", params=after, headers=auditor).json()
    assert [one["id"] for one in first["items"] + rest["items"]] == ids
    assert rest["next"] is None
    assert shop.http.get("/v1/breaches", params={"cursor": ids[0]}, headers=auditor).status_code == 422


def test_a_step_is_taken_by_who_has_read_where_the_breach_stands(shop, problem):
    id_ = open_breach(shop, account=FULL)["id"]
    path = f"/v1/breaches/{id_}"
    both = shop.match(path, shop.as_(Role.OFFICER, "olga"))
    shop.phone()
    shop.clock.now += 80 * HOUR
    both |= shop.as_(Role.OFFICER, "olga")
    assert shop.http.get(path, headers=both).headers["etag"] == both["if-match"], "time alone is no change"
    update = {"step": "update", "account": FULL | {"people": 4}}
    problem(shop.http.post(f"{path}/steps", json=update, headers=shop.as_(Role.OFFICER)), 428)
    done = shop.http.post(f"{path}/steps", json=update, headers=both)
    assert done.headers["etag"] not in (both["if-match"], None)
    problem(shop.http.post(f"{path}/steps", json=update, headers=both), 412)


class Steps(RuleBasedStateMachine):
    """A breach under every order of steps: closed stays closed, and nothing unknown happens."""

    @initialize()
    def begin(self):
        self.state = BreachState.OPEN

    @rule(step=st.sampled_from(BreachAction))
    def take(self, step):
        before = self.state
        try:
            self.state = advance(before, step)
        except ConflictError:
            assert step not in TRANSITIONS[before]
            return
        assert before is not BreachState.CLOSED
        assert (self.state is BreachState.OPEN) <= (before is BreachState.OPEN)


TestSteps = Steps.TestCase
TestSteps.settings = hypothesis_settings(max_examples=30, deadline=None)


@contextmanager
def served(settings):
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    config = uvicorn.Config(create_app(settings), port=port, log_config=None, access_log=False, ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    end = time.monotonic() + 20
    while not server.started:
        assert time.monotonic() < end
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def test_the_command_opens_and_lists_breaches_of_a_served_registry(tmp_path, capsys):
    settings = Settings(
        database_url=f"sqlite:///{tmp_path}/r.db", key_file=tmp_path / "r.key", origin="x/log"
    )
    with served(settings) as url:
        assert breach.list_(url, "olga", settings=settings) == 0
        assert "no breach" in capsys.readouterr().out
        began = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(time.time() - 80 * HOUR))
        assert breach.open_(url, "olga", "a disk was lost", began, ["train"], settings=settings) == 0
        assert breach.list_(url, "olga", settings=settings) == 0
        (line,) = set(capsys.readouterr().out.splitlines())
        assert "OVERDUE by 8.0 h" in line
        assert "0 people" in line
        span = {"since": "2027-01-01", "until": "2027-01-02T08:00+08:00"}
        assert breach.open_(url, "olga", "x", as_json=True, settings=settings, **span) == 0
        scope = json.loads(capsys.readouterr().out)["scope"]
        assert (scope["since"], scope["until"]) == (1_798_761_600, 1_798_848_000)
        assert breach.open_(url, "olga", "x", rounds=["none"], settings=settings) == 1
        assert breach.open_(url, "olga", "x", "yesterday", settings=settings) == 2
        assert breach.open_(url, "olga", "x", until="later", settings=settings) == 2
        errors = capsys.readouterr().err.splitlines()
        assert len(errors) == 3
        assert errors[2].startswith("--until is 'later': ")
    assert breach.list_(url, "olga", settings=settings) == 1
    lost = settings.model_copy(update={"key_file": tmp_path / "none.key"})
    assert breach.list_(url, "olga", settings=lost) == 1
    assert not (tmp_path / "none.key").exists()
