"""One phone's store, open in two processes, or put back from a backup: one vector a round leaves, at most."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace

import cbor2
import pytest
from corner import MORTAL, PHONES, Corner
from covey_server.fleet import MASK, PHASES, Collection
from mortal import ASKED, fork

from covey_privacy import wire
from covey_privacy.errors import AbortError, ServerError
from covey_privacy.five_phases import messages
from covey_privacy.rules import Rule
from covey_sdk import Device, ledger
from covey_sdk.door import Door
from covey_sdk.errors import ConsentError


@dataclass
class Halfway:
    """A phone that was invited, has shared, and has these messages in its inbox."""

    corner: Corner
    opened: Callable[[int], Door]
    manifest: bytes
    round_id: str
    inbox: bytes

    @property
    def another_inbox(self) -> bytes:
        """An inbox as good as the first."""
        parcels = wire.decode(messages.Parcels, self.inbox)
        return wire.encode(replace(parcels, parcels=parcels.parcels[::-1]))


def until(corner: Corner, phase: str) -> bytes:
    """Play a round until a phase; return what the node is told then, as the first phone's inbox."""
    seen = []

    def ask(at: str, bodies, round_id: str) -> dict[int, bytes]:
        if at != phase:
            return Corner.ask(corner, at, bodies, round_id)
        if at == MASK:
            with corner.open(MORTAL) as device:
                place = corner.door(MORTAL, device).participant(round_id).index
            letters = wire.decode(Collection, bodies[1]).letters
            seen.extend([round_id, next(letter.body for letter in letters if letter.device == place)])
        raise AbortError("the test ends the round here", rule=Rule.LEAST_COHORT)

    corner.ask = ask
    corner.count()
    return cbor2.dumps(seen)


@pytest.fixture
def halfway(town, tmp_path_factory) -> Iterator[Halfway]:
    corner = Corner(tmp_path_factory.mktemp("shop"), town)

    def play() -> bytes:
        for phone in range(PHONES):
            corner.enrol(phone)
        return until(corner, MASK)

    round_id, inbox = cbor2.loads(fork(play)[1])
    manifest = next(corner.journal.lines(ASKED)).request[0]
    with ExitStack() as stack:

        def opened(boot: int = 0) -> Door:
            client = stack.enter_context(town.client())
            device = stack.enter_context(corner.opened(MORTAL, client))
            return Door(device, boot_id=bytes([boot + 1]) * 32)

        yield Halfway(corner, opened, manifest, round_id, inbox)


def contributions(device: Device) -> list[str]:
    return [entry.round_id for entry in device.ledger() if entry.kind == ledger.CONTRIBUTION]


def first(act: Callable[[], object], door: Door, monkeypatch) -> None:
    """Let the other process act just before this one has the store to itself."""
    begin = door._store.transaction

    def late():
        monkeypatch.setattr(door._store, "transaction", begin)
        act()
        return begin()

    monkeypatch.setattr(door._store, "transaction", late)


def test_of_two_processes_one_masks(halfway, monkeypatch):
    one, other = halfway.opened(), halfway.opened()
    first(lambda: one.mask(halfway.round_id, halfway.inbox), other, monkeypatch)
    with pytest.raises(ServerError, match="twice, differently"):
        other.mask(halfway.round_id, halfway.another_inbox)
    assert contributions(other._device) == [halfway.round_id]


def test_two_processes_say_the_same_to_the_same(halfway, monkeypatch):
    one, other = halfway.opened(), halfway.opened()
    said = []
    first(lambda: said.append(one.mask(halfway.round_id, halfway.inbox)), other, monkeypatch)
    assert other.mask(halfway.round_id, halfway.inbox) == said[0]
    assert contributions(other._device) == [halfway.round_id]


def test_a_process_does_not_go_on_with_a_round_that_another_has_left(halfway, monkeypatch):
    one, other = halfway.opened(), halfway.opened()
    first(lambda: one._rounds.leave(("analytics", "personalize"), "q20-next"), other, monkeypatch)
    with pytest.raises(ConsentError, match="not in round"):
        other.mask(halfway.round_id, halfway.inbox)
    assert contributions(other._device) == []


def test_a_phone_put_back_from_a_backup_says_nothing_more_in_the_round(halfway):
    path, backup = halfway.corner.folder / f"{MORTAL}.db", halfway.corner.folder / "backup.db"
    shutil.copy(path, backup)
    with halfway.corner.open(MORTAL) as device:
        Door(device, boot_id=b"\1" * 32).mask(halfway.round_id, halfway.inbox)
    shutil.copy(backup, path)
    restored = halfway.opened(boot=1)
    for phase in PHASES[1:]:
        with pytest.raises(ConsentError, match="has restarted"):
            getattr(restored, phase)(halfway.round_id, halfway.another_inbox)
    with pytest.raises(ConsentError, match="has restarted"):
        restored.advertise(halfway.manifest)
