"""Each party of a round is killed before and after each durable write, and started again.

One message leaves a phone on one charge, nothing is released without a charge, no set is signed twice, and
the next round works without anyone's hand. A round that was cut between charge and release is burnt.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count

import pytest
from kill_points import AFTER, BEFORE, SIDES, Killed
from round_invariants import Rounds, check_rounds, check_settled
from round_site import PARTIES, RoundSite

from covey_privacy.evidence import ABORTED, BURNT, RELEASED

CHARGED, CLOSED = "commit charges", "commit releases+rounds"
"""The coordinator's writes between which nothing is known of a round but that it was charged."""


@dataclass(frozen=True)
class Kill:
    """Where a party is killed: at the `at`-th of its writes with a label, before or after."""

    party: str
    label: str
    side: str
    at: int = 1
    reboots: bool = False
    repeats: bool = True


SAMPLE = {
    "the phone has prepared": Kill("phone", "items+rounds", AFTER),
    "the phone is not charged": Kill("phone", "ledger", BEFORE),
    "the phone is charged, nothing has left": Kill("phone", "ledger", AFTER),
    "the phone is charged, nothing has left, the phone restarts": Kill(
        "phone", "ledger", AFTER, reboots=True
    ),
    "the phone forgets its message": Kill("phone", "commit rounds", BEFORE),
    "the node has the round's files": Kill("node", "rename files", AFTER),
    "the node keeps a message": Kill("node", "commit messages", BEFORE),
    "the node has a message that the phone still keeps": Kill("node", "commit messages", AFTER),
    "the same, and the node is silent": Kill("node", "commit messages", AFTER, repeats=False),
    "the node has not closed its collection": Kill("node", "rename closed", BEFORE),
    "the node has told its sum": Kill("node", "rename opened", AFTER),
    "the node keeps messages and is silent": Kill("node", "rename opened", BEFORE, repeats=False),
    "the coordinator has opened a round": Kill("coordinator", "slots+rounds+running", AFTER),
    "the coordinator has a committee": Kill("coordinator", "commit steps", BEFORE, 1),
    "the coordinator has an included set": Kill("coordinator", "commit steps", AFTER, 2),
    "the coordinator has complaints": Kill("coordinator", "commit steps", BEFORE, 3),
    "the coordinator has a final set": Kill("coordinator", "commit steps", AFTER, 4),
    "the coordinator has not charged": Kill("coordinator", CHARGED, BEFORE),
    "the coordinator has charged": Kill("coordinator", CHARGED, AFTER),
    "the coordinator has a sum": Kill("coordinator", CLOSED, BEFORE),
    "the coordinator has released": Kill("coordinator", CLOSED, AFTER),
    "the coordinator has logged evidence": Kill("coordinator", "commit rounds+untold", BEFORE),
    "the coordinator knows that the evidence is logged": Kill("coordinator", "commit rounds+untold", AFTER),
    "the registry has a manifest": Kill("registry", "commit log+rounds", AFTER),
    "the registry signs the included set": Kill("registry", "included_sets", BEFORE),
    "the registry has signed the included set": Kill("registry", "included_sets", AFTER),
    "the registry signs the final set": Kill("registry", "commit log+round_entries", BEFORE),
    "the registry has signed the final set": Kill("registry", "commit log+round_entries", AFTER),
    "the registry has evidence": Kill("registry", "commit rounds+log", AFTER),
    "the registry publishes a head": Kill("registry", "commit checkpoints", AFTER, 3),
    "the decryptor gives a seat": Kill("decryptor", "commit rounds", BEFORE, 1),
    "the decryptor has given a seat": Kill("decryptor", "commit rounds", AFTER, 1),
    "the decryptor has checked": Kill("decryptor", "commit rounds", AFTER, 2),
    "the decryptor opens": Kill("decryptor", "commit rounds", BEFORE, 3),
    "the decryptor has opened": Kill("decryptor", "commit rounds", AFTER, 3),
}
DRAWN_SAMPLE = {
    "the phone keeps its offer": Kill("phone", "commit items+rounds", AFTER, 1),
    "the phone has a seat": Kill("phone", "commit rounds", AFTER, 2),
    "the drawn phone has opened": Kill("phone", "commit rounds", AFTER, 5),
    "the registry has signed the roster": Kill("registry", "commit log+round_entries", AFTER, 1),
    "the registry has drawn": Kill("registry", "commit log+round_entries", AFTER, 2),
}


