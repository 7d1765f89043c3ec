"""Rounds in one message against the registry over HTTP, with a real witness."""

import dataclasses

import numpy as np
import pytest
from registry_players import (
    SETTINGS,
    WITNESS_SETTING,
    RegistryPlayers,
    follow,
    prepare,
    start_clock,
    wait_until_cosigned,
)

from covey_consent.keys import load_or_create
from covey_privacy.secagg.in_process import new_issuers


@pytest.fixture(scope="module")
def issuers():
    return new_issuers()


@pytest.fixture
def witnessed(opened, issuers, clock, tmp_path, monkeypatch):
    """A registry with issuer keys and a witness that cosigns."""
    start_clock(clock)
    follow(monkeypatch, load_or_create(tmp_path / "registry.key"), tmp_path / "witness", clock)
    with opened(witnesses=[WITNESS_SETTING]) as shop:
        prepare(shop, issuers)
        wait_until_cosigned(shop)
        yield shop


@pytest.fixture
def play(witnessed, issuers):
    def play(kind, changes=None, **setting):
        return RegistryPlayers(
            dataclasses.replace(SETTINGS[kind], **setting), issuers, shop=witnessed, changes=changes or {}
        )

    return play


def vectors(count=6, length=10):
    return np.random.default_rng(1).integers(-1000, 1001, (count, length))


@pytest.mark.parametrize("kind", sorted(SETTINGS))
def test_a_whole_round(play, kind):
    given = vectors()
    result = play(kind).add_up(given)
    assert (result.vector == given.sum(axis=0)).all()
    assert result.members == 6
