"""Retention: what was kept for long enough goes, with people everything of theirs; the log stays whole."""

import json
import time

import pytest
from sqlalchemy import func, select
from test_erasure import answered, lived, places, rows, with_phone
from test_recipients import listening, until
from test_rights import ask, me, verdict

from covey_consent.access.access_log import Access
from covey_consent.access.roles import Role
from covey_consent.commands import retention as command
from covey_consent.errors import RequestError, UnavailableError
from covey_consent.recipients.outbox import DeliveryState
from covey_consent.recipients.register import Notification
from covey_consent.rights.retention import YEAR
from covey_consent.rights.tables import RightsRequest, RightsStep
from covey_consent.settings import Settings
from covey_consent.storage.models import Base, Event

DAY = 86400


def kept(shop):
    """Return how many rows each table has."""
    with shop.http.app.state.registry.store.session() as session:
        return {
            table.name: session.scalar(select(func.count()).select_from(table))
            for table in Base.metadata.sorted_tables
        }


def upkeep(shop):
    shop.http.portal.call(shop.http.app.state.registry.upkeep.once)


def is_known(shop, subject):
    path = f"/v1/subjects/{subject}/consents"
    return shop.http.get(path, headers=shop.as_(Role.SERVICE)).status_code == 200


def shown(shop, subject):
    notice = shop.notices()["train"]
    return {
        "subject": subject, "purpose": "train", "version": notice.semver, "language": "en",
        "text_digest": notice.text("en").digest.hex(), "place": "dialog", "at": shop.clock.ms,
    }  # fmt: skip


def ended(shop):
    """Return a person who said yes, then no; and their phone."""
    subject, phone = with_phone(shop)
    shop.grant(phone, "train")
    shop.clock.now += 1
    shop.withdraw(phone, "train")
    return subject, phone


@pytest.mark.compliance(
    "GDPR 5(1)(e)", "who ended every choice three years ago is erased, and the key with it"
)
def test_who_ended_every_choice_long_ago_is_erased(shop):
    subject, phone = ended(shop)
    stays, other = with_phone(shop)
    shop.grant(other, "train")
    shop.clock.now += 3 * YEAR - 60
    upkeep(shop)
    assert is_known(shop, subject)
    history = rows(shop, stays)
    shop.clock.now += 2 * 3600
    upkeep(shop)
    assert not is_known(shop, subject)
    assert places(shop, subject) == set()
    assert not any(rows(shop, subject).values())
    assert shop.post("/v1/sync", phone.sync()).status_code == 404
    assert verdict(shop, stays, "train") == "allowed"
    assert rows(shop, stays) == history
    assert shop.root_of_entries() == shop.checkpoint().root


@pytest.mark.compliance(
    "GDPR 5(1)(e)", "the log still verifies when the registry opens again after retention"
)
def test_the_log_of_what_was_erased_verifies(opened):
    with opened() as shop:
        subject, _ = ended(shop)
        shop.clock.now += 3601
        shop.http.portal.call(shop.http.app.state.registry.promises.publish)
        size = shop.checkpoint().size
        shop.clock.now += 4 * YEAR
        upkeep(shop)
        assert not is_known(shop, subject)
    with opened() as shop:
        assert shop.checkpoint().size >= size
        assert shop.root_of_entries() == shop.checkpoint().root


@pytest.mark.parametrize("why", ["granted", "restricted", "open", "guardian", "device", "shown", "asked"])
def test_who_is_not_done_with_stays(shop, why):
    subject, phone = ended(shop)
    shop.clock.now += 2 * YEAR
    own, service = me(shop, subject), shop.as_(Role.SERVICE)
    if why == "granted":
        shop.grant(phone, "analytics")
    if why == "restricted":
        ask(shop, own, kind="restriction")
    if why == "open":
        ask(shop, own, kind="review")
    if why == "guardian":
        said = {"country": "DE", "birth_year": 2025, "guardian": subject}
        assert shop.http.post("/v1/subjects", json=said, headers=service).status_code == 201
    if why == "device":
        path = f"/v1/subjects/{subject}/devices/{shop.stranger().device.hex()}"
        assert shop.http.put(path, headers=service).status_code == 204
    if why == "shown":
        assert shop.http.post("/v1/served", json=shown(shop, subject), headers=own).status_code == 201
    if why == "asked":
        ask(shop, own, kind="access")
    shop.clock.now += 1.5 * YEAR
    upkeep(shop)
    assert is_known(shop, subject)


def test_who_takes_tickets_is_not_done_with(opened):
    with opened(record_years=1) as shop:
        subject, phone = ended(shop)
        shop.clock.now += 300 * DAY
        shop.tickets(phone, shop.issuer("core"))
        shop.clock.now += 300 * DAY
        upkeep(shop)
        assert is_known(shop, subject)
        shop.clock.now += 70 * DAY
        upkeep(shop)
        assert not is_known(shop, subject)


