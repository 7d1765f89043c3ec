"""The contributing phone: one step, which deals, pads and signs the one message.

    contributor = Contributor(info, accepted, round_key)
    message = contributor.contribute(committee_file, vector)
    store.put(contributor.dump())       # durable before the first byte leaves
    send(message)                       # again and again, until it is acknowledged

A round key that contributed or retracted is dead: no second message is made under it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np

from covey_privacy import wire
from covey_privacy.errors import MisuseError, ServerError
from covey_privacy.protocol_rules import Rule
from covey_privacy.secagg import pads
from covey_privacy.secagg.committee import Committees, check_committees
from covey_privacy.secagg.contribution import proofs_digest, require_sampled, statement
from covey_privacy.secagg.dealing import body_digest, body_digests, challenge, deal, prove
from covey_privacy.secagg.field import Elements, Q
from covey_privacy.secagg.keys import exchange_key, verify
from covey_privacy.secagg.messages import (
    RETRACTION,
    Contribution,
    Dealing,
    Leaf,
    Retraction,
)
from covey_privacy.secagg.shape import RING_SIZE
from covey_privacy.secagg.terms import LEAST_POOL, Kind, RoundInfo
from covey_privacy.signatures import SigningKey, Verify, to_sign
from covey_privacy.state_machine import Machine, step
from covey_privacy.tickets import Random, RoundKey


@dataclass(frozen=True, slots=True)
class Accepted:
    """Which committees a phone takes part with.

    `kinds` lists sets of kinds, `organisations` the pinned keys of organisations, and `least_pool` the
    smallest roster for a drawn committee that stands alone.
    """

    organisations: frozenset[bytes] = frozenset()
    kinds: frozenset[tuple[Kind, ...]] = frozenset({(Kind.STANDING,), (Kind.STANDING, Kind.DRAWN)})
    least_pool: int = LEAST_POOL

    def require(self, info: RoundInfo) -> None:
        """Raise ServerError unless the round's kinds and organisations are accepted."""
        if info.terms.kinds not in self.kinds:
            named = " and ".join(kind.name.lower() for kind in info.terms.kinds)
            raise ServerError(
                f"this phone takes part with no committee that is {named}", rule=Rule.COMMITTEE_KIND
            )
        if not self.organisations.issuperset(info.terms.organisations):
            raise ServerError(
                "the manifest names an organisation whose key is not pinned", rule=Rule.ORGANISATION_SIGNATURE
            )


@dataclass(frozen=True, slots=True)
class Ready:
    """Nothing was sent. `secret` is the round key's."""

    key: RoundKey


@dataclass(frozen=True, slots=True)
class Sent:
    """The message is made. No secret is left; the same bytes go out until they are acknowledged.

    `leaf` is the message's public part, by which the phone finds itself in a signed set.
    `retraction` was signed beforehand, for an owner who withdraws before the set is included.
    """

    message: Annotated[bytes, wire.Size(1, 2**26)]
    leaf: Leaf
    retraction: Retraction


@dataclass(frozen=True, slots=True)
class Retracted:
    """The phone takes no part with this key."""

    retraction: Retraction


ContributorState = Ready | Sent | Retracted
_STATES: dict[bytes, type[ContributorState]] = {
    each.__name__.encode(): each for each in (Ready, Sent, Retracted)
}


