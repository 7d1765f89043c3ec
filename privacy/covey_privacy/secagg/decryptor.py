"""The decryptor: checks one set, shows at most what convicts a dealer, and opens the sum of its shares once.

    decryptor = Decryptor(info, committees, keys, log)
    complaints = decryptor.check(request, now)
    opening = decryptor.open(request, now)

The state is to be stored (`dump`) before an answer is given. `check` and `open` give the same bytes to the
same request and refuse every other; a dispute's proof is made anew each time, about the same shared point.
After `open` or `expire` no key and no share is left.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from covey_privacy import wire
from covey_privacy.errors import PeerError, ServerError
from covey_privacy.protocol_rules import Rule
from covey_privacy.secagg import equality_proof
from covey_privacy.secagg.committee import Committees
from covey_privacy.secagg.dealing import (
    CHECKS,
    CLAIM_SIZE,
    are_good,
    box_size,
    challenge,
    open_share,
    share_key,
)
from covey_privacy.secagg.disputes import check_dealt, dispute_context, is_at_fault
from covey_privacy.secagg.field import Elements, Q, to_bytes
from covey_privacy.secagg.keys import montgomery_keys, verify
from covey_privacy.secagg.leaves import LeafSet
from covey_privacy.secagg.log_entries import LogView, open_head
from covey_privacy.secagg.messages import (
    CHECK,
    CHECK_LIMIT,
    DISPUTE,
    FINAL,
    INCLUDED,
    OPEN,
    CheckRequest,
    Complaints,
    DisputeProof,
    DisputeRequest,
    Grant,
    Leaf,
    Opening,
    OpenRequest,
    PackedLeaves,
    SetHead,
    document_digest,
    unpack_leaves,
)
from covey_privacy.secagg.terms import MOST_MEMBERS, Kind, RoundInfo
from covey_privacy.secagg.volunteer import DecryptorKeys, seat_number
from covey_privacy.signatures import SigningKey, Verify, to_sign
from covey_privacy.state_machine import Machine, step
from covey_privacy.tickets import Random

NO_ROOT = bytes(32)

_DEALERS = 64
"""Dealers whose proofs are checked at a time: their challenges stay in the processor's cache."""


@dataclass(frozen=True, slots=True)
class Seated:
    """The committee is known; no set was checked."""

    keys: DecryptorKeys


@dataclass(frozen=True, slots=True)
class Checked:
    """One set was checked. `shares` holds each member's C words, zeros for the members in `bad`.

    `request` is the digest of the check request, and `answer` what was said.
    """

    keys: DecryptorKeys
    request: wire.Bytes32
    answer: Complaints
    leaves: PackedLeaves
    shares: Annotated[bytes, wire.Size(0, 4 * 2048 * MOST_MEMBERS)]
    bad: Annotated[tuple[wire.U32, ...], wire.Records(0, MOST_MEMBERS)]


@dataclass(frozen=True, slots=True)
class Opened:
    """The sum was opened; keys and shares are gone."""

    request: wire.Bytes32
    answer: Opening


@dataclass(frozen=True, slots=True)
class Erased:
    """The deadline passed, or the phone was started again: keys and shares are gone, nothing is opened."""

    since: wire.U64


DecryptorState = Seated | Checked | Opened | Erased
_STATES: dict[bytes, type[DecryptorState]] = {
    each.__name__.encode(): each for each in (Seated, Checked, Opened, Erased)
}


