"""The machines' tables: a step without a row is refused, and a failed step changes nothing."""

from __future__ import annotations

import numpy as np
import pytest
from secagg_rounds import contribute, vectors

from covey_privacy.errors import MisuseError, PrivacyError
from covey_privacy.protocol_rules import Rule
from covey_privacy.secagg.aggregator import Aggregator
from covey_privacy.secagg.collector import Collector
from covey_privacy.secagg.contributor import Contributor
from covey_privacy.secagg.decryptor import Decryptor
from covey_privacy.secagg.notary import Notary
from covey_privacy.secagg.volunteer import Volunteer
from covey_simulations.scenarios.in_process_round import NOW

TABLES = {
    Contributor: "Ready contribute Sent, Ready retract Retracted, Sent retract Retracted",
    Volunteer: "Idle volunteer Offered, Offered drawn Drawn",
    Decryptor: "Seated check Checked, Checked check Checked, Checked dispute Checked, Checked open Opened, "
    "Opened open Opened, Seated expire Erased, Checked expire Erased, Opened expire Erased",
    Collector: "CollectingMessages add CollectingMessages, CollectingMessages collected Collection, "
    "Collection collected Collection, Collection sum_without Summed, Summed sum_without Summed",
    Aggregator: "Collecting collect Collecting, Collecting close Closed, Closed close Closed, "
    "Closed leave_out Closed, Closed included Checking, Checking complain Checking, "
    "Checking disputed Checking, Checking exclude Excluding, Excluding final CollectingSums, "
    "CollectingSums add_sum CollectingSums, CollectingSums opened CollectingSums, "
    "CollectingSums conclude Concluded",
    Notary: "TakingVolunteers volunteer TakingVolunteers, TakingVolunteers roster Rostered, "
    "Rostered roster Rostered, Rostered draw CommitteeDrawn, CommitteeDrawn draw CommitteeDrawn, "
    "TakingVolunteers include SetIncluded, CommitteeDrawn include SetIncluded, "
    "SetIncluded include SetIncluded, SetIncluded dispute SetIncluded, SetIncluded final SetFinal, "
    "SetFinal final SetFinal",
}


@pytest.mark.parametrize("machine", TABLES, ids=lambda machine: machine.__name__)
def test_a_machines_table(machine):
    rows = {f"{before.__name__} {step} {after.__name__}" for (before, step), after in machine.TABLE.items()}
    assert rows == set(TABLES[machine].split(", "))


@pytest.mark.parametrize("machine", TABLES, ids=lambda machine: machine.__name__)
def test_every_step_without_a_row_is_refused(players, machine):
    """Whatever the arguments: the row is looked for first."""
    steps = {step for _, step in machine.TABLE}
    states = {before for before, _ in machine.TABLE} | set(machine.TABLE.values())
    for state in states:
        stuck = object.__new__(machine)
        stuck.state = object.__new__(state)
        for step in steps:
            if (state, step) not in machine.TABLE:
                with pytest.raises(MisuseError) as refused:
                    getattr(stuck, step)()
                assert refused.value.rule == Rule.STEP_ORDER


def test_a_failed_step_leaves_every_party_as_it_was(players, kind):
    played = players(kind)
    given = vectors(12, 40)
    contribute(played, given)
    contributor = Contributor(played.info, played.accepted, played.round_keys[0])
    for failing, party in (
        (lambda: contributor.contribute(b"", np.zeros(40, np.int64)), contributor),
        (lambda: contributor.contribute(played.file, np.zeros(39, np.int64)), contributor),
        (lambda: played.collector.add(b""), played.collector),
        (lambda: played.notary.include(played.file, b""), played.notary),
        (
            lambda: next(iter(played.decryptors.values())).check(b"", NOW),
            next(iter(played.decryptors.values())),
        ),
    ):
        before = party.state
        with pytest.raises(PrivacyError):
            failing()
        assert party.state is before
    result = played.finish()
    assert (result.vector == given.sum(axis=0)).all()
