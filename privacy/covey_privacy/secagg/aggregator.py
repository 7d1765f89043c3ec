"""The coordinator: adds padded vectors as they come, asks the decryptors, and takes the pads off the sum.

    aggregator = Aggregator(info, committee_file, messages)
    aggregator.add(message)                                 # each contribution, as it comes
    request = aggregator.close()                            # -> registry: include
    aggregator.included(signed, logged)
    aggregator.complain(complaints)                         # <- each decryptor: check_request(kind, number)
    aggregator.disputed(proof)                              # <- a drawn decryptor: dispute_request(...)
    request = aggregator.exclude()                          # -> registry: final
    aggregator.final(signed, logged)
    aggregator.opened(opening)                              # <- each decryptor: open_request()
    result = aggregator.conclude()

`messages` keeps the contributions' bytes by round key; vectors and boxes are read from it again where they
are needed, and the caller deletes it after the release.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np

from covey_privacy import wire
from covey_privacy.errors import AbortError, MisuseError, PeerError, ServerError
from covey_privacy.machine import Machine, step
from covey_privacy.rules import Rule
from covey_privacy.secagg import pads
from covey_privacy.secagg.committee import Committee, Committees, check_committees
from covey_privacy.secagg.contribution import Sizes, check_entry, leaf_of, read, split_boxes
from covey_privacy.secagg.dealing import body_digests, claims
from covey_privacy.secagg.decryptor import opening_statement
from covey_privacy.secagg.disputes import convicts
from covey_privacy.secagg.exclusions import check_complaints, excluded_by
from covey_privacy.secagg.field import Elements, Q, centred, require_elements, subtract, to_bytes, uniform
from covey_privacy.secagg.keys import verify
from covey_privacy.secagg.leaves import LeafSet
from covey_privacy.secagg.log_entries import open_head
from covey_privacy.secagg.messages import (
    FINAL,
    INCLUDED,
    CheckRequest,
    Complaints,
    Contribution,
    Dealt,
    DisputeProof,
    DisputeRequest,
    Entry,
    FinalRequest,
    IncludeRequest,
    Logged,
    Opening,
    OpenRequest,
    SetHead,
    document_digest,
)
from covey_privacy.secagg.packed_shamir import open_secrets
from covey_privacy.secagg.shape import RING_SIZE, integrity_proved
from covey_privacy.secagg.terms import DecryptorId, Kind, RoundInfo, digest_of_fields
from covey_privacy.signatures import Verify
from covey_privacy.tickets import Random

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Collecting:
    """Contributions come; `entries` by round key."""

    entries: dict[bytes, Entry] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Closed:
    """No more are taken; the registry is asked to include them."""

    entries: dict[bytes, Entry]


@dataclass(frozen=True, slots=True)
class Checking:
    """The included set is signed; decryptors check it."""

    members: LeafSet
    head: bytes
    logged: Logged
    complaints: Mapping[DecryptorId, Complaints] = field(default_factory=dict)
    disputes: tuple[DisputeProof, ...] = ()


@dataclass(frozen=True, slots=True)
class Excluding:
    """The registry is asked for the final set; `absent` are organisations treated as such."""

    members: LeafSet
    excluded: tuple[int, ...]
    absent: frozenset[int]


@dataclass(frozen=True, slots=True)
class CollectingSums:
    """The final set is signed; decryptors open their sums."""

    before: Excluding
    head: bytes
    logged: Logged
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


State = Collecting | Closed | Checking | Excluding | CollectingSums | Concluded


class Aggregator(Machine):
    """The coordinator's part in one round."""

    def __init__(
        self,
        info: RoundInfo,
        committee_file: bytes,
        messages: MutableMapping[bytes, bytes],
        *,
        random: Random = os.urandom,
        verify: Verify = verify,
    ) -> None:
        self.state: State = Collecting()
        self.committees: Committees = check_committees(committee_file, info, verify)
        self.sizes = Sizes.of_round(info.terms, self.committees)
        self._info, self._messages, self._random, self._verify = info, messages, random, verify
        self._sum = pads.VectorSum(info.terms.length, info.terms.drop)
        self._boxes: dict[Kind, list[bytes]] = {}
        self._claims: dict[Kind, Elements] = {}

    @step(Collecting, after=Collecting)
    def add(self, before: Collecting, data: bytes) -> tuple[Collecting, bool]:
        """Take a contribution; return whether it is new.

        Raises:
            PeerError: size, ticket, signature, proof's form or sampling are bad, or the round key sent
                another message before.
        """
        message = read(data, self.sizes)
        key = message.ticket.round_key
        if key in before.entries:
            if self._messages[key] != data:
                raise PeerError("a round key sent two contributions", rule=Rule.ONE_CONTRIBUTION)
            return before, False
        if len(before.entries) == self._info.terms.most:
            raise PeerError(
                f"the round has its {self._info.terms.most} members; no more are taken", rule=Rule.LEAST_SET
            )
        leaf = leaf_of(message, self.sizes)
        entry = Entry(leaf, message.ticket, message.signature, len(data))
        check_entry(entry, self._info, self.committees.context, self._verify)
        for dealing in message.dealings:
            require_elements(dealing.proof)
        self._messages[key] = data
        self._sum.add(message.vector)
        before.entries[key] = entry
        return before, True

    @step(Collecting, Closed, after=Closed)
    def close(self, before: Collecting | Closed) -> tuple[Closed, bytes]:
        """Return the `IncludeRequest` to the registry, sorted by round key."""
        entries = tuple(before.entries[key] for key in sorted(before.entries))
        if not entries:
            raise AbortError("no contribution came; the round ends", rule=Rule.LEAST_SET)
        return Closed(before.entries), wire.encode(IncludeRequest(self.committees.context, entries))

    @step(Closed, after=Closed)
    def leave_out(self, before: Closed, round_keys: Iterable[bytes]) -> tuple[Closed, None]:
        """Leave out contributions that the registry refused; then `close` again."""
        kept = dict(before.entries)
        for key in set(round_keys) & kept.keys():
            del kept[key]
            self._sum.remove(self._message(key).vector)
        return Closed(kept), None

    @step(Closed, after=Checking)
    def included(self, before: Closed, signed: bytes, logged: Logged) -> tuple[Checking, None]:
        """Take the signed head of the included set. Raises ServerError where it is of another set."""
        members = LeafSet([before.entries[key].leaf for key in sorted(before.entries)])
        head = open_head(SetHead, INCLUDED, signed, self._info.registry, self._verify)
        expected = SetHead(self._info.digest, self.committees.context, len(members), members.root, bytes(32))
        if head != expected:
            raise ServerError("the registry signed another included set", rule=Rule.LEAVES)
        self._prepare_checks(members)
        return Checking(members, signed, logged), None

    def check_request(self, kind: Kind, number: int) -> bytes:
        """Return the `CheckRequest` for one decryptor."""
        state, committee = self._at(Checking), self.committees.of(kind)
        boxes = b""
        if number in committee.boxed:
            boxes = self._boxes[kind][number - committee.shape.threshold - 1]
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

    def dispute_request(self, member: int, number: int, grant: bytes, logged: Logged) -> bytes:
        """Return the `DisputeRequest` for a drawn decryptor, under the registry's grant."""
        message = self._message(self._at(Checking).members.leaves[member].round_key)
        boxes = split_boxes(message, self.sizes)
        committee = self.committees.of(Kind.DRAWN)
        box = boxes[-1][number - committee.shape.threshold - 1] if number in committee.boxed else b""
        digests = body_digests(message.vector, [box for each in boxes for box in each])
        proofs = b"".join(dealing.proof for dealing in message.dealings)
        dealt = Dealt(b"".join(digests), box, proofs, message.signature)
        return wire.encode(DisputeRequest(grant, logged, member, dealt))

    @step(Checking, after=Checking)
    def disputed(self, before: Checking, proof: bytes) -> tuple[Checking, None]:
        """Take what a decryptor showed in a dispute. Raises PeerError where it convicts nobody."""
        message = wire.decode(DisputeProof, proof)
        committee, leaves = self.committees.of(Kind.DRAWN), before.members.leaves
        if message.member >= len(leaves) or not convicts(
            message, leaves[message.member], committee, self._info, self.committees.context, self._verify
        ):
            raise PeerError("what the decryptor showed convicts nobody", rule=Rule.DISPUTE)
        return replace(before, disputes=(*before.disputes, message)), None

    @step(Checking, after=Excluding)
    def exclude(self, before: Checking) -> tuple[Excluding, bytes]:
        """Return the `FinalRequest` to the registry: who is left out, with complaints and proofs."""
        out, absent = self._excluded(before)
        excluded = tuple(sorted(out))
        request = FinalRequest(excluded, tuple(before.complaints.values()), before.disputes)
        return Excluding(before.members, excluded, frozenset(absent)), wire.encode(request)

    @step(Excluding, after=CollectingSums)
    def final(self, before: Excluding, signed: bytes, logged: Logged) -> tuple[CollectingSums, None]:
        """Take the signed head of the final set. Charge the budget before the first sum is asked for."""
        members = before.members.without(before.excluded)
        head = open_head(SetHead, FINAL, signed, self._info.registry, self._verify)
        context, root = self.committees.context, before.members.root
        if head != SetHead(self._info.digest, context, len(members), members.root, root):
            raise ServerError("the registry signed another final set", rule=Rule.LEAVES)
        for place in before.excluded:
            self._sum.remove(self._message(before.members.leaves[place].round_key).vector)
        return CollectingSums(before, signed, logged), None

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
        """Return the sum. Raises AbortError where too few sums were opened, or too many are wrong."""
        terms = self._info.terms
        seed = np.zeros(min(terms.length, RING_SIZE), np.int64)
        corrected: dict[Kind, int] = {}
        proved = True
        for committee in self.committees.each:
            rows = self._rows(before, committee)
            mixing = uniform(self._random(32), committee.shape.chunks(terms.length))
            secrets, corrected[committee.kind] = open_secrets(committee.shape, rows, mixing)
            seed += secrets.T.reshape(-1)[: len(seed)]
            proved &= integrity_proved(committee.shape, len(rows), corrected[committee.kind])
        pad = pads.pad(self._info.digest, seed % Q, terms.length)
        vector = centred(subtract(self._sum.total(), pad))
        variance = pads.error_variance(self._sum.members, terms.drop) if pads.is_long(terms.length) else 0.0
        result = Result(vector, self._sum.members, before.before.excluded, corrected, proved, variance)
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

    def _prepare_checks(self, members: LeafSet) -> None:
        """Sort boxes by decryptor, and work out what the proofs give at each decryptor's point."""
        boxes: list[list[bytes]] = [[] for _ in self.committees.each]
        proofs: list[list[bytes]] = [[] for _ in self.committees.each]
        for leaf in members.leaves:
            dealt = self.sizes.dealings.unpack(self._messages[leaf.round_key])
            for place in range(len(boxes)):
                boxes[place].append(dealt[2 * place])
                proofs[place].append(dealt[2 * place + 1])
        for place, (committee, (number, size)) in enumerate(
            zip(self.committees.each, self.sizes.boxes, strict=True)
        ):
            table = np.frombuffer(b"".join(boxes[place]), np.uint8).reshape(len(members), number, size)
            self._boxes[committee.kind] = [table[:, each].tobytes() for each in range(number)]
            self._claims[committee.kind] = claims(committee.shape, proofs[place])

    def _message(self, round_key: bytes) -> Contribution:
        return read(self._messages[round_key], self.sizes)

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
