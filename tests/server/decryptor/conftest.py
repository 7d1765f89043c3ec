"""Issuers for the rounds of this folder; their RSA keys are slow to make."""

import pytest

from covey_simulations.scenarios.in_process_round import new_issuers


@pytest.fixture(scope="session")
def issuers():
    return new_issuers()
