"""A round played in one process, phase by phase, with whoever is to drop out."""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from covey_privacy import blind_rsa, tickets, wire
from covey_privacy.manifest import Manifest
from covey_privacy.secagg import Aggregator, Blames, Participant, Sum, Terms
from covey_privacy.secagg.aggregator import Total
from covey_privacy.secagg.messages import Survivors, sender
from covey_privacy.signatures import SigningKey, verify
from covey_privacy.tickets import IssuerKey, RoundKey

PURPOSES = ("analytics", "personalize")
ISSUER = blind_rsa.Signer(blind_rsa.generate())
ISSUER_KEY = IssuerKey(PURPOSES, 17_504, ISSUER.public)
REGISTRY = SigningKey(b"\x07" * 32)


def manifest_of(length: int, **changes) -> Manifest:
    fields = {
        "round_id": "round-1",
        "query": "q1",
        "purpose": "analytics",
        "purposes": PURPOSES,
        "epoch": ISSUER_KEY.epoch,
        "profile": "test",
        "issuer": ISSUER_KEY.digest,
        "model": bytes(32),
        "length": length,
        "norm": 1.0,
        "scale": 64.0,
        "sigma": 4.0,
        "epsilon": 1.0,
        "delta": 1e-6,
        "bits": 20,
        "gamma": 0.0,
        "dropout": 0.0,
        "least_cohort": 2,
        "most_cohort": 10_000,
        "honest": 1,
        "least_issued": 0,
        "least_cell": 50,
    }
    return Manifest(**{**fields, **changes})


def terms_of(manifest: Manifest) -> Terms:
    return Terms(manifest, b"\x01" * 32, ISSUER_KEY, REGISTRY.public)


def round_keys(count: int, random: Callable[[int], bytes] = os.urandom) -> list[RoundKey]:
    pending = tickets.request(ISSUER_KEY, count, random)
    return list(tickets.receive(ISSUER_KEY, pending, [ISSUER.blind_sign(p.blinded) for p in pending]))


@dataclass
class Play:
    """Plays all phases; `absent[phase]` names the vectors' owners who fall silent from that phase on."""

    terms: Terms
    vectors: Sequence[np.ndarray]
    keys: Sequence[RoundKey]
    absent: dict[str, set[int]] = field(default_factory=dict)
    nodes: int = 2
    verify: Callable[[bytes, bytes, bytes], bool] = verify
    random: Callable[[int], bytes] = os.urandom
    forge: dict[str, Callable[[list[bytes]], list[bytes]]] = field(default_factory=dict)
    blames: Blames = field(default_factory=Blames)
    transcript: list[bytes] = field(default_factory=list)

    def run(self) -> Total:
        gone: set[int] = set()

        def here(phase: str) -> list[int]:
            gone.update(self.absent.get(phase, set()))
            return [who for who in range(len(self.vectors)) if who not in gone]

        aggregator = Aggregator(self.terms, verify=self.verify, blames=self.blames)
        self.people = {
            who: Participant(self.terms, self.keys[who], verify=self.verify, random=self.random)
            for who in here("advertise")
        }
        roster = aggregator.freeze(self.sent("advertise", (p.advertise() for p in self.people.values())))
        directory = aggregator.countersigned(roster.head().countersign(REGISTRY))
        self.index = {who: directory.index(self.keys[who].ticket.round_key) for who in self.people}
        self.near = aggregator.state.near

        def among(phase: str, places: Container[int | None]) -> list[int]:
            return [who for who in here(phase) if self.index[who] in places]

        inboxes = aggregator.deliver(
            self.sent(
                "share",
                (
                    self.people[who].share(directory.view(self.index[who]))
                    for who in among("share", range(len(roster.adverts)))
                ),
            )
        )
        masking = among("mask", inboxes)
        sums = [self.node(masking[n :: self.nodes], inboxes) for n in range(self.nodes)]
        survivors = aggregator.survive(self.forged("sum", [node.message() for node in sums]))
        staying = wire.decode(Survivors, survivors).devices
        agreements = aggregator.gather(
            self.sent("agree", (self.people[who].agree(survivors) for who in among("agree", staying)))
        )
        return aggregator.total(
            self.sent(
                "open",
                (self.people[who].open(agreements[self.index[who]]) for who in among("open", agreements)),
            )
        )

    def node(self, devices: Sequence[int], inboxes: dict[int, bytes]) -> Sum:
        manifest = self.terms.manifest
        total = Sum(len(self.near), manifest.length, manifest.bits, inboxes.keys())
        masked = (self.people[who].mask(inboxes[self.index[who]], self.vectors[who]) for who in devices)
        self.blames.sift(self.sent("mask", masked), total.add, sender)
        return total

    def sent(self, phase: str, messages: Iterable[bytes]) -> list[bytes]:
        """What arrives of the messages of a phase."""
        said = list(messages)
        self.transcript += said
        return self.forged(phase, said)

    def forged(self, phase: str, said: list[bytes]) -> list[bytes]:
        return self.forge.get(phase, list)(said)


@pytest.fixture(scope="session")
def many_keys() -> list[RoundKey]:
    return round_keys(60)


@pytest.fixture(scope="session")
def makers(many_keys):
    """The makers above, for tests that hypothesis calls many times."""

    class Makers:
        manifest_of = staticmethod(manifest_of)
        terms_of = staticmethod(terms_of)
        round_keys = staticmethod(round_keys)

        @staticmethod
        def make(vectors, absent=None, terms=None, **more) -> Play:
            return Play(
                terms or terms_of(manifest_of(len(vectors[0]))), vectors, many_keys, absent or {}, **more
            )

    return Makers


@pytest.fixture
def play(makers):
    return makers.make
