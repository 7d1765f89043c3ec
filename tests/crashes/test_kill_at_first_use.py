"""Killed while a phone or the operator's key is made: the next start goes on from there."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from corner import MORTAL, Corner, play
from mortal import Fuse, fork

from covey_privacy.signatures import SigningKey
from covey_server import coordinator

STRIDE = 5


@pytest.fixture
def enrolled(town, tmp_path_factory) -> Callable[[int], tuple[bool, Corner, Fuse]]:
    """Enrol a phone that dies at its n-th write; return whether it lived."""

    def enrolled(at: int) -> tuple[bool, Corner, Fuse]:
        folder = tmp_path_factory.mktemp("shop")
        corner, fuse = Corner(folder, town), Fuse(folder / "fuse", at)
        return play(fuse, lambda: corner.enrol(MORTAL)), corner, fuse

    return enrolled


def finishes(enrolled: Callable[[int], tuple[bool, Corner, Fuse]], at: int) -> None:
    lived, corner, _ = enrolled(at)
    assert not lived
    with corner.open(MORTAL) as device:
        key = device.key.public
    corner.enrol(MORTAL)
    with corner.open(MORTAL) as device:
        assert device.key.public == key
        device.sync()
        device.gate().require("personalize", "analytics", "train")
        assert device.odometer.charges(device.clock.now()) == ()


@pytest.mark.slow
def test_a_phone_killed_at_any_write_of_its_first_day(enrolled):
    enrolled(0)  # The first enrolment at a new registry takes more writes than later ones.
    for at in range(1, len(enrolled(0)[2].burnt) + 1):
        finishes(enrolled, at)


def test_a_phone_killed_at_some_writes_of_its_first_day(enrolled):
    points = len(enrolled(0)[2].burnt)
    assert points > 50
    for at in range(1, points + 1, points // STRIDE):
        finishes(enrolled, at)


def test_a_coordinator_killed_while_it_makes_its_key_makes_one_at_the_next_start(tmp_path: Path, monkeypatch):
    def die(_count: int) -> bytes:
        os.kill(os.getpid(), signal.SIGKILL)
        return b""

    with monkeypatch.context() as patch:
        patch.setattr(coordinator.os, "urandom", die)
        assert not fork(lambda: coordinator.operator_key(tmp_path).public)[0]
    made = coordinator.operator_key(tmp_path)
    assert isinstance(made, SigningKey)
    assert coordinator.operator_key(tmp_path).public == made.public
