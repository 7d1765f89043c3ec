"""The drill's rounds: planned, signed and logged as an operator's, with a standing committee.

    seats = [SigningKey(os.urandom(32)) for _ in range(4)]
    played = announce(registry, operator, registry_key, seats, admission)
    played.add(message)
    keys = played.signed_set(registry)

Contributions are collected, and the registry signs the set of them. Nobody opens the sum.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from covey_models import QUERIES
from covey_privacy import wire
from covey_privacy.floors import TEST
from covey_privacy.manifest import Windows, sign_manifest
from covey_privacy.round_files import RoundFiles
from covey_privacy.secagg.aggregator import Aggregator
from covey_privacy.secagg.collector import Collector
from covey_privacy.secagg.messages import CommitteeFile, SetHead, unpack_leaves
from covey_privacy.secagg.notary_messages import LoggedHead, SetLeaves
from covey_privacy.secagg.terms import RoundInfo
from covey_privacy.secagg.volunteer import offer_seat
from covey_privacy.signatures import Signed, SigningKey, digest_of
from covey_privacy.tickets import purpose_set
from covey_server.plan import Admission, RoundPolicy, Size, fit_plan, manifest_for
from covey_server.registry_client import RegistryClient, decode_answer
from covey_server.round_registry import RoundRegistry
from covey_server.round_terms import CommitteePolicy, Durations

QUERY = QUERIES["q1"]
PURPOSES = purpose_set(QUERY.purposes)
EPSILON, DELTA, GAMMA = 1.4, 1e-6, 0.05
HOUR = 3600
DURATIONS = Durations(volunteer=0, contribute=8 * HOUR, check=2 * HOUR, open=2 * HOUR)
NODE = 1


@dataclass(frozen=True)
class DrillRound:
    """A round: its public files, and what its one node collects."""

    round_id: str
    windows: Windows
    info: RoundInfo
    files: RoundFiles
    collector: Collector
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, message: bytes) -> None:
        """Take a contribution. Raises PeerError for one that is not good."""
        with self._lock:
            self.collector.add(message)

    def signed_set(self, registry: RegistryClient) -> frozenset[bytes]:
        """Have the registry sign the set of those whom it does not refuse; return the round keys in it.

        They are read from the leaves that the registry publishes.
        """
        aggregator = Aggregator(self.info, self.files.committee)
        aggregator.collect(NODE, self.collector.collected())
        asked = RoundRegistry(registry, self.round_id, self.info.digest)
        while not isinstance(answer := asked.include(self.files.committee, aggregator.close()), LoggedHead):
            aggregator.leave_out(answer)
        root = wire.decode(SetHead, wire.decode(Signed, answer.signed).body).root
        leaves = decode_answer(SetLeaves, registry.send("GET", f"/v1/sets/{root.hex()}")).leaves
        return frozenset(leaf.round_key for leaf in unpack_leaves(leaves))


def announce(
    registry: RegistryClient,
    operator: SigningKey,
    registry_key: bytes,
    seats: Sequence[SigningKey],
    admission: Admission,
    clock: Callable[[], float] = time.time,
) -> DrillRound:
    """Have a round logged whose committee `seats` sit on.

    Raises ConfigError for too few people.
    """
    people, slot = admission.people, admission.slot
    (step,) = fit_plan([Size(QUERY.id, QUERY.length, QUERY.norm)], EPSILON, people.issued, DELTA).steps
    chosen = CommitteePolicy(tuple(key.public for key in seats), False, GAMMA, lost=0.0, turnout=1.0)
    policy = RoundPolicy(TEST, DELTA, chosen, DURATIONS)
    windows = DURATIONS.windows_from(int(clock()))
    manifest = manifest_for(
        QUERY, step, EPSILON, f"{QUERY.id}-{slot}", admission, (), policy, windows, os.urandom(32)
    )
    signed = sign_manifest(manifest, operator)
    registry.log_manifest(signed)
    info = manifest.info(digest_of(signed), registry_key, admission.issuer_keys)
    offers = (offer_seat(info.digest, key.secret) for key in seats)
    committee = wire.encode(CommitteeFile(tuple(seat for _, seat in offers), None))
    files = RoundFiles(signed, admission.issuer_keys, committee)
    return DrillRound(manifest.round_id, windows, info, files, Collector(info, committee, {}))
