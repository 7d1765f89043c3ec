"""A manifest of a production round as the coordinator plans it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from covey_models import QUERIES
from covey_privacy.floors import PRODUCTION
from covey_privacy.signatures import SigningKey
from covey_privacy.ticket_signer import TicketSigner, generate_private_keys
from covey_server.plan import Admission, RoundPolicy, Size, fit_plan, manifest_for
from covey_server.round_terms import CommitteePolicy, Durations, Population

Q1 = QUERIES["q1"]
KEYS = TicketSigner.from_private_keys(("analytics", "personalize"), 1, generate_private_keys(slots=1)).keys
ORGANISATIONS = tuple(SigningKey(bytes([number]) * 32).public for number in range(1, 5))
DURATIONS = Durations(60, 3600, 60, 60)


@pytest.fixture
def planned():
    """Return Q1's manifest for 400 people under the production profile, with some fields changed."""

    def planned(turnout=0.95, people=400, issuer_keys=KEYS, delta=1e-6, now=0, **changes):
        committees = CommitteePolicy(ORGANISATIONS, drawn=False, gamma=0.05, lost=0.0, turnout=turnout)
        policy = RoundPolicy(PRODUCTION, delta, committees, DURATIONS)
        (step,) = fit_plan([Size(Q1.id, Q1.length, Q1.norm)], 1.4, people, delta).steps
        admission = Admission(issuer_keys, 1, Population(people, people))
        windows = DURATIONS.windows_from(now)
        made = manifest_for(Q1, step, 1.4, "q1-1", admission, (), policy, windows, bytes(32))
        return replace(made, **changes)

    return planned