def test_a_guardian_goes_once_their_ward_is_gone(shop):
    guardian, ward, _ = lived(shop)
    said = {"purpose": "train", "state": "withdrawn"}
    path = f"/v1/subjects/{ward}/consents"
    assert shop.http.post(path, json=said, headers=me(shop, guardian)).status_code == 201
    shop.clock.now += 4 * YEAR
    upkeep(shop)
    assert not is_known(shop, ward)
    assert not is_known(shop, guardian)
    assert places(shop, guardian) == places(shop, ward) == set()


def states(shop) -> list[str]:
    with shop.http.app.state.registry.store.session() as session:
        return [*session.scalars(select(Notification.state))]


def test_recipients_are_written_to_when_somebody_goes(opened):
    with opened(private_recipients=True, recipient_every_seconds=0.05) as shop, listening(200) as ear:
        said = {"name": "Mail", "url": ear.url, "purposes": ["train"]}
        assert shop.http.post("/v1/recipients", json=said, headers=shop.as_(Role.ADMIN)).status_code == 201
        ended(shop)
        until(lambda: len(ear.received) == 1, "it was told of the withdrawal")
        shop.clock.now += 4 * YEAR
        upkeep(shop)
        until(lambda: len(ear.received) == 2, "it was told of the erasure")
        assert ear.received[-1].said["type"] == "subject.erased"
        until(lambda: {*states(shop)} == {DeliveryState.TOLD}, "that they were told was noted")
        shop.clock.now += 366 * DAY
        upkeep(shop)
        assert states(shop) == []


@pytest.mark.compliance("GDPR 5(1)(e)", "logs, letters, closed requests, kept answers go each after its time")
def test_of_who_stays_each_thing_has_its_time(shop):
    guardian, ward, phone = lived(shop)
    shop.grant(phone, "analytics")
    restricts, lifted = (ask(shop, me(shop, guardian), kind="restriction")["id"] for _ in range(2))
    own = me(shop, guardian) | {"if-match": "*"}
    step = shop.http.post(f"/v1/rights/{lifted}/steps", json={"step": "lift"}, headers=own)
    assert step.status_code == 200
    open_ = ask(shop, me(shop, ward), kind="review")["id"]
    begun = kept(shop)
    gone = {}
    for days in (0.5, 1, 367, 3 * 366):
        shop.clock.now += days * DAY
        upkeep(shop)
        left = kept(shop)
        gone[days] = {name for name, count in begun.items() if left[name] < count} - {"promised"}
        begun = left
    assert gone == {
        0.5: set(),
        1: {"idempotent_answers"},
        367: {"issuances"},
        3 * 366: {"access_log", "attribute_changes", "rights_requests", "rights_steps", "served"},
    }
    with shop.http.app.state.registry.store.session() as session:
        assert {one.id for one in session.scalars(select(RightsRequest))} == {restricts, open_}
        assert {one.request for one in session.scalars(select(RightsStep))} == {restricts, open_}
        assert session.scalars(select(Access)).all() == []
    assert is_known(shop, guardian)
    assert is_known(shop, ward)


def test_evidence_of_what_was_shown_stays_as_long_as_the_yes(shop):
    subject, phone = with_phone(shop)
    shop.grant(phone, "train")
    said = shown(shop, subject)
    assert shop.http.post("/v1/served", json=said, headers=me(shop, subject)).status_code == 201
    shop.clock.now += 4 * YEAR
    upkeep(shop)
    assert kept(shop)["served"] == 1
    shop.withdraw(phone, "train")
    upkeep(shop)
    assert kept(shop)["served"] == 0
    assert is_known(shop, subject)


def test_the_command_deletes_where_no_registry_serves(opened, clock, database_url, tmp_path, capsys):
    own = Settings(database_url=database_url, key_file=tmp_path / "registry.key", origin="covey.test/log")
    clock.now = int(time.time())
    with opened() as shop:
        subject, _ = ended(shop)
        answered(shop, subject)
        assert command.run("+1200d", dry=True, as_json=True, settings=own) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["people"] == 1
        with pytest.raises(UnavailableError):
            command.run("+1200d", settings=own)
        assert is_known(shop, subject)
    assert command.run(settings=own) == 0
    assert "nothing" in capsys.readouterr().out
    assert command.run("+1200d", settings=own) == 0
    assert "1 people with everything of theirs" in capsys.readouterr().out
    with opened() as shop:
        assert not is_known(shop, subject)
        assert kept(shop)[Event.__tablename__] == 0
        assert shop.root_of_entries() == shop.checkpoint().root


@pytest.mark.parametrize("later", ["400d", "+d", "-1d", "+400", "+1000000d", "tomorrow"])
def test_a_time_that_is_none_is_refused(later, tmp_path):
    with pytest.raises(RequestError, match="days from now"):
        command.run(later, settings=Settings(key_file=tmp_path / "none"))
