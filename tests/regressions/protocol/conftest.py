"""Fixtures of tests/malicious, and a manifest of a production round as the coordinator plans it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from shared_fixtures import fixtures_of

from covey_models import QUERIES
from covey_privacy.profile import PRODUCTION
from covey_privacy.ticket_signer import TicketSigner, generate_private_keys
from covey_server.plan import BITS, Policy, Size, fitted, manifest_for

globals().update(fixtures_of("malicious"))

Q1 = QUERIES["q1"]
KEYS = TicketSigner.of(("analytics", "personalize"), 1, generate_private_keys(slots=1)).keys


@pytest.fixture
def planned():
    """Return Q1's manifest for 400 people under the production profile, with some fields changed."""

    def planned(dropout=0.05, turnout=0.95, people=400, issuer_keys=KEYS, delta=1e-6, **changes):
        policy = Policy(PRODUCTION, delta, 0.05, dropout, turnout)
        (step,) = fitted([Size(Q1.id, Q1.length, Q1.norm)], 1.4, people, delta, BITS).steps
        return replace(manifest_for(Q1, step, 1.4, "q1-1", people, issuer_keys, 1, (), policy), **changes)

    return planned
