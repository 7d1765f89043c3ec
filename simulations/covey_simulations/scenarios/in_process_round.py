"""All parties of a round in one process, with real tickets, log and witness: for tests and benchmarks.

players = Players(setting, random)
file = players.seat()
for contributor, vector in zip(players.contributors(), vectors, strict=True):
    players.collector.add(contributor.contribute(file, vector))
result = players.finish()
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from dataclasses import dataclass, field
from functools import cached_property

from covey_privacy import blind_rsa, tickets, wire
from covey_privacy.checkpoint import Checkpoint
from covey_privacy.checkpoint import sign_checkpoint as sign_checkpoint
from covey_privacy.merkle import Tree, leaf_hash
from covey_privacy.note import COSIGNATURE, VerifierKey
from covey_privacy.registry_messages import LEAF_MANIFEST
from covey_privacy.secagg.aggregator import Aggregator, Collecting, Result
from covey_privacy.secagg.collector import Collector
from covey_privacy.secagg.committee import check_committees
from covey_privacy.secagg.contributor import Accepted, Contributor
from covey_privacy.secagg.decryptor import Decryptor
from covey_privacy.secagg.field import Elements
from covey_privacy.secagg.keys import verify
from covey_privacy.secagg.log_entries import LogView, entry_of
from covey_privacy.secagg.messages import CommitteeFile, DrawnCommittee, Logged, Seat
from covey_privacy.secagg.notary import MemoryRecords, Notary
from covey_privacy.secagg.shape import Band, Shape
from covey_privacy.secagg.terms import Kind, RoundInfo, RoundTerms
from covey_privacy.secagg.volunteer import DecryptorKeys, Volunteer, offer_seat
from covey_privacy.signatures import SigningKey, Verify, digest_of
from covey_privacy.tickets import IssuerKey, Random, Role, RoundKey
from covey_privacy.witness import WitnessPolicy, cosign

PURPOSES = ("analytics", "personalize")
EPOCH = 20_000
NOW = 1_790_000_000
NODE = 1
ORIGIN, WITNESS = "registry.example/log", "witness.example"


@dataclass(frozen=True, slots=True)
class Setting:
    """What a round is played with: how many contribute and volunteer, and the terms' figures."""

    phones: int
    length: int
    standing: Shape | None = None
    drawn: Shape | None = None
    volunteers: int = 0
    honest: int = 1
    issued: int = 0
    gamma: float = 0.0
    lost: float = 0.0
    drop: int = 0
    steps: float = 0.0
    sample: int = 2**64 - 1


class WitnessedLog:
    """A log of entries with its key and one witness."""

    def __init__(self, key: SigningKey, witness: SigningKey) -> None:
        self._key, self._witness, self.tree = key, witness, Tree()
        self.entries: list[bytes] = []
        pinned = VerifierKey(WITNESS, COSIGNATURE, witness.public)
        self.view = LogView(ORIGIN, key.public, WitnessPolicy((pinned,), 1, 3600))

    def append(self, signed: bytes, now: int = NOW) -> Logged:
        """Log a signed head, and return where it stands under a cosigned checkpoint."""
        return self.append_logged(entry_of(signed), now)

    def append_logged(self, entry: bytes, now: int = NOW) -> Logged:
        """Log an entry of any kind, such as a manifest's, and return where it stands, as `append` does."""
        index = self.append_entry(entry)
        return Logged(self.note(now), index, self.tree.inclusion(index))

    def append_entry(self, entry: bytes) -> int:
        """Log any entry, its kind byte first, and return its index."""
        self.entries.append(entry)
        self.tree.append(leaf_hash(entry))
        return len(self.entries) - 1

    def note(self, now: int = NOW) -> str:
        """Return the cosigned checkpoint over all entries."""
        note = sign_checkpoint(Checkpoint(ORIGIN, len(self.tree), self.tree.root()), self._key)
        return note + cosign(note, WITNESS, self._witness, now)


