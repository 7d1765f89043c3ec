"""A phone, a decryptor's state or the operator's key is killed while it is made: the next start goes on."""

from __future__ import annotations

from functools import partial
from itertools import count
from pathlib import Path

import pytest
from kill_points import SIDES, Killed, KillPoints, below
from round_site import PURPOSES, Phone, RoundSite

from covey_privacy.signatures import SigningKey
from covey_server import coordinator, operator_keys
from covey_server.decryptor.state import State, mark_unused

NEWCOMER = 9


def first_day(site: RoundSite) -> Phone:
    """Make a phone, enrol it, allow everything, fetch tickets."""
    phone = Phone(site, NEWCOMER)
    phone.device.enrol()
    for purpose in PURPOSES:
        phone.device.grant(purpose)
    phone.device.ticket_fetcher().fetch(site.epoch, PURPOSES)
    return phone


def killed_on_its_first_day(site: RoundSite, at: int, side: str) -> bool:
    """Kill a new phone at its `at`-th write, and start it again; return whether there is such a write."""
    path = site.folder / f"phone-{NEWCOMER}.db"
    site.points.arm(lambda each: each.name.startswith(path.name), at, side)
    try:
        first_day(site).device.close()
    except Killed:
        site.points.disarm()
    else:
        site.points.disarm()
        return False
    phone = first_day(site)
    key = phone.device.key.public
    phone.device.sync()
    phone.device.gate().require(*PURPOSES)
    assert phone.device.odometer.charges(phone.device.clock.now()) == ()
    phone.device.close()
    phone = Phone(site, NEWCOMER)
    assert phone.device.key.public == key
    phone.device.close()
    for each in site.folder.glob(f"{path.name}*"):
        each.unlink()
    return True


@pytest.mark.parametrize("side", SIDES)
def test_a_phone_killed_at_some_writes_of_its_first_day(standing, side):
    with standing().open() as site:
        for at in (1, 8, 12):
            assert killed_on_its_first_day(site, at, side)


@pytest.mark.slow
@pytest.mark.parametrize("side", SIDES)
def test_a_phone_killed_at_any_write_of_its_first_day(standing, side):
    with standing().open() as site:
        for at in count(1):
            if not killed_on_its_first_day(site, at, side):
                break
    assert at > 12


@pytest.mark.parametrize("side", SIDES)
def test_a_decryptor_killed_at_any_write_of_its_first_start(tmp_path, side):
    """Its key is marked as unused until its state has an id; both are of use after any crash."""
    points = KillPoints()
    for at in count(1):
        folder = tmp_path / str(at)
        folder.mkdir()
        key = operator_keys.make(folder / "decryptor.key")
        mark_unused(folder / "decryptor.key")
        opened = partial(State, folder / "state", folder / "decryptor.key", key.public, 0)
        with points.watching():
            points.arm(below(folder), at, side)
            try:
                opened().close()
            except Killed:
                points.disarm()
            else:
                break
        for _ in range(2):
            state = opened()
            assert state.totals()["seats"] == 0
            assert state.serves_after == 0  # It need not be treated as restored from a backup.
            state.close()
    assert at > 4


def test_a_coordinator_killed_while_it_makes_its_key_makes_one_at_the_next_start(tmp_path: Path, monkeypatch):
    def die(_count: int) -> bytes:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(operator_keys.os, "urandom", die)
        with pytest.raises(Killed):
            coordinator.operator_key(tmp_path)
    made = coordinator.operator_key(tmp_path)
    assert isinstance(made, SigningKey)
    assert coordinator.operator_key(tmp_path).public == made.public