class Contributor(Machine):
    """One phone's part in one round, under one round key."""

    def __init__(
        self,
        info: RoundInfo,
        accepted: Accepted,
        state: RoundKey | ContributorState,
        *,
        random: Random = os.urandom,
        verify: Verify = verify,
    ) -> None:
        """Args: state: the round key, or what `load` returned."""
        accepted.require(info)
        self.state: ContributorState = Ready(state) if isinstance(state, RoundKey) else state
        self._info = info
        self._accepted = accepted
        self._random = random
        self._verify = verify

    @step(Ready, after=Sent)
    def contribute(self, before: Ready, committee_file: bytes, vector: Elements) -> tuple[Sent, bytes]:
        """Return the one message.

        Args:
            committee_file: the round's `CommitteeFile`, which is checked.
            vector: signed integers, noise included, shape (length,), below q / 2 in magnitude.

        Raises:
            ServerError: a committee is not the round's, or weaker than the rule.
            PeerError: a decryptor's ticket or signature is bad, or its key is of low order.
            MisuseError: the vector has another shape or range.
        """
        info = self._info
        _require_range(vector, info.terms.length)
        committees = check_committees(committee_file, info, self._verify)
        self._require_pool(committees)
        require_sampled(info.terms, committees.context, before.key.ticket.round_key)
        leaf, message = _message(info, committees, before.key, vector, self._random)
        return Sent(message, leaf, self._retraction(before.key)), message

    @step(Ready, Sent, after=Retracted)
    def retract(self, before: Ready | Sent) -> tuple[Retracted, Retraction]:
        """Return what keeps this round key out of the round, until a set is included."""
        retraction = self._retraction(before.key) if isinstance(before, Ready) else before.retraction
        return Retracted(retraction), retraction

    def dump(self) -> bytes:
        """Return the state as bytes; before the message is made they hold the round key's secret."""
        return type(self.state).__name__.encode() + b"\0" + wire.encode(self.state)

    @staticmethod
    def load(dumped: bytes) -> ContributorState:
        """Return the state that `dump` gave."""
        name, _, state = dumped.partition(b"\0")
        return wire.decode(_STATES[name], state)

    def _retraction(self, key: RoundKey) -> Retraction:
        statement = retraction_statement(self._info.digest, key.ticket.round_key)
        return Retraction(self._info.digest, key.ticket, SigningKey(key.secret).sign(statement))

    def _require_pool(self, committees: Committees) -> None:
        if self._info.terms.kinds == (Kind.DRAWN,) and committees.volunteers < self._accepted.least_pool:
            raise ServerError(
                f"the committee was drawn of {committees.volunteers} volunteers; this phone asks for "
                f"{self._accepted.least_pool}",
                rule=Rule.LEAST_COHORT,
            )


def retraction_statement(digest: bytes, round_key: bytes) -> bytes:
    """Return what a round key signs to keep out of a round."""
    return to_sign(RETRACTION, digest + round_key)


def _message(
    info: RoundInfo, committees: Committees, key: RoundKey, vector: Elements, random: Random
) -> tuple[Leaf, bytes]:
    """Deal to each committee, pad the vector with the sum of the seeds, prove, sign."""
    terms, context = info.terms, committees.context
    exchange, salt, round_key = exchange_key(key.secret), random(32), key.ticket.round_key
    dealt = [deal(each, context, exchange, round_key, salt, terms.length) for each in committees.each]
    entries = min(terms.length, RING_SIZE)
    seed = np.sum([shares.seed[:entries] for shares in dealt], axis=0) % Q
    padded = vector + pads.pad(info.digest, seed, terms.length)
    if pads.is_long(terms.length):
        padded += pads.errors(random(32), terms.length)
    packed = pads.pack(padded % Q, terms.drop)
    body = body_digest(body_digests(packed, [box for shares in dealt for box in shares.boxes]))
    unproved = Leaf(round_key, salt, body, bytes(32))
    dealings: list[Dealing] = []
    for committee, shares in zip(committees.each, dealt, strict=True):
        coefficients = challenge(context, committee.kind, unproved, committee.shape.chunks(terms.length))
        dealings.append(Dealing(b"".join(shares.boxes), prove(shares.first, coefficients)))
    leaf = replace(unproved, proof=proofs_digest(dealings))
    signature = SigningKey(key.secret).sign(statement(info.digest, context, leaf))
    return leaf, wire.encode(Contribution(key.ticket, salt, packed, tuple(dealings), signature))


def _require_range(vector: Elements, length: int) -> None:
    if vector.shape != (length,) or vector.dtype.kind != "i":
        raise MisuseError(
            f"a vector of shape {vector.shape} and type {vector.dtype} was given; {length} signed integers "
            "are padded",
            rule=Rule.VECTOR_RANGE,
        )
    largest = max(int(vector.max()), -int(vector.min()))
    if largest > Q // 2:
        raise MisuseError(
            f"an entry of the vector is {largest} in magnitude; at most {Q // 2} fits",
            rule=Rule.VECTOR_RANGE,
        )
