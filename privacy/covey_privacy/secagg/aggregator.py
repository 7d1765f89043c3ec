"""The coordinator: puts together what nodes collected, asks the decryptors, and takes the pads off the sum.

    aggregator = Aggregator(info, committee_file)
    aggregator.collect(node, part)                          # <- each node, once: Collector.collected()
    request = aggregator.close()                            # -> registry: include
    aggregator.included(signed, logged)
    aggregator.complain(complaints)                         # <- each decryptor: check_request(kind, number)
    aggregator.disputed(proof)                              # <- a drawn decryptor: dispute_request(...)
    request = aggregator.exclude()                          # -> registry: final
    aggregator.final(signed, logged)
    aggregator.add_sum(node, partial)                       # <- where left_out(node): Collector.sum_without
    aggregator.opened(opening)                              # <- each decryptor: open_request()
    result = aggregator.conclude()

A node is known by a number. No vector comes here but the nodes' sums.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from covey_privacy import wire
from covey_privacy.errors import AbortError, MisuseError, PeerError, ServerError
from covey_privacy.protocol_rules import Rule
from covey_privacy.secagg import pads
from covey_privacy.secagg.committee import Committee, Committees, check_committees
from covey_privacy.secagg.contribution import Sizes
from covey_privacy.secagg.dealing import claims
from covey_privacy.secagg.decryptor import opening_statement
from covey_privacy.secagg.disputes import convicts
from covey_privacy.secagg.exclusions import check_complaints, excluded_by
from covey_privacy.secagg.field import (
    Elements,
    Q,
    centred,
    require_elements,
    subtract,
    to_bytes,
    uniform_elements,
)
from covey_privacy.secagg.keys import verify
from covey_privacy.secagg.leaves import LeafSet
from covey_privacy.secagg.log_entries import open_head
from covey_privacy.secagg.messages import (
    FINAL,
    INCLUDED,
    CheckRequest,
    Collected,
    Complaints,
    Dealt,
    DisputeProof,
    DisputeRequest,
    Entry,
    FinalRequest,
    IncludeRequest,
    Logged,
    Opening,
    OpenRequest,
    PartialSum,
    SetHead,
    document_digest,
)
from covey_privacy.secagg.packed_shamir import open_secrets
from covey_privacy.secagg.shape import RING_SIZE, integrity_proved
from covey_privacy.secagg.terms import DecryptorId, Kind, RoundInfo, digest_of_fields
from covey_privacy.signatures import Verify
from covey_privacy.state_machine import Machine, step
from covey_privacy.tickets import Random

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Part:
    """What one node collected: its entries in their order, their sum, boxes and proofs of each committee.

    `boxes` have shape (boxed decryptors, entries, size of a box), `proofs` (entries, bytes of a proof).
    """

    entries: tuple[Entry, ...]
    sum: PartialSum
    boxes: tuple[NDArray[np.uint8], ...]
    proofs: tuple[NDArray[np.uint8], ...]


@dataclass(frozen=True, slots=True)
class Collecting:
    """Nodes tell what they collected; `parts` by node."""

    parts: Mapping[int, Part] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Closed:
    """No more parts are taken; the registry is asked to include the `entries`, sorted by round key."""

    parts: Mapping[int, Part]
    entries: Mapping[bytes, Entry]


@dataclass(frozen=True, slots=True)
class Checking:
    """The included set is signed; decryptors check it. `nodes` says behind which node each member is."""

    members: LeafSet
    nodes: Mapping[bytes, int]
    head: bytes
    logged: Logged
    complaints: Mapping[DecryptorId, Complaints] = field(default_factory=dict)
    disputes: tuple[DisputeProof, ...] = ()


@dataclass(frozen=True, slots=True)
class Excluding:
    """The registry is asked for the final set; `absent` are organisations treated as such."""

    members: LeafSet
    nodes: Mapping[bytes, int]
    excluded: tuple[int, ...]
    absent: frozenset[int]


@dataclass(frozen=True, slots=True)
class CollectingSums:
    """The final set is signed; nodes tell the sums of vectors, decryptors open those of shares."""

    before: Excluding
    members: LeafSet
    head: bytes
    logged: Logged
    sums: Mapping[int, PartialSum] = field(default_factory=dict)
    openings: Mapping[DecryptorId, Opening] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Result:
    """A round's outcome.

    `vector` is the sum of the members' vectors as signed integers: exact for short ones, with an error of
    `error_variance` for long ones. `corrected` counts wrong sums of shares by kind of committee;
    `integrity_proved` says whether a false sum would have needed more wrong ones than may be corrupt.
    """

    vector: Elements
    members: int
    excluded: tuple[int, ...]
    corrected: Mapping[Kind, int]
    integrity_proved: bool
    error_variance: float


@dataclass(frozen=True, slots=True)
class Concluded:
    """The sum is known."""

    result: Result


AggregatorState = Collecting | Closed | Checking | Excluding | CollectingSums | Concluded


class Aggregator(Machine):
    """The coordinator's part in one round."""

    def __init__(
        self,
        info: RoundInfo,
        committee_file: bytes,
        *,
        random: Random = os.urandom,
        verify: Verify = verify,
    ) -> None:
        self.state: AggregatorState = Collecting()
        self.committees: Committees = check_committees(committee_file, info, verify)
        self.sizes = Sizes.of_round(info.terms, self.committees)
        self._info, self._random, self._verify = info, random, verify
        self._boxes: dict[Kind, NDArray[np.uint8]] = {}
        self._claims: dict[Kind, Elements] = {}
        self._collected: dict[int, tuple[bytes, ...]] = {}
        self._sums: dict[int, PartialSum] = {}

    @step(Collecting, after=Collecting)
    def collect(self, before: Collecting, node: int, told: Collected) -> tuple[Collecting, None]:
        """Take what a node collected; the registry checks its entries.

        Raises:
            PeerError: sizes or order are not those of the round, a proof is no proof, or the node told
                something else before.
        """
        part = self._part(told, node)
        earlier = before.parts.get(node, part)
        if (earlier.entries, earlier.sum) != (part.entries, part.sum):
            raise PeerError(f"node {node} told of two collections", rule=Rule.ONE_CONTRIBUTION)
        return Collecting({**before.parts, node: part}), None

    @step(Collecting, Closed, after=Closed)
    def close(self, before: Collecting | Closed) -> tuple[Closed, bytes]:
        """Return the `IncludeRequest` to the registry, sorted by round key.

        A round key that two nodes bring counts for the first one, and is left out of the other's sum. Raises
        AbortError where too few came.
        """
        if isinstance(before, Closed):
            entries = before.entries
        else:
            told = [entry for part in before.parts.values() for entry in part.entries]
            by_key = {entry.leaf.round_key: entry for entry in reversed(told)}
            entries = {key: by_key[key] for key in sorted(by_key)[: self._info.terms.most]}
        self._require_enough(len(entries))
        request = IncludeRequest(self.committees.context, tuple(entries.values()))
        return Closed(before.parts, entries), wire.encode(request)

    @step(Closed, after=Closed)
    def leave_out(self, before: Closed, round_keys: Iterable[bytes]) -> tuple[Closed, None]:
        """Leave out contributions that the registry refused; then `close` again."""
        gone = set(round_keys)
        return Closed(before.parts, {k: v for k, v in before.entries.items() if k not in gone}), None

    @step(Closed, after=Checking)
    def included(self, before: Closed, signed: bytes, logged: Logged) -> tuple[Checking, None]:
        """Take the signed head of the included set. Raises ServerError where it is of another set."""
        members = LeafSet([entry.leaf for entry in before.entries.values()])
        head = open_head(SetHead, INCLUDED, signed, self._info.registry, self._verify)
        expected = SetHead(self._info.digest, self.committees.context, len(members), members.root, bytes(32))
        if head != expected:
            raise ServerError("the registry signed another included set", rule=Rule.LEAVES)
        return Checking(members, self._sort_dealings(before), signed, logged), None

    def check_request(self, kind: Kind, number: int) -> bytes:
        """Return the `CheckRequest` for one decryptor."""
        state, committee = self._at(Checking), self.committees.of_kind(kind)
        boxes = b""
        if number in committee.boxed:
            boxes = self._boxes[kind][number - committee.shape.threshold - 1].tobytes()
        claimed = to_bytes(self._claims[kind][number - 1])
        return wire.encode(CheckRequest(state.head, state.logged, state.members.packed, boxes, claimed))

    @step(Checking, after=Checking)
    def complain(self, before: Checking, complaints: bytes) -> tuple[Checking, None]:
        """Take a decryptor's answer to a check. Raises PeerError for one not signed by it, or a second."""
        message = wire.decode(Complaints, complaints)
        seat = check_complaints(
            message, self.committees, before.members.root, len(before.members), self._verify
        )
        _require_only(message, before.complaints.get(seat, message))
        return replace(before, complaints={**before.complaints, seat: message}), None

    def to_dispute(self) -> list[tuple[int, int]]:
        """Return pairs (member, drawn decryptor) that a dispute would settle, one for each member.

        Of several decryptors that complain, a hash of the signed head chooses: a corrupt one that complains
        falsely cannot make sure that it uses up the one dispute.
        """
        state = self._at(Checking)
        head = document_digest(state.head)
        settled = set(self._excluded(state)[0])
        pairs: dict[int, int] = {}
        for (kind, number), each in sorted(
            state.complaints.items(), key=lambda said: digest_of_fields(head, said[0][1].to_bytes(4))
        ):
            if kind == Kind.DRAWN:
                pairs.update({m: number for m in each.members if m not in settled and m not in pairs})
        return sorted(pairs.items())

    def node_of(self, member: int) -> tuple[int, bytes]:
        """Return behind which node a member is, and its round key: that node has its `Dealt`."""
        state = self._at(Checking)
        key = state.members.leaves[member].round_key
        return state.nodes[key], key

    def dispute_request(self, member: int, dealt: bytes, grant: bytes, logged: Logged) -> bytes:
        """Return the `DisputeRequest` for a drawn decryptor, under the registry's grant.

        Args:
            dealt: the node's `Dealt` for this member and decryptor.
        """
        self._at(Checking)
        return wire.encode(DisputeRequest(grant, logged, member, wire.decode(Dealt, dealt)))

    @step(Checking, after=Checking)
    def disputed(self, before: Checking, proof: bytes) -> tuple[Checking, None]:
        """Take what a decryptor showed in a dispute. Raises PeerError where it convicts nobody."""
        message = wire.decode(DisputeProof, proof)
        committee, leaves = self.committees.of_kind(Kind.DRAWN), before.members.leaves
        if message.member >= len(leaves) or not convicts(
            message, leaves[message.member], committee, self._info, self.committees.context, self._verify
        ):
            raise PeerError("what the decryptor showed convicts nobody", rule=Rule.DISPUTE)
        return replace(before, disputes=(*before.disputes, message)), None

    @step(Checking, after=Excluding)
    def exclude(self, before: Checking) -> tuple[Excluding, bytes]:
        """Return the `FinalRequest` to the registry: who is left out, with complaints and proofs.

        Raises AbortError where too few would be left.
        """
        out, absent = self._excluded(before)
        excluded = tuple(sorted(out))
        self._require_enough(len(before.members) - len(excluded))
        request = FinalRequest(excluded, tuple(before.complaints.values()), before.disputes)
        state = Excluding(before.members, before.nodes, excluded, frozenset(absent))
        return state, wire.encode(request)

    @step(Excluding, after=CollectingSums)
    def final(self, before: Excluding, signed: bytes, logged: Logged) -> tuple[CollectingSums, None]:
        """Take the signed head of the final set. Charge the budget before anyone is asked to open."""
        members = before.members.without(before.excluded)
        head = open_head(SetHead, FINAL, signed, self._info.registry, self._verify)
        context, root = self.committees.context, before.members.root
        if head != SetHead(self._info.digest, context, len(members), members.root, root):
            raise ServerError("the registry signed another final set", rule=Rule.LEAVES)
        return CollectingSums(before, members, signed, logged), None

    @property
    def nodes(self) -> tuple[int, ...]:
        """The nodes that collected contributions of the included set or others."""
        return tuple(self._collected)

    def left_out(self, node: int) -> tuple[bytes, ...]:
        """Return the round keys that a node collected and that are not in the final set from there."""
        state = self._at(CollectingSums)
        final = {leaf.round_key for leaf in state.members.leaves}
        nodes = state.before.nodes
        return tuple(key for key in self._collected.get(node, ()) if key not in final or nodes[key] != node)

    @step(CollectingSums, after=CollectingSums)
    def add_sum(self, before: CollectingSums, node: int, data: bytes) -> tuple[CollectingSums, None]:
        """Take a node's `PartialSum` without those of its contributions that are not in the final set.

        Raises:
            PeerError: it is over another number of members, of another length, or another sum than before.
        """
        message = wire.decode(PartialSum, data)
        left_out = self.left_out(node)
        members = len(self._collected.get(node, ())) - len(left_out)
        first = before.sums if left_out else self._sums
        self._require_sum(message, node)
        if message.members != members or first.get(node, message) != message:
            raise PeerError(
                f"node {node} tells the sum of {message.members} members, or another one than before; "
                f"{members} of the final set are behind it",
                rule=Rule.LEAVES,
            )
        return replace(before, sums={**before.sums, node: message}), None

    def open_request(self) -> bytes:
        """Return the `OpenRequest`, the same for every decryptor."""
        state = self._at(CollectingSums)
        return wire.encode(OpenRequest(state.head, state.logged, state.before.excluded))

    @step(CollectingSums, after=CollectingSums)
    def opened(self, before: CollectingSums, opening: bytes) -> tuple[CollectingSums, None]:
        """Take a decryptor's sum. Raises PeerError for one not signed by it, of another size, or a second."""
        message = wire.decode(Opening, opening)
        committee = next((each for each in self.committees.each if each.kind == message.kind), None)
        if committee is None or not 1 <= message.decryptor <= committee.shape.members:
            raise PeerError("a sum names no decryptor of the round", rule=Rule.COMMITTEE_MEMBERS)
        statement = opening_statement(self.committees.context, message)
        signer = committee.signers[message.decryptor - 1]
        if message.head != document_digest(before.head) or not self._verify(
            signer, statement, message.signature
        ):
            raise PeerError(
                f"the sum of decryptor {message.decryptor} is not signed by it for the final set",
                rule=Rule.HEAD_SIGNATURE,
            )
        if len(message.sums) != 4 * committee.shape.chunks(self._info.terms.length):
            raise PeerError("a sum has another size", rule=Rule.VECTOR_LENGTH)
        require_elements(message.sums)
        seat = committee.kind, message.decryptor
        _require_only(message, before.openings.get(seat, message))
        return replace(before, openings={**before.openings, seat: message}), None

    @step(CollectingSums, after=Concluded)
    def conclude(self, before: CollectingSums) -> tuple[Concluded, Result]:
        """Return the sum.

        Raises:
            MisuseError: a node with members left out of the final set has not told its sum without them.
            AbortError: too few sums of shares were opened, or too many are wrong.
        """
        terms = self._info.terms
        units, members = self._vectors(before)
        seed = np.zeros(min(terms.length, RING_SIZE), np.int64)
        corrected: dict[Kind, int] = {}
        proved = True
        for committee in self.committees.each:
            rows = self._rows(before, committee)
            mixing = uniform_elements(self._random(32), committee.shape.chunks(terms.length))
            secrets, corrected[committee.kind] = open_secrets(committee.shape, rows, mixing)
            seed += secrets.T.reshape(-1)[: len(seed)]
            proved &= integrity_proved(committee.shape, len(rows), corrected[committee.kind])
        pad = pads.pad(self._info.digest, seed % Q, terms.length)
        vector = centred(subtract(pads.total(units, members, terms.drop), pad))
        variance = pads.error_variance(members, terms.drop) if pads.is_long(terms.length) else 0.0
        result = Result(vector, members, before.before.excluded, corrected, proved, variance)
        return Concluded(result), result

    def _rows(self, state: CollectingSums, committee: Committee) -> dict[int, Elements]:
        """Return the opened sums of a committee by decryptor, without organisations treated as absent."""
        absent = state.before.absent if committee.kind == Kind.STANDING else frozenset()
        return {
            number: np.frombuffer(opening.sums, "<u4").astype(np.int64)
            for (kind, number), opening in state.openings.items()
            if kind == committee.kind and number not in absent
        }

    def _excluded(self, state: Checking) -> tuple[set[int], set[int]]:
        return excluded_by(
            state.complaints, state.disputes, self.committees, self._info, state.members.leaves, self._verify
        )

    def _part(self, message: Collected, node: int) -> Part:
        """Return a node's part. Raises PeerError unless its sizes and order are the round's."""
        keys = [entry.leaf.round_key for entry in message.entries]
        counts = [number * size * len(keys) for number, size in self.sizes.boxes]
        proofs = [size * len(keys) for size in self.sizes.proofs]
        found = [(len(each.boxes), len(each.proofs)) for each in message.dealings]
        if found != list(zip(counts, proofs, strict=True)) or sorted(set(keys)) != keys:
            raise PeerError(
                f"what node {node} collected has other sizes, or another order, than the round's",
                rule=Rule.CONTRIBUTION_SIZE,
            )
        self._require_sum(message.sum, node)
        if message.sum.members != len(keys):
            raise PeerError(
                f"node {node} tells the sum of {message.sum.members} vectors, and who sent {len(keys)}",
                rule=Rule.LEAVES,
            )
        for each in message.dealings:
            require_elements(each.proofs)
        boxes = [
            np.frombuffer(each.boxes, np.uint8).reshape(number, len(keys), size)
            for each, (number, size) in zip(message.dealings, self.sizes.boxes, strict=True)
        ]
        rows = [
            np.frombuffer(each.proofs, np.uint8).reshape(len(keys), size)
            for each, size in zip(message.dealings, self.sizes.proofs, strict=True)
        ]
        return Part(message.entries, message.sum, tuple(boxes), tuple(rows))

    def _require_enough(self, members: int) -> None:
        """Raise AbortError where a set would be smaller than the terms allow."""
        least = self._info.terms.least_set
        if members < least:
            raise AbortError(
                f"{members} contributions can be added up; the round's sum is over {least} at least",
                rule=Rule.LEAST_SET,
            )

    def _require_sum(self, message: PartialSum, node: int) -> None:
        """Raise PeerError unless the units are as many as the terms say, each as so many members give."""
        units, terms = np.frombuffer(message.units, "<u8"), self._info.terms
        if len(units) != terms.length or int(units.max()) > message.members << (31 - terms.drop):
            raise PeerError(f"the sum of node {node} is no sum of vectors", rule=Rule.VECTOR_LENGTH)

    def _sort_dealings(self, closed: Closed) -> Mapping[bytes, int]:
        """Sort the nodes' boxes and proofs by member, and work out what proofs give at each decryptor.

        Returns:
            The node of each member, by round key.
        """
        places = {key: place for place, key in enumerate(closed.entries)}
        nodes: dict[bytes, int] = {}
        sources: list[tuple[Part, list[int], list[int]]] = []
        for node, part in closed.parts.items():
            keys = [entry.leaf.round_key for entry in part.entries]
            own = [at for at, key in enumerate(keys) if key in places and key not in nodes]
            nodes.update({keys[at]: node for at in own})
            sources.append((part, own, [places[keys[at]] for at in own]))
            self._collected[node], self._sums[node] = tuple(keys), part.sum
        for place, committee in enumerate(self.committees.each):
            number, size = self.sizes.boxes[place]
            boxes = np.empty((number, len(places), size), np.uint8)
            proofs = np.empty((len(places), self.sizes.proofs[place]), np.uint8)
            for part, own, target in sources:
                if own == target and len(own) == len(places) == len(part.entries):
                    boxes, proofs = part.boxes[place], part.proofs[place]  # One node has all: no copy.
                else:
                    boxes[:, target], proofs[target] = part.boxes[place][:, own], part.proofs[place][own]
            self._boxes[committee.kind] = boxes
            self._claims[committee.kind] = claims(committee.shape, proofs)
        return nodes

    def _vectors(self, state: CollectingSums) -> tuple[NDArray[np.uint64], int]:
        """Return the sum of the nodes' sums and the number of members. Raises MisuseError where one lacks."""
        whole = {node: told for node, told in self._sums.items() if not self.left_out(node)}
        missing = self._sums.keys() - whole.keys() - state.sums.keys()
        if missing:
            raise MisuseError(f"the sums of nodes {sorted(missing)} are missing", rule=Rule.STEP_ORDER)
        units, sums = np.zeros(self._info.terms.length, np.uint64), {**whole, **state.sums}
        for each in sums.values():
            units += np.frombuffer(each.units, "<u8")
        return units, sum(each.members for each in sums.values())

    def _at(self, cls: type[S]) -> S:
        """Return the state as a `cls`. Raises MisuseError where the round is elsewhere."""
        if not isinstance(self.state, cls):
            raise MisuseError(
                f"this follows {cls.__name__}; the round is at {type(self.state).__name__}",
                rule=Rule.STEP_ORDER,
            )
        return self.state


def _require_only(answer: Complaints | Opening, first: Complaints | Opening) -> None:
    """Raise PeerError where a decryptor signed another answer before."""
    if answer != first:
        raise PeerError(
            f"decryptor {answer.decryptor} signed another answer before; the first one stands",
            rule=Rule.STEP_ONCE,
        )