class Decryptor(Machine):
    """One member of one committee in one round."""

    def __init__(
        self,
        info: RoundInfo,
        committees: Committees,
        state: DecryptorKeys | DecryptorState,
        log: LogView,
        *,
        random: Random = os.urandom,
        verify: Verify = verify,
    ) -> None:
        """Args: state: the keys of a member of the committee, or what `load` returned."""
        self._info, self._log, self._random, self._verify = info, log, random, verify
        self._context = committees.context
        self.state: DecryptorState = Seated(state) if isinstance(state, DecryptorKeys) else state
        if isinstance(self.state, Seated | Checked):
            keys = self.state.keys
            self._committee = committees.of_kind(Kind(keys.kind))
            self.number = seat_number(self._committee.box_keys, self._committee.signers, keys)
            if not self.number:
                raise ServerError("the committee has no member with these keys", rule=Rule.COMMITTEE_MEMBERS)

    @step(Seated, Checked, after=Checked)
    def check(self, before: Seated | Checked, request: bytes, now: int) -> tuple[Checked, bytes]:
        """Return the signed complaints about the members of the included set without a good share.

        Args:
            request: a `CheckRequest`.
            now: POSIX seconds, held against the witnesses' cosignatures.

        Raises:
            ServerError: the set is not signed, logged, sorted or large enough, or another was checked before.
        """
        asked = hashlib.sha256(request).digest()
        if isinstance(before, Checked):
            _require_same(asked, before.request, "checked")
            return before, wire.encode(before.answer)
        message = wire.decode(CheckRequest, request, CHECK_LIMIT)
        head = self._open_head(INCLUDED, message.head)
        self._log.require_logged(message.head, message.logged, now, self._verify)
        leaves = unpack_leaves(message.leaves)
        members = LeafSet(leaves)
        members.require_head(head)
        self._require_size(head)
        if head.before != NO_ROOT:
            raise ServerError("an included head follows no other set", rule=Rule.HEAD_SIGNATURE)
        shares, bad = self._shares(before.keys, message, leaves)
        answer = self._complain(before.keys, head.root, bad)
        state = Checked(before.keys, asked, answer, message.leaves, to_bytes(shares), tuple(bad))
        return state, wire.encode(answer)

    @step(Checked, after=Checked)
    def dispute(self, before: Checked, request: bytes, now: int) -> tuple[Checked, bytes | None]:
        """Return the proof that a dealer is at fault, or None where its share is good after all.

        Args:
            request: a `DisputeRequest` about a member of whom this decryptor complained.

        Raises:
            ServerError: the registry granted no such dispute, or it is not over what the dealer signed.
        """
        message = wire.decode(DisputeRequest, request)
        committee, member = self._committee, message.member
        grant = open_head(Grant, DISPUTE, message.grant, self._info.registry, self._verify)
        if committee.kind != Kind.DRAWN or member not in before.answer.members:
            raise ServerError("this decryptor has no such complaint to dispute", rule=Rule.DISPUTE)
        leaf = unpack_leaves(before.leaves)[member]
        if grant != Grant(self._info.digest, self._context, leaf.hash, self.number):
            raise ServerError("the dispute is granted for another member or decryptor", rule=Rule.DISPUTE)
        self._log.require_logged(message.grant, message.logged, now, self._verify)
        check_dealt(message.dealt, leaf, committee, self.number, self._info, self._context, self._verify)
        (key,) = self._keys(before.keys, [leaf])
        opened = is_at_fault(message.dealt, leaf, committee, self.number, self._info, self._context, key)
        if opened is None:
            context = dispute_context(self._context, committee.kind, leaf, self.number)
            shown = equality_proof.prove(before.keys.box, leaf.round_key, context, self._random)
            return before, wire.encode(DisputeProof(member, self.number, message.dealt, shown))
        if member not in before.bad:
            return before, None
        shares = self._rows(before)
        shares[member] = opened
        still = tuple(place for place in before.bad if place != member)
        return replace(before, shares=to_bytes(shares), bad=still), None

    @step(Checked, Opened, after=Opened)
    def open(self, before: Checked | Opened, request: bytes, now: int) -> tuple[Opened, bytes]:
        """Return the signed sum of the shares over exactly the final set; keys and shares are erased.

        Args:
            request: an `OpenRequest`.

        Raises:
            ServerError: the final set is not signed, logged, or large enough, another was opened before, or
                a member is in it whose share this decryptor does not have.
        """
        asked = hashlib.sha256(request).digest()
        if isinstance(before, Opened):
            _require_same(asked, before.request, "opened")
            return before, wire.encode(before.answer)
        message = wire.decode(OpenRequest, request)
        head = self._open_head(FINAL, message.head)
        self._log.require_logged(message.head, message.logged, now, self._verify)
        if head.before != before.answer.root:
            raise ServerError("the final set is not part of the set checked", rule=Rule.HEAD_SIGNATURE)
        excluded, leaves = sorted(set(message.excluded)), unpack_leaves(before.leaves)
        if list(message.excluded) != excluded or (excluded and excluded[-1] >= len(leaves)):
            raise ServerError("the excluded are not distinct places of the included set", rule=Rule.LEAVES)
        LeafSet(leaves).without(excluded).require_head(head)
        self._require_size(head)
        missing = set(before.bad).difference(excluded)
        if missing:
            raise ServerError(
                f"this decryptor has no good share of {len(missing)} members of the final set",
                rule=Rule.MISSING_SHARE,
            )
        shares = self._rows(before)
        sums = (shares.sum(axis=0) - shares[excluded].sum(axis=0)) % Q
        answer = self._answer(before.keys, document_digest(message.head), to_bytes(sums))
        return Opened(asked, answer), wire.encode(answer)

    @step(Seated, Checked, Opened, after=Erased)
    def expire(self, _: Seated | Checked | Opened, now: int) -> tuple[Erased, None]:
        """Erase keys and shares: the deadline passed, or the phone was started again."""
        return Erased(now), None

    def dump(self) -> bytes:
        """Return the state as bytes; they hold secrets until the sum is opened."""
        return type(self.state).__name__.encode() + b"\0" + wire.encode(self.state)

    @staticmethod
    def load(dumped: bytes) -> DecryptorState:
        """Return the state that `dump` gave."""
        name, _, state = dumped.partition(b"\0")
        return wire.decode(_STATES[name], state, 2**28)

    def _open_head(self, signing_context: str, signed: bytes) -> SetHead:
        head = open_head(SetHead, signing_context, signed, self._info.registry, self._verify)
        if (head.manifest, head.context) != (self._info.digest, self._context):
            raise ServerError("the head is of another round or committee", rule=Rule.HEAD_SIGNATURE)
        return head

    def _require_size(self, head: SetHead) -> None:
        if head.size < self._info.terms.least_set:
            raise ServerError(
                f"the set has {head.size} members; the noise needs {self._info.terms.least_set}",
                rule=Rule.LEAST_SET,
            )

    def _keys(self, keys: DecryptorKeys, leaves: Sequence[Leaf]) -> list[bytes]:
        """Return the key shared with each dealer; an empty one where its round key is of low order."""
        box, kind = X25519PrivateKey.from_private_bytes(keys.box), self._committee.kind
        publics = montgomery_keys([leaf.round_key for leaf in leaves])
        found: list[bytes] = []
        for leaf, public in zip(leaves, publics, strict=True):
            try:
                shared = box.exchange(X25519PublicKey.from_public_bytes(public))
            except ValueError:
                found.append(b"")
                continue
            key = share_key(shared, self._context, kind, leaf.round_key, leaf.salt, self.number)
            found.append(key)
        return found

    def _shares(
        self, keys: DecryptorKeys, message: CheckRequest, leaves: Sequence[Leaf]
    ) -> tuple[Elements, list[int]]:
        """Return each member's C words, and the places of those whose share is missing or wrong."""
        committee, length, count = self._committee, self._info.terms.length, len(leaves)
        chunks, boxed = committee.shape.chunks(length), self.number in committee.boxed
        size = box_size(committee.shape, length) if boxed else 0
        if len(message.boxes) != size * count or len(message.claims) != CLAIM_SIZE * count:
            raise ServerError(
                f"boxes or claims have another size than {count} members give", rule=Rule.CONTRIBUTION_SIZE
            )
        claims = np.frombuffer(message.claims, "<u4").astype(np.int64).reshape(count, CHECKS)
        shares, good = np.zeros((count, chunks + CHECKS), np.int64), np.zeros(count, bool)
        for place, key in enumerate(self._keys(keys, leaves)):
            box = message.boxes[place * size : (place + 1) * size]
            if key:
                with suppress(PeerError):
                    shares[place] = open_share(committee, self._context, self.number, key, box, length)
                    good[place] = True
        for start in range(0, count, _DEALERS):
            block = slice(start, start + _DEALERS)
            asked = [challenge(self._context, committee.kind, leaf, chunks) for leaf in leaves[block]]
            good[block] &= are_good(shares[block], np.stack(asked), claims[block])
        shares[~good] = 0
        return shares[:, :-CHECKS], np.flatnonzero(~good).tolist()

    def _rows(self, before: Checked) -> Elements:
        chunks = self._committee.shape.chunks(self._info.terms.length)
        return np.frombuffer(before.shares, "<u4").astype(np.int64).reshape(-1, chunks)

    def _complain(self, keys: DecryptorKeys, root: bytes, bad: list[int]) -> Complaints:
        unsigned = Complaints(keys.kind, self.number, root, tuple(bad), bytes(64))
        statement = complaints_statement(self._context, unsigned)
        return replace(unsigned, signature=SigningKey(keys.signing).sign(statement))

    def _answer(self, keys: DecryptorKeys, head: bytes, sums: bytes) -> Opening:
        unsigned = Opening(keys.kind, self.number, head, sums, bytes(64))
        statement = opening_statement(self._context, unsigned)
        return replace(unsigned, signature=SigningKey(keys.signing).sign(statement))


def complaints_statement(context: bytes, complaints: Complaints) -> bytes:
    """Return what a decryptor signs of its complaints."""
    return to_sign(CHECK, context + wire.encode(replace(complaints, signature=bytes(64))))


def opening_statement(context: bytes, opening: Opening) -> bytes:
    """Return what a decryptor signs of its sums."""
    return to_sign(OPEN, context + wire.encode(replace(opening, signature=bytes(64))))


def _require_same(asked: bytes, before: bytes, done: str) -> None:
    if asked != before:
        raise ServerError(f"this decryptor {done} another request in this round", rule=Rule.STEP_ONCE)
