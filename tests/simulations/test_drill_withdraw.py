"""The drill of withdrawals: as Covey ships nothing gets through; where something does, the drill says so."""

import json
from datetime import timedelta

import covey
import pytest

from covey_consent.decisions.standing_choices import StandingChoices
from covey_consent.rounds.notary import RoundNotary
from covey_consent.tickets import tickets
from covey_sdk import consent_gate
from covey_sdk.consent_gate import ConsentGate
from covey_sdk.device import Device
from covey_sdk.registry_sync import RegistrySync
from covey_sdk.ticket_store import TicketStore
from covey_simulations.drills.participation_attempts import Tries, Try

BASELINE = ("people", "took_part", "got_tickets", "old_tickets_usable", "in_the_earlier_set")
BY_PHONE = ("on the phone, online", "on the phone, offline")
ONLINE, OFFLINE = "by an officer, phone online", "by an officer, phone offline"


def drill(capsys, *arguments):
    status = covey.main(["registry", "drill", "withdraw", "--subjects", "20", *arguments])
    return status, capsys.readouterr().out


def found(capsys):
    """What a drill that finds something says, by group, and of the phones that stay offline."""
    status, said = drill(capsys, "--json")
    answer = json.loads(said)
    assert (status, answer["as_expected"]) == (1, False)
    return {each["group"]: each for each in answer["groups"]} | {"away": answer["offline"]}


@pytest.mark.slow
@pytest.mark.compliance("GDPR 7(3)", "withdrawal takes effect at once, online and offline")
@pytest.mark.compliance("PIPL 15", "who withdraws joins nothing after, whoever says it for them")
def test_who_withdrew_takes_part_in_nothing_and_who_did_not_does(capsys):
    status, said = drill(capsys, "--json")
    answer = json.loads(said)
    assert (status, answer["as_expected"]) == (0, True)
    for group in answer["groups"]:
        assert (group["people"], group["contributions"], group["tickets"]) == (5, 0, 0)
        assert group["verdicts"] == {"withdrawn": 5}
        assert 0 < group["phone_refuses_ms"]["median"] <= group["phone_refuses_ms"]["p99"] < 10_000
        assert 0 < group["registry_refuses_ms"]["median"] <= group["registry_refuses_ms"]["p99"] < 10_000
        assert all("(403): purpose 'analytics' is not granted" in why for why in group["registry_says"])
        baseline = group["baseline"]
        assert {baseline[name] for name in BASELINE} == {5}
    reasons = {group["group"]: " ".join(group["phone_says"]) for group in answer["groups"]}
    assert all("not granted" in reasons[name] for name in (*BY_PHONE, ONLINE))
    assert "cannot be reached" in reasons[OFFLINE]
    for kept in ("in_the_earlier_set", "old_tickets_usable", "stay_offline"):
        assert [group[kept] for group in answer["groups"]] == [0, 0, 0, 2]
    assert answer["offline"] == {
        "people": 2,
        "ticket_hours_left": pytest.approx(14, abs=0.5),
        "gates_open_before_seven_days": 2,
        "gates_closed_after_seven_days": 2,
        "gates_open_again_online": 0,
        "contributions": 0,
        "as_expected": True,
    }


@pytest.mark.slow
def test_a_registry_that_remembers_the_old_choice_is_found(capsys, monkeypatch):
    """Its phones believe it. Those whose owners withdrew by themselves do not need it."""
    record_each = StandingChoices.record_each

    def without_forgetting(choices, session, groups):
        if any(event.state == "withdrawn" for group in groups for event in group):
            return choices.events.record_each(session, groups)
        return record_each(choices, session, groups)

    monkeypatch.setattr(StandingChoices, "record_each", without_forgetting)
    status, said = drill(capsys)
    assert status == 1
    assert "Withdrawn by an officer, phone online: 5 of 5 could still take part" in said
    assert "Withdrawn on the phone, online: 0 of 5 could still take part" in said
    assert "the registry's verdicts were {'allowed': 5}" in said
    assert "NOT as it should be" in said


@pytest.mark.slow
def test_a_registry_that_gives_tickets_to_anyone_is_found(capsys, monkeypatch):
    monkeypatch.setattr(tickets, "require_granted", lambda *_: None)
    groups = found(capsys)
    assert [groups[name]["tickets"] for name in (*BY_PHONE, ONLINE, OFFLINE)] == [5, 5, 5, 5]


@pytest.mark.slow
def test_a_phone_whose_gate_stands_open_is_found_though_the_registry_refuses(capsys, monkeypatch):
    monkeypatch.setattr(ConsentGate, "require", lambda *_: None)
    groups = found(capsys)
    for name in (*BY_PHONE, ONLINE):
        assert (groups[name]["contributions"], groups[name]["refused_by_registry_alone"]) == (0, 5)


@pytest.mark.slow
def test_a_phone_that_withdraws_on_paper_alone_is_found(capsys, monkeypatch):
    monkeypatch.setattr(Device, "withdraw", lambda *_: None)
    groups = found(capsys)
    assert [groups[name]["contributions"] for name in (*BY_PHONE, ONLINE)] == [5, 5, 0]


@pytest.mark.slow
def test_a_phone_that_takes_nothing_back_is_found(capsys, monkeypatch):
    monkeypatch.setattr(RegistrySync, "retract", lambda *_: None)
    groups = found(capsys)
    assert [groups[name]["in_the_earlier_set"] for name in (*BY_PHONE, ONLINE, OFFLINE)] == [5, 5, 5, 5]


@pytest.mark.slow
def test_a_registry_that_takes_no_retraction_seriously_is_found(capsys, monkeypatch):
    async def forget(*_):
        """Answer as if it was kept."""

    monkeypatch.setattr(RoundNotary, "retract", forget)
    groups = found(capsys)
    assert [groups[name]["in_the_earlier_set"] for name in (*BY_PHONE, ONLINE, OFFLINE)] == [5, 5, 5, 5]


@pytest.mark.slow
def test_a_phone_that_keeps_its_tickets_is_found(capsys, monkeypatch):
    monkeypatch.setattr(TicketStore, "sweep", lambda *_: [])
    groups = found(capsys)
    assert [groups[name]["old_tickets_usable"] for name in (*BY_PHONE, ONLINE, OFFLINE)] == [5, 5, 5, 5]


@pytest.mark.slow
def test_a_gate_that_never_closes_is_found(capsys, monkeypatch):
    monkeypatch.setattr(consent_gate, "MOST_AGE", timedelta(days=3650))
    assert found(capsys)["away"]["gates_closed_after_seven_days"] == 0


@pytest.mark.slow
def test_a_drill_in_which_nobody_gets_through_shows_nothing(capsys, monkeypatch):
    monkeypatch.setattr(Tries, "join", lambda *_: Try(0.001, "no", by_phone=True))
    groups = found(capsys)
    assert [groups[name]["baseline"]["took_part"] for name in (*BY_PHONE, ONLINE, OFFLINE)] == [0, 0, 0, 0]


def test_too_few_people_get_one_line(capsys):
    assert covey.main(["registry", "drill", "withdraw", "--subjects", "19"]) == 2
    assert "at least 20" in capsys.readouterr().err.splitlines()[-1]
