"""The coordinator's side of a round: bytes in, bytes out. It learns who took part and the sum, no vector.

    freeze -> countersigned -> deliver -> survive -> gather -> total

What a device or node sends in breach of a rule is left out and its sender blamed; the round goes on as long
as enough stay. A round that cannot be finished raises AbortError, and nothing of it is released.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from typing import TypeVar

from covey_privacy import wire
from covey_privacy.errors import AbortError, PeerError
from covey_privacy.five_phases import mail, masks, messages, openings, ring, terms
from covey_privacy.five_phases.blame import Blame, Blames
from covey_privacy.five_phases.graph import neighbours
from covey_privacy.five_phases.messages import Survivors
from covey_privacy.five_phases.node import Directory, Sum
from covey_privacy.five_phases.recovery import Recovered, recover_all
from covey_privacy.five_phases.roster import Advert, Roster
from covey_privacy.five_phases.terms import Terms
from covey_privacy.five_phases.unmasking import Dropped, Job, Peer, Unmask, unmask
from covey_privacy.machine import Machine, step
from covey_privacy.rules import Rule

_round_key, _device = attrgetter("round_key"), attrgetter("device")


@dataclass(frozen=True)
class Gathering:
    """Adverts may come."""


@dataclass(frozen=True)
class Frozen:
    """The roster stands; the registry has not signed it."""

    roster: Roster


@dataclass(frozen=True)
class Sharing:
    """The graph stands; parcels may come."""

    roster: Roster
    context: bytes
    threshold: int
    near: dict[int, tuple[int, ...]]


@dataclass(frozen=True)
class Masking:
    """Parcels are delivered; masked vectors may come."""

    graph: Sharing
    sharers: frozenset[int]


@dataclass(frozen=True)
class Opening:
    """The survivor set stands; signatures, then shares may come."""

    graph: Sharing
    sharers: frozenset[int]
    survivors: Survivors
    masked: ring.Vector


@dataclass(frozen=True)
class Total:
    """The round's result: the sum mod 2^b, of whom it is, and who broke which rule on the way."""

    vector: ring.Vector
    survivors: Survivors
    blamed: tuple[Blame, ...]


Said = TypeVar("Said", messages.Agreement, openings.Bundle)

State = Gathering | Frozen | Sharing | Masking | Opening | Total


