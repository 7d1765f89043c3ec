"""The collector: checks contributions as they come, adds their vectors, tells the coordinator all else.

A node has one for its phones, so that no vector leaves the node: what goes to the coordinator is who
contributed, the sealed shares and proofs for the decryptors, and at last one sum.

    collector = Collector(info, committee_file, messages)
    collector.add(message)                          # each contribution, as it comes
    part = collector.collected()                    # -> coordinator; no more are taken
    dealt = collector.dealt(round_key, number)      # -> coordinator, for a dispute
    partial = collector.sum_without(round_keys)     # -> coordinator, where some are not in the final set

`messages` keeps the contributions' bytes by round key. A collector that is made anew over the same messages
goes on where the one before stopped; whoever owns them deletes them after the release.
"""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass, field

import numpy as np

from covey_privacy import wire
from covey_privacy.errors import MisuseError, PeerError
from covey_privacy.protocol_rules import Rule
from covey_privacy.secagg import pads
from covey_privacy.secagg.committee import Committees, check_committees
from covey_privacy.secagg.contribution import Sizes, check_entry, leaf_of, read, split_boxes
from covey_privacy.secagg.dealing import body_digests
from covey_privacy.secagg.field import require_elements
from covey_privacy.secagg.keys import verify
from covey_privacy.secagg.messages import (
    Collected,
    CollectedDealings,
    Contribution,
    Dealt,
    Entry,
    PartialSum,
)
from covey_privacy.secagg.terms import Kind, RoundInfo
from covey_privacy.signatures import Verify
from covey_privacy.state_machine import Machine, step

_MEMBERS = 64
"""Members whose boxes are sorted at a time: they stay in the processor's cache."""


@dataclass(frozen=True, slots=True)
class CollectingMessages:
    """Contributions come; `entries` by round key."""

    entries: dict[bytes, Entry] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Collection:
    """No more are taken; `entries` sorted by round key."""

    entries: dict[bytes, Entry]


@dataclass(frozen=True, slots=True)
class Summed:
    """The sum was told, without the contributions `left_out`."""

    entries: dict[bytes, Entry]
    left_out: frozenset[bytes]


class Collector(Machine):
    """One node's part in one round."""

    def __init__(
        self,
        info: RoundInfo,
        committee_file: bytes,
        messages: MutableMapping[bytes, bytes],
        *,
        verify: Verify = verify,
    ) -> None:
        """Take up what is in `messages`. Raises as `add` does for a message there that is not good."""
        self.state: CollectingMessages | Collection | Summed = CollectingMessages()
        self.committees: Committees = check_committees(committee_file, info, verify)
        self.sizes = Sizes.of_round(info.terms, self.committees)
        self._info, self._messages, self._verify = info, messages, verify
        self._sum = pads.VectorSum(info.terms.length, info.terms.drop)
        for data in list(messages.values()):
            self.add(data)

    @step(CollectingMessages, after=CollectingMessages)
    def add(self, before: CollectingMessages, data: bytes) -> tuple[CollectingMessages, bool]:
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

    @step(CollectingMessages, Collection, after=Collection)
    def collected(self, before: CollectingMessages | Collection) -> tuple[Collection, Collected]:
        """Return who contributed, all boxes and proofs, and the sum of all vectors, for the coordinator."""
        entries = dict(sorted(before.entries.items()))
        keys, dealings = list(entries), []
        for place, (number, size) in enumerate(self.sizes.boxes):
            boxes, proofs = np.empty((number, len(keys), size), np.uint8), list[bytes]()
            for at in range(0, len(keys), _MEMBERS):
                block = [self.sizes.dealings.unpack(self._messages[key]) for key in keys[at : at + _MEMBERS]]
                table = np.frombuffer(b"".join([each[2 * place] for each in block]), np.uint8)
                boxes[:, at : at + _MEMBERS] = table.reshape(len(block), number, size).transpose(1, 0, 2)
                proofs += [each[2 * place + 1] for each in block]
            dealings.append(CollectedDealings(boxes.tobytes(), b"".join(proofs)))
        return Collection(entries), Collected(tuple(entries.values()), tuple(dealings), self._partial())

    def dealt(self, round_key: bytes, number: int) -> bytes:
        """Return the `Dealt` of a contribution to a drawn decryptor, for a dispute.

        Raises:
            MisuseError: no contribution of that round key is here.
        """
        message = self._message(round_key)
        boxes = split_boxes(message, self.sizes)
        committee = self.committees.of_kind(Kind.DRAWN)
        box = boxes[-1][number - committee.shape.threshold - 1] if number in committee.boxed else b""
        digests = body_digests(message.vector, [box for each in boxes for box in each])
        proofs = b"".join(dealing.proof for dealing in message.dealings)
        return wire.encode(Dealt(b"".join(digests), box, proofs, message.signature))

    @step(Collection, Summed, after=Summed)
    def sum_without(self, before: Collection | Summed, left_out: Iterable[bytes]) -> tuple[Summed, bytes]:
        """Return the `PartialSum` of all vectors but those of some round keys; once, for one such set.

        Raises:
            MisuseError: a sum without others was told before.
        """
        out = frozenset(left_out)
        if isinstance(before, Summed):
            if out != before.left_out:
                raise MisuseError("a sum over another set was told before", rule=Rule.STEP_ONCE)
        else:
            for key in out & before.entries.keys():
                self._sum.remove(self._message(key).vector)
        return Summed(before.entries, out), wire.encode(self._partial())

    def _partial(self) -> PartialSum:
        return PartialSum(self._sum.members, self._sum.units().astype("<u8").tobytes())

    def _message(self, round_key: bytes) -> Contribution:
        if round_key not in self._messages:
            raise MisuseError("no contribution of this round key is here")
        return read(self._messages[round_key], self.sizes)
