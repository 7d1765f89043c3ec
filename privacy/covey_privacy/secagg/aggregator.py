"""The coordinator's side of a round: bytes in, bytes out. It learns who took part and the sum, no vector.

    freeze -> countersigned -> deliver -> survive -> gather -> total

What a device or node sends in breach of a rule is left out and its sender blamed; the round goes on as long
as enough stay. A round that cannot be finished raises AbortError, and nothing of it is released.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from operator import attrgetter

from covey_privacy import wire
from covey_privacy.errors import AbortError, PeerError
from covey_privacy.rules import Rule
from covey_privacy.secagg import mail, masks, messages, ring, terms
from covey_privacy.secagg.blame import Blame, Blames
from covey_privacy.secagg.graph import neighbours
from covey_privacy.secagg.machine import Machine, step
from covey_privacy.secagg.messages import Survivors
from covey_privacy.secagg.node import Directory, Sum
from covey_privacy.secagg.recovery import Recovered, recover_all
from covey_privacy.secagg.roster import Advert, Roster
from covey_privacy.secagg.terms import Terms
from covey_privacy.signatures import Verify, to_sign, verify

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


State = Gathering | Frozen | Sharing | Masking | Opening | Total


class Aggregator(Machine):
    """One round at the coordinator. `blames` takes who broke a rule; `verify` is as for a participant."""

    def __init__(self, terms: Terms, *, verify: Verify = verify, blames: Blames | None = None) -> None:
        self._terms, self._verify = terms, verify
        self.blames = blames or Blames()
        self.state: State = Gathering()

    @step(Gathering, Frozen, after=Frozen)
    def freeze(
        self, _: Gathering | Frozen, adverts: Iterable[bytes], refused: Iterable[bytes] = ()
    ) -> tuple[Frozen, Roster]:
        """Return the roster of the good adverts without the refused round keys. It may be frozen again
        until the registry has signed it."""
        read = self.blames.sift(adverts, partial(wire.decode, Advert))
        good = self.blames.sift(read, self._checked, _round_key)
        left_out = set(refused)
        single = self.blames.single(good, _round_key, Rule.ONE_ADVERT)
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
        read = self.blames.sift(bundles, mail.read)
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
        """Hand each survivor that signed its neighbours' signatures, the good ones."""
        message = to_sign(messages.SURVIVORS, before.survivors.to_sign(before.graph.context))
        read = self.blames.sift(agreements, partial(wire.decode, messages.Agreement))
        good = self.blames.sift(read, partial(self._signed, before, message), _device)
        signed = {agreement.device: agreement for agreement in good}
        return before, {
            device: wire.encode(
                messages.Agreements(tuple(signed[i] for i in before.graph.near[device] if i in signed))
            )
            for device in sorted(before.survivors.devices)
            if device in signed
        }

    @step(Opening, after=Total)
    def total(self, before: Opening, openings: Iterable[bytes]) -> tuple[Total, Total]:
        """Recover the masks that are left in the sum, take them away, return the sum."""
        read = self.blames.sift(openings, partial(wire.decode, messages.Openings))
        good = self.blames.sift(read, partial(_fitting, before), _device)
        opened = _by_owner(self.blames.single(good, _device))
        secrets = self._recovered(before, opened)
        vector = before.masked.copy()
        for device, recovered in secrets.items():
            masks.add_streams(vector, *self._left(before, device, recovered.secret))
        for device, recovered in secrets.items():
            for number in recovered.wrong:
                self.blames.add(before.graph.near[device][number - 1], Rule.SHARE)
        vector = ring.reduce(vector, self._terms.manifest.bits)
        total = Total(vector, before.survivors, self.blames.all)
        return total, total

    def _checked(self, advert: Advert) -> Advert:
        advert.check(self._terms.digest, self._terms.issuer, self._verify)
        return advert

    def _signed(self, before: Opening, message: bytes, agreement: messages.Agreement) -> messages.Agreement:
        _require_survivor(agreement.device, before)
        key = before.graph.roster.adverts[agreement.device].round_key
        if not self._verify(key, message, agreement.signature):
            raise PeerError(
                f"device {agreement.device} did not sign the survivor set", rule=Rule.AGREEMENT_SIGNATURE
            )
        return agreement

    def _enough(self, count: int, graph: Sharing, what: str) -> None:
        needed = self._terms.manifest.least_survivors(len(graph.roster.adverts))
        if count < needed:
            raise AbortError(
                f"{count} devices {what}; {needed} are needed, so nothing is released",
                rule=Rule.SURVIVORS_NOISE,
            )

    def _recovered(self, before: Opening, opened: Mapping[int, Mapping[int, bytes]]) -> dict[int, Recovered]:
        """Return the seed of every survivor and the mask key of everyone else who shared."""
        graph = before.graph

        def good(device: int, secret: bytes) -> bool:
            advert = graph.roster.adverts[device]
            if device in before.survivors:
                return terms.seed_digest(secret) == advert.seed_digest
            return masks.KeyPair(secret).public == advert.mask_key

        shares = {owner: _numbered(opened[owner], graph.near[owner]) for owner in sorted(before.sharers)}
        return recover_all(shares, graph.threshold, good)

    def _left(self, before: Opening, device: int, secret: bytes) -> tuple[list[bytes], list[bytes]]:
        """Return the masks that a device left in the sum: to add back, to take away."""
        if device in before.survivors:
            return [], [masks.derive(secret, terms.seed_info(before.graph.context))]
        return self._pairs(before, device, secret)

    def _pairs(self, before: Opening, dropped: int, key: bytes) -> tuple[list[bytes], list[bytes]]:
        """Return the dropped device's masks with its surviving neighbours: to add back, to take away."""
        pair = masks.KeyPair(key)
        plus: list[bytes] = []
        minus: list[bytes] = []
        for peer in before.graph.near[dropped]:
            if peer in before.survivors:
                info = terms.mask_info(before.graph.context, dropped, peer)
                mask = masks.derive(pair.exchange(before.graph.roster.adverts[peer].mask_key), info)
                (minus if peer < dropped else plus).append(mask)
        return plus, minus


def _require_survivor(device: int, before: Opening) -> None:
    if device not in before.survivors:
        raise PeerError(f"device {device} answers; it is not among the survivors", rule=Rule.SURVIVORS_OWN)


def _fitting(before: Opening, message: messages.Openings) -> messages.Openings:
    """Return the message. Raises PeerError unless a survivor opens just what was delivered to it."""
    _require_survivor(message.device, before)
    delivered = [peer for peer in before.graph.near[message.device] if peer in before.sharers]
    if [opening.owner for opening in message.openings] != delivered:
        raise PeerError(
            f"device {message.device} opens other shares than those delivered to it", rule=Rule.OPENINGS
        )
    return message


def _numbered(shares: Mapping[int, bytes], near: tuple[int, ...]) -> dict[int, bytes]:
    """Return a device's shares, told by holder, by their numbers."""
    numbers = {holder: number for number, holder in enumerate(near, 1)}
    return {numbers[holder]: share for holder, share in shares.items() if holder in numbers}


def _by_owner(messages_: Iterable[messages.Openings]) -> defaultdict[int, dict[int, bytes]]:
    """Return, for each owner, the shares by who held them."""
    shares: defaultdict[int, dict[int, bytes]] = defaultdict(dict)
    for message in messages_:
        for opening in message.openings:
            shares[opening.owner][message.device] = opening.share
    return shares