class Aggregator(Machine):
    """One round at the coordinator. `blames` takes who broke a rule."""

    def __init__(self, terms: Terms, *, blames: Blames | None = None) -> None:
        self._terms = terms
        self.blames = blames or Blames()
        self.state: State = Gathering()

    @step(Gathering, Frozen, after=Frozen)
    def freeze(
        self, _: Gathering | Frozen, adverts: Iterable[bytes], refused: Iterable[bytes] = ()
    ) -> tuple[Frozen, Roster]:
        """Return the roster of these adverts without the refused round keys. It may be frozen again until
        the registry has signed it, which checks tickets and signatures and says whom it refuses."""
        read = self.blames.sift(adverts, partial(wire.decode, Advert))
        left_out = set(refused)
        single = self.blames.single(read, _round_key, Rule.ONE_ADVERT)
        kept = [advert for advert in single if advert.round_key not in left_out]
        roster = Roster.of(self._terms.manifest.round_id, self._terms.digest, kept)
        if len(roster.adverts) < self._terms.manifest.least_cohort:
            least = self._terms.manifest.least_cohort
            raise AbortError(
                f"{len(roster.adverts)} devices came; the round needs at least {least}",
                rule=Rule.LEAST_COHORT,
            )
        return Frozen(roster), roster

    @step(Frozen, after=Sharing)
    def countersigned(self, before: Frozen, signature: bytes) -> tuple[Sharing, Directory]:
        """Take the registry's signature; return the directory from which nodes show devices their part."""
        roster = before.roster
        head = roster.head()
        beacon = head.beacon(signature, self._terms.registry)
        degree, threshold = self._terms.graph(head.size)
        near = {i: neighbours(beacon, head.size, degree, i) for i in range(head.size)}
        graph = Sharing(roster, self._terms.context(head, beacon), threshold, near)
        return graph, Directory(roster, signature, degree)

    @step(Sharing, after=Masking)
    def deliver(self, before: Sharing, bundles: Iterable[bytes]) -> tuple[Masking, dict[int, bytes]]:
        """Sort the senders' parcels; return each sharer's inbox."""
        read = self.blames.sift(bundles, partial(wire.decode, mail.Bundle))
        good = self.blames.sift(read, partial(mail.check, near=before.near), _device)
        inboxes = mail.sort({each.device: each.parcels for each in self.blames.single(good, _device)})
        self._enough(len(inboxes), before, "shared their secrets")
        return Masking(before, frozenset(inboxes)), inboxes

    @step(Masking, after=Opening)
    def survive(self, before: Masking, partials: Iterable[bytes]) -> tuple[Opening, bytes]:
        """Add the nodes' sums up; return the survivor set that everyone is to sign."""
        manifest, size = self._terms.manifest, len(before.graph.roster.adverts)
        total = Sum(size, manifest.length, manifest.bits, before.sharers)
        self.blames.sift(partials, total.merge)
        self._enough(len(total.devices), before.graph, "sent a masked vector")
        survivors = Survivors.of(size, total.devices)
        return Opening(before.graph, before.sharers, survivors, total.total), wire.encode(survivors)

    @step(Opening, after=Opening)
    def gather(self, before: Opening, agreements: Iterable[bytes]) -> tuple[Opening, dict[int, bytes]]:
        """Hand each survivor that signed its neighbours' signatures; it counts the good ones."""
        read = self.blames.sift(agreements, partial(wire.decode, messages.Agreement))
        good = self.blames.sift(read, partial(_of_a_survivor, before), _device)
        signed = {agreement.device: agreement for agreement in good}
        told = {
            device: before.graph.near[device] for device in sorted(before.survivors.devices & signed.keys())
        }
        return before, mail.agreements(signed, told)

    @step(Opening, after=Total)
    def total(self, before: Opening, opened: Iterable[bytes], unmask: Unmask = unmask) -> tuple[Total, Total]:
        """Recover the masks that are left in the sum, take them away, return the sum.

        Most of a round's work is `unmask`; `unmasking.spread` gives one that does it in several processes.
        """
        read = self.blames.sift(opened, partial(wire.decode, openings.Bundle))
        good = self.blames.sift(read, partial(_fitting, before), _device)
        secrets = self._recovered(before, self.blames.single(good, _device))
        vector = ring.reduce(before.masked + unmask(self._left(before, secrets)), self._terms.manifest.bits)
        for device, recovered in secrets.items():
            for number in recovered.wrong:
                self.blames.add(before.graph.near[device][number - 1], Rule.SHARE)
        total = Total(vector, before.survivors, self.blames.all)
        return total, total

    def _enough(self, count: int, graph: Sharing, what: str) -> None:
        needed = self._terms.manifest.least_survivors(len(graph.roster.adverts))
        if count < needed:
            raise AbortError(
                f"{count} devices {what}; {needed} are needed, so nothing is released",
                rule=Rule.SURVIVORS_NOISE,
            )

    def _recovered(self, before: Opening, opened: Iterable[openings.Bundle]) -> dict[int, Recovered]:
        """Return the seed of every survivor and the mask key of everyone else who shared."""
        graph = before.graph

        def good(device: int, secret: bytes) -> bool:
            advert = graph.roster.adverts[device]
            if device in before.survivors:
                return terms.seed_digest(secret) == advert.seed_digest
            return masks.KeyPair(secret).public == advert.mask_key

        return recover_all(openings.sort(opened, graph.near, before.sharers), graph.threshold, good)

    def _left(self, before: Opening, secrets: Mapping[int, Recovered]) -> Job:
        """Return the masks that are left in the sum: the survivors' own, and those of who dropped out."""
        seeds = tuple(found.secret for device, found in secrets.items() if device in before.survivors)
        dropped = tuple(
            Dropped(device, found.secret, self._peers(before, device))
            for device, found in secrets.items()
            if device not in before.survivors
        )
        return Job(before.graph.context, self._terms.manifest.length, seeds, dropped)

    def _peers(self, before: Opening, dropped: int) -> tuple[Peer, ...]:
        """Return the survivors that share a mask with a dropped device."""
        near, adverts = before.graph.near[dropped], before.graph.roster.adverts
        return tuple(Peer(peer, adverts[peer].mask_key) for peer in near if peer in before.survivors)


def _of_a_survivor(before: Opening, said: Said) -> Said:
    """Return what a device said. Raises PeerError unless it is among the survivors."""
    if said.device not in before.survivors:
        raise PeerError(
            f"device {said.device} answers; it is not among the survivors", rule=Rule.SURVIVORS_OWN
        )
    return said


def _fitting(before: Opening, bundle: openings.Bundle) -> openings.Bundle:
    """Return the bundle. Raises PeerError unless a survivor opens just what was delivered to it."""
    _of_a_survivor(before, bundle)
    delivered = filter(before.sharers.__contains__, before.graph.near[bundle.device])
    return openings.check(bundle, list(delivered))
