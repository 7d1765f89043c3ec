"""What every attack needs: a liar on the way to the devices, a refusal with its rule, a real registry."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from covey_privacy import wire
from covey_privacy.five_phases import Advert, Directory, Participant, Roster, messages, ring, shamir
from covey_privacy.five_phases.graph import neighbours
from covey_privacy.five_phases.graph import ring as ring_order
from covey_privacy.five_phases.messages import Survivors
from covey_privacy.five_phases.unmasking import Job, unmask
from covey_privacy.signatures import SigningKey


def _conftest(folder: str) -> ModuleType:
    """The fixtures of another folder of tests."""
    name = f"malicious_{folder}"
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parents[1] / folder / "conftest.py")
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_registry, _e2e = _conftest("consent"), _conftest("e2e")
clock, opened, shop, problem = _registry.clock, _registry.opened, _registry.shop, _registry.problem
small_shop, lasting_shop = _e2e.small_shop, _e2e.lasting_shop


@pytest.fixture
def database_url(tmp_path, new_file):
    shutil.copy(new_file, tmp_path / "registry.db")
    return f"sqlite:///{tmp_path}/registry.db"


@pytest.fixture
def vectors():
    return lambda count=6: [np.full(3, 7, np.uint32) for _ in range(count)]


@pytest.fixture
def lie(monkeypatch):
    """Let every participant see `change(message)` at a step: decoded as a `cls` and encoded again."""

    def lie(step, cls, change):
        honest = getattr(Participant, step)

        def lied_to(self, message, *more):
            told = change(self, message) if cls is None else wire.encode(change(wire.decode(cls, message)))
            return honest(self, told, *more)

        monkeypatch.setattr(Participant, step, lied_to)

    return lie


@pytest.fixture
def refuses():
    """Expect a refusal, of that class and for that rule."""

    @contextmanager
    def refuses(error, rule):
        with pytest.raises(error) as refused:
            yield
        assert type(refused.value) is error
        assert refused.value.rule is rule

    return refuses


class HollowSurvivors:
    """A coordinator alone that opens a sum over `kept`, a part of the roster, and names everyone a survivor.

    It withholds parcels: a device in `kept` gets those of its neighbours in `kept`, at least t of them, and
    no others. The rest of the roster is never heard of again.
    """

    def __init__(self, makers, count: int, registry: SigningKey, **changes) -> None:
        self.terms = makers.terms_of(makers.manifest_of(3, **changes))
        devices = [Participant(self.terms, key) for key in makers.round_keys(count)]
        adverts = [wire.decode(Advert, device.advertise()) for device in devices]
        self.roster = Roster.of(self.terms.manifest.round_id, self.terms.digest, adverts)
        self.head = self.roster.head()
        signature = self.head.countersign(registry)
        self.beacon = self.head.beacon(signature, registry.public)
        self.count, (degree, self.threshold) = count, self.terms.graph(count)
        directory = Directory(self.roster, signature, degree)
        self.devices = {directory.index(device.round_key): device for device in devices}
        self.near = {place: neighbours(self.beacon, count, degree, place) for place in self.devices}
        self.sent = {
            place: wire.decode(messages.Parcels, device.share(directory.view(place)))
            for place, device in self.devices.items()
        }
        self.kept = self._least_part()

    def _least_part(self) -> set[int]:
        """Return a part of the roster, without as many as can be, in which each has t neighbours."""
        kept = set(range(self.count))
        order = ring_order(self.beacon, self.count)[0][: self.count]
        for place in sorted(range(self.count), key=lambda number: number * 0.618 % 1):
            rest = kept - {order[place]}
            staying = [near for near in self.near[order[place]] if near in rest]
            if all(len(rest & {*self.near[each]}) >= self.threshold for each in staying):
                kept = rest
        return kept

    def inbox(self, place: int, senders: set[int]) -> bytes:
        """Return a device's inbox with the parcels of just these senders."""
        parcels = tuple(
            messages.Parcel(sender, parcel.sealed)
            for sender in self.near[place]
            if sender in senders
            for parcel in self.sent[sender].parcels
            if parcel.peer == place
        )
        return wire.encode(messages.Parcels(place, parcels))

    def opened(self, delivered: set[int], survivors: set[int]) -> np.ndarray:
        """Return the sum over `kept` as the coordinator opens it; each device adds ones.

        `delivered` is whose parcels it passes on, `survivors` what it tells everyone in `kept`.
        """
        length, bits = self.terms.manifest.length, self.terms.manifest.bits
        masked = np.zeros(length, np.uint32)
        for place in sorted(self.kept):
            said = self.devices[place].mask(self.inbox(place, delivered), np.ones(length, np.uint32))
            masked += ring.unpack(wire.decode(messages.MaskedVector, said).vector, length, bits)
        told = wire.encode(Survivors.of(self.count, survivors))
        agreed = {place: self.devices[place].agree(told) for place in self.kept}
        signed = {place: wire.decode(messages.Agreement, said) for place, said in agreed.items()}
        shares: dict[int, dict[int, bytes]] = {}
        for place in self.kept:
            theirs = messages.Agreements(tuple(signed[peer] for peer in self.near[place] if peer in signed))
            said = wire.decode(messages.Openings, self.devices[place].open(wire.encode(theirs)))
            for opening in said.openings:
                number = self.near[opening.owner].index(place) + 1
                shares.setdefault(opening.owner, {})[number] = opening.share
        seeds = tuple(self._seed(shares[place]) for place in sorted(self.kept))
        context = self.terms.context(self.head, self.beacon)
        return ring.reduce(masked + unmask(Job(context, length, seeds, ())), bits)

    def _seed(self, shares: dict[int, bytes]) -> bytes:
        numbers = sorted(shares)[: self.threshold]
        return shamir.combine(numbers, [shares[number] for number in numbers])


@pytest.fixture
def hollow(makers):
    """A roster of 60 whose coordinator hides a part of it; see `HollowSurvivors`."""

    def hollow(**changes):
        terms = {"gamma": 0.05, "dropout": 0.05, "honest": 53} | changes
        return HollowSurvivors(makers, 60, SigningKey(b"\x07" * 32), **terms)

    return hollow
