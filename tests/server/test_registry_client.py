import warnings

import pytest

from covey_consent.app import create_app
from covey_consent.settings import Settings
from covey_privacy.signatures import SigningKey
from covey_server.errors import RegistryError
from covey_server.registry_client import RegistryClient
from covey_server.round_terms import Population

with warnings.catch_warnings():
    # Starlette asks for httpx2 beside its test client.
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient

OPERATOR = SigningKey(b"o" * 32)


@pytest.fixture
def client(tmp_path):
    settings = Settings(
        database_url=f"sqlite:///{tmp_path}/registry.db",
        key_file=tmp_path / "registry.key",
        operator=OPERATOR.public.hex(),
    )
    with TestClient(create_app(settings, clock=lambda: 1.8e9)) as client:
        yield client


def test_the_operator_is_told_how_many_people_allow_a_set(client):
    registry = RegistryClient(client, OPERATOR)
    assert registry.people(("analytics", "personalize"), registry.epoch()) == Population(0, 0)


def test_whoever_else_asks_is_refused(client):
    registry = RegistryClient(client, SigningKey(b"x" * 32))
    with pytest.raises(RegistryError, match="not signed by key"):
        registry.people(("analytics", "personalize"), registry.epoch())