class Issuer:
    """Signs tickets of one role and slot. Rounds that share it share round keys, which are slow to make."""

    def __init__(self, role: Role, slot: int = 1) -> None:
        self._signer = blind_rsa.Signer(blind_rsa.generate())
        self._made: tuple[RoundKey, ...] = ()
        self.key = IssuerKey(PURPOSES, EPOCH, role, slot, self._signer.public)

    def round_keys(self, count: int, random: Random) -> tuple[RoundKey, ...]:
        """Return `count` certified round keys, the same ones each time."""
        issuers = [self.key] * (count - len(self._made))
        pending = tickets.request(issuers, random)
        signatures = [self._signer.blind_sign(each.blinded) for each in pending]
        self._made += tickets.receive(issuers, pending, signatures)
        return self._made[:count]


def new_issuers() -> tuple[Issuer, Issuer]:
    """Return the issuers of the two roles: to contribute, and to volunteer."""
    return Issuer(Role.CONTRIBUTE), Issuer(Role.VOLUNTEER)


def new_site(random: Random = os.urandom) -> tuple[SigningKey, WitnessedLog]:
    """Return a registry's key and its log."""
    registry, witness = SigningKey(random(32)), SigningKey(random(32))
    return registry, WitnessedLog(registry, witness)


@dataclass
class Players:
    """The parties of one round. `random` gives every party's secrets.

    `site` is the registry's key and log, which rounds of one shop share; `manifest` makes the signed manifest
    of the round's terms, which is logged.
    """

    setting: Setting
    issuers: tuple[Issuer, Issuer] = field(default_factory=new_issuers)
    random: Random = os.urandom
    verify: Verify = verify
    messages: MutableMapping[bytes, bytes] = field(default_factory=dict)
    records: MemoryRecords = field(default_factory=MemoryRecords)
    decryptors: dict[tuple[Kind, int], Decryptor] = field(default_factory=dict)
    file: bytes = b""
    site: tuple[SigningKey, WitnessedLog] | None = None
    manifest: Callable[[RoundTerms], bytes] | None = None

    def __post_init__(self) -> None:
        setting, random = self.setting, self.random
        self.registry, self.log = self.site or new_site(random)
        self.organisations = [
            SigningKey(random(32)) for _ in range(setting.standing.members if setting.standing else 0)
        ]
        self._nonce = random(32)
        bands = (Band(1, 2**32 - 1, setting.drawn),) if setting.drawn else ()
        terms = RoundTerms(
            setting.length, setting.drop, setting.steps, setting.honest, setting.issued, setting.gamma,
            setting.lost, max(setting.phones, 1), tuple(key.public for key in self.organisations),
            setting.standing, bands, hashlib.sha256(self._nonce).digest(), setting.sample,
        )  # fmt: skip
        digest = self._log_manifest(terms)
        self.info = RoundInfo(
            terms,
            digest,
            self.registry.public,
            self.issuers[0].key,
            self.issuers[1].key if setting.drawn else None,
        )
        self.notary = Notary(self.info, self.registry, self.records, verify=self.verify)

    @cached_property
    def round_keys(self) -> tuple[RoundKey, ...]:
        """The contributing phones' certified round keys."""
        return self.issuers[0].round_keys(self.setting.phones, self.random)

    @property
    def accepted(self) -> Accepted:
        """What the phones take part with: this round's organisations, and any pool."""
        kinds = frozenset({self.info.terms.kinds})
        return Accepted(frozenset(key.public for key in self.organisations), kinds, 0)

    def seat(self) -> bytes:
        """Seat the committees; return the committee file."""
        seats, keys = self._seat_organisations()
        drawn, candidates = self._draw() if self.setting.drawn else (None, [])
        self.file = wire.encode(CommitteeFile(tuple(seats), drawn))
        committees = check_committees(self.file, self.info, self.verify)
        for candidate in candidates:
            found = candidate.drawn(committees)
            keys += [found] if found else []
        for each in keys:
            decryptor = Decryptor(
                self.info, committees, each, self.log.view, random=self.random, verify=self.verify
            )
            self.decryptors[Kind(each.kind), decryptor.number] = decryptor
        return self.file

    @cached_property
    def aggregator(self) -> Aggregator:
        """The coordinator, once the committees are seated."""
        return Aggregator(self.info, self.file, random=self.random, verify=self.verify)

    @cached_property
    def collector(self) -> Collector:
        """The one node, once the committees are seated."""
        return Collector(self.info, self.file, self.messages, verify=self.verify)

    def contributors(self) -> Iterator[Contributor]:
        """Yield the phones, ready to contribute."""
        for key in self.round_keys:
            yield Contributor(self.info, self.accepted, key, random=self.random, verify=self.verify)

    def close(self) -> bytes:
        """Close the collection and return the request to include it."""
        if isinstance(self.aggregator.state, Collecting):
            self.aggregator.collect(NODE, self.collector.collected())
        return self.aggregator.close()

    def include(self) -> None:
        """Close the collection and have the set included."""
        signed = self.notary.include(self.file, self.close())
        self.aggregator.included(signed, self.log.append(signed))

    def check(self, absent: Iterable[tuple[Kind, int]] = ()) -> None:
        """Have every decryptor check, and settle disputes."""
        present = {seat: each for seat, each in self.decryptors.items() if seat not in set(absent)}
        said: dict[tuple[Kind, int], bytes] = {}
        for (kind, number), decryptor in present.items():
            request = self.aggregator.check_request(kind, number)
            said[kind, number] = decryptor.check(request, NOW)
            self.aggregator.complain(said[kind, number])
        for member, number in self.aggregator.to_dispute():
            grant = self.notary.dispute(said[Kind.DRAWN, number], member)
            request = self.dispute_request(member, number, grant)
            shown = present[Kind.DRAWN, number].dispute(request, NOW)
            if shown is not None:
                self.aggregator.disputed(shown)

    def dispute_request(self, member: int, number: int, grant: bytes, logged: Logged | None = None) -> bytes:
        """Return the `DisputeRequest` under a grant, which is logged first unless it was."""
        _, key = self.aggregator.node_of(member)
        dealt = self.collector.dealt(key, number)
        return self.aggregator.dispute_request(member, dealt, grant, logged or self.log.append(grant))

    def finalize(self) -> None:
        """Have the final set signed."""
        signed = self.notary.final(self.aggregator.exclude())
        self.aggregator.final(signed, self.log.append(signed))

    def open_request(self) -> bytes:
        """Have the node take excluded members out of its sum; return the request to every decryptor."""
        if left_out := self.aggregator.left_out(NODE):
            self.aggregator.add_sum(NODE, self.collector.sum_without(left_out))
        return self.aggregator.open_request()

    def open(self, absent: Iterable[tuple[Kind, int]] = ()) -> Result:
        """Have every decryptor open, and return the sum."""
        request, gone = self.open_request(), set(absent)
        for seat, decryptor in self.decryptors.items():
            if seat not in gone:
                self.aggregator.opened(decryptor.open(request, NOW))
        return self.aggregator.conclude()

    def add_up(self, vectors: Iterable[Elements]) -> Result:
        """Play the whole round, one vector a phone; return the sum, as `ideal.ideal_sum` gives it."""
        self.seat()
        for contributor, vector in zip(self.contributors(), vectors, strict=True):
            self.collector.add(contributor.contribute(self.file, vector))
        return self.finish()

    def finish(
        self,
        absent_at_check: Iterable[tuple[Kind, int]] = (),
        absent_at_open: Iterable[tuple[Kind, int]] = (),
    ) -> Result:
        """Play everything after the last contribution, without some decryptors."""
        gone = set(absent_at_check)
        self.include()
        self.check(gone)
        self.finalize()
        return self.open(gone.union(absent_at_open))

    def _log_manifest(self, terms: RoundTerms) -> bytes:
        """Return the manifest's digest: that of the terms where there is no manifest."""
        if self.manifest is None:
            return hashlib.sha256(wire.encode(terms)).digest()
        signed = self.manifest(terms)
        self.log.append_entry(LEAF_MANIFEST + signed)
        return digest_of(signed)

    def _seat_organisations(self) -> tuple[list[Seat], list[DecryptorKeys]]:
        offers = [offer_seat(self.info.digest, key.secret, self.random) for key in self.organisations]
        return [seat for _, seat in offers], [keys for keys, _ in offers]

    def _draw(self) -> tuple[DrawnCommittee, list[Volunteer]]:
        keys = self.issuers[1].round_keys(self.setting.volunteers, self.random)
        candidates = [Volunteer(self.info, key, random=self.random) for key in keys]
        self.offers = [candidate.volunteer() for candidate in candidates]
        for offer in self.offers:
            self.notary.volunteer(offer)
        self.log.append(self.notary.roster())
        drawn = self.notary.draw(self._nonce)
        self.log.append(drawn.draw)
        return drawn, candidates