def run_killed(site: RoundSite, kill: Kill) -> Rounds | None:
    """Run a round in which a party dies, then the next one; None where there is no such write."""
    site.points.arm(
        site.files_of(kill.party), kill.at, kill.side, site.error_of(kill.party), label=kill.label
    )
    site.run_round()
    if site.registry_died():
        site.restart_registry()
    died_at = site.points.died_at
    site.points.disarm()
    if not died_at:
        return None
    first = check_rounds(site)
    asked = len(site.asked)
    site.clock.forward(2 * 3600)
    site.run_round()
    rounds = check_settled(site)
    assert rounds.charged[: len(first.charged)] == first.charged
    check_first(site, kill, died_at, rounds)
    last = list(rounds.states)[-1]
    assert rounds.outcomes[-1] == RELEASED
    assert rounds.results[last]["final"] == len(site.phones)
    assert rounds.evidence[last].integrity_proved
    assert {round_id for _, round_id in site.asked[asked:]} == {last}, "an earlier round was asked for again"
    return rounds


def check_first(site: RoundSite, kill: Kill, died_at: str, rounds: Rounds) -> None:
    """What became of the round in which a party died."""
    first, outcome = next(iter(rounds.states.items()))
    result = rounds.results[first]
    cut = died_at.startswith((f"{AFTER} {CHARGED}", f"{BEFORE} {CLOSED}"))
    unseated = (kill.party, kill.side, kill.at) == ("decryptor", AFTER, 1)
    if cut:
        assert outcome == rounds.evidence[first].ended == BURNT
        assert "killed once the budget was charged" in result["why"]
        assert "sum" not in result
    elif unseated:
        # Its keys were in its memory alone, and without all seats no message can be sealed.
        assert outcome == ABORTED
        assert first not in rounds.charged
    else:
        assert outcome == RELEASED
    if outcome == RELEASED:
        absent = len(site.phones) - result["final"]
        assert absent <= (kill.reboots or not kill.repeats)
    if kill.reboots and died_at.startswith(AFTER) and "ledger" in died_at:
        assert first not in site.phones[0].messages, "a message of another start of the phone left it"
    members = set(rounds.charged)
    assert all(set(phone.messages) <= members or unseated or cut for phone in site.phones)


@pytest.mark.parametrize("kill", SAMPLE.values(), ids=SAMPLE)
def test_killed_at_some_writes(standing, kill):
    with standing(reboots=kill.reboots, repeats=kill.repeats).open() as site:
        assert run_killed(site, kill), site.points.written


@pytest.mark.slow
@pytest.mark.parametrize("kill", DRAWN_SAMPLE.values(), ids=DRAWN_SAMPLE)
def test_killed_at_some_writes_with_a_drawn_committee(both, kill):
    with both(reboots=kill.reboots, repeats=kill.repeats).open() as site:
        assert run_killed(site, kill), site.points.written


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("label", ["commit rounds+running+steps", "commit rounds+untold"])
def test_a_coordinator_killed_again_while_it_burns_a_round(standing, label, side):
    with standing().open() as site:
        for kill in (Kill("coordinator", CHARGED, AFTER), Kill("coordinator", label, side)):
            site.points.arm(site.files_of("coordinator"), 1, kill.side, label=kill.label)
            with pytest.raises(Killed):
                site.run_once()
            site.points.disarm()
        site.clock.forward(2 * 3600)
        site.run_once()
        assert check_settled(site).outcomes == [BURNT, RELEASED]


def killed_at_each(copies, **kill) -> None:
    """Kill at the first write, at the second, and so on, until the round makes fewer."""
    for at in count(1):
        each = Kill(label="", at=at, **kill)
        with copies(reboots=each.reboots, repeats=each.repeats).open() as site:
            if run_killed(site, each) is None:
                break
    assert at > LEAST_WRITES[each.party]


LEAST_WRITES = {"phone": 5, "node": 9, "coordinator": 18, "registry": 11, "decryptor": 3}
"""The registry keeps one more cosignature at about the time at which the round ends."""

VARIANTS = [
    *({"party": party} for party in PARTIES),
    {"party": "phone", "reboots": True},
    {"party": "node", "repeats": False},
]
IDS = [*PARTIES, "phone that restarts", "node that is silent"]


@pytest.mark.slow
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("variant", VARIANTS, ids=IDS)
def test_killed_at_any_write(standing, variant, side):
    killed_at_each(standing, side=side, **variant)


@pytest.mark.slow
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(
    "variant", [{"party": "phone"}, {"party": "phone", "reboots": True}, {"party": "registry"}]
)
def test_killed_at_any_write_with_a_drawn_committee(both, variant, side):
    killed_at_each(both, side=side, **variant)
