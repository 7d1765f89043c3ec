"""The notary: what the registry signs in a round, each once.

    notary = Notary(info, key, records)
    notary.volunteer(message)                   # drawn committees alone, until the roster is signed
    roster = notary.roster()
    draw = notary.draw(nonce)
    included = notary.include(committee_file, request)
    grant = notary.dispute(complaints, member)
    final = notary.final(request)

What is signed is a log entry, and the log entry is the record that it was signed: a notary made anew over its
records answers a repeated request with the same bytes and refuses every other. A refused request leaves no
trace.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from covey_privacy import wire
from covey_privacy.errors import PeerError, ServerError
from covey_privacy.protocol_rules import Rule
from covey_privacy.secagg.committee import (
    Committees,
    check_committees,
    check_volunteer,
    draw_members,
    draw_of,
    roster_head,
    sort_roster,
)
from covey_privacy.secagg.contribution import Sizes, check_entry
from covey_privacy.secagg.contributor import retraction_statement
from covey_privacy.secagg.decryptor import NO_ROOT
from covey_privacy.secagg.exclusions import check_complaints, excluded_by
from covey_privacy.secagg.keys import require_box_key, require_round_key, verify
from covey_privacy.secagg.leaves import LeafSet
from covey_privacy.secagg.messages import (
    DISPUTE,
    DRAW,
    FINAL,
    INCLUDED,
    ROSTER,
    CommitteeFile,
    Complaints,
    DrawnCommittee,
    FinalRequest,
    Grant,
    IncludeRequest,
    Retraction,
    SetHead,
    VolunteerOffer,
)
from covey_privacy.secagg.terms import DecryptorId, Kind, RoundInfo, digest_of_fields
from covey_privacy.signatures import Signed, SigningKey, Verify, sign
from covey_privacy.state_machine import Machine, step


class NotaryRecords(Protocol):
    """What the registry keeps. Each method is one transaction, durable when it returns.

    Several processes may ask for the same round: what a method reads and what it writes are one transaction.
    """

    def keep(
        self, name: bytes, signed: bytes, spent: Sequence[bytes], claim: bytes
    ) -> tuple[bytes | None, Sequence[bytes]]:
        """Keep a log entry under a name that has none, and spend the tickets of round keys for `claim`.

        Returns:
            The entry that stands under the name now, and the round keys that were spent for another claim.
            Nothing is written where an entry stood there before, or where a key was spent.
        """

    def spend(self, spent: Sequence[bytes], claim: bytes) -> Sequence[bytes]:
        """Spend the tickets of all these round keys for `claim` or of none; return those spent before."""


class RefusedMembersError(PeerError):
    """Some members of a request cannot take part; `members` gives the rule that each broke, by round key."""

    def __init__(self, members: Mapping[bytes, Rule]) -> None:
        first = next(iter(members))
        super().__init__(
            f"{len(members)} of the members cannot take part, the first for {members[first]}; leave them out",
            rule=members[first],
        )
        self.members = dict(members)


@dataclass(frozen=True, slots=True)
class TakingVolunteers:
    """Volunteers are taken; where no committee is drawn, the included set is waited for."""

    volunteers: dict[bytes, VolunteerOffer] = field(default_factory=dict)
    box_keys: dict[bytes, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rostered:
    """The roster is signed."""

    roster: Sequence[VolunteerOffer]
    signed: bytes


@dataclass(frozen=True, slots=True)
class CommitteeDrawn:
    """The draw is signed."""

    drawn: DrawnCommittee


@dataclass(frozen=True, slots=True)
class SetIncluded:
    """The included set is signed."""

    committees: Committees
    members: LeafSet
    signed: bytes


@dataclass(frozen=True, slots=True)
class SetFinal:
    """The final set is signed; nothing else is."""

    included: SetIncluded
    signed: bytes


NotaryState = TakingVolunteers | Rostered | CommitteeDrawn | SetIncluded | SetFinal


class Notary(Machine):
    """The registry's part in one round. `state` is what a caller kept of it, by default that of a new one."""

    def __init__(
        self,
        info: RoundInfo,
        key: SigningKey,
        records: NotaryRecords,
        state: NotaryState | None = None,
        *,
        verify: Verify = verify,
    ) -> None:
        self.state: NotaryState = TakingVolunteers() if state is None else state
        self._info, self._key, self._records, self._verify = info, key, records, verify

    @step(TakingVolunteers, after=TakingVolunteers)
    def volunteer(self, before: TakingVolunteers, message: bytes) -> tuple[TakingVolunteers, None]:
        """Take a volunteer. Raises PeerError for a bad ticket, signature or key, or a ticket spent before."""
        volunteer = wire.decode(VolunteerOffer, message)
        if Kind.DRAWN not in self._info.terms.kinds:
            raise PeerError("the round draws no committee", rule=Rule.COMMITTEE_KIND)
        require_round_key(volunteer.round_key)
        require_box_key(volunteer.box_key)
        check_volunteer(volunteer, self._info, self._verify)
        owner = before.box_keys.get(volunteer.box_key, volunteer.round_key)
        if owner != volunteer.round_key:
            # Phones deal to distinct box keys alone: two equal ones in a draw would end the round.
            raise PeerError("another volunteer has this box key", rule=Rule.COMMITTEE_MEMBERS)
        claim = digest_of_fields(b"volunteer", self._info.digest, message)
        if self._records.spend([volunteer.round_key], claim):
            raise PeerError("the volunteer's ticket was spent before", rule=Rule.TICKET_SPENT)
        before.volunteers[volunteer.round_key] = volunteer
        before.box_keys[volunteer.box_key] = volunteer.round_key
        return before, None

    @step(TakingVolunteers, Rostered, after=Rostered)
    def roster(self, before: TakingVolunteers | Rostered) -> tuple[Rostered, bytes]:
        """Return the signed head of the roster of all volunteers.

        Raises:
            ServerError: another roster was signed, or no shape of the terms is safe for this many volunteers.
        """
        if isinstance(before, Rostered):
            return before, before.signed
        roster = sort_roster(list(before.volunteers.values()))
        self._info.terms.drawn_shape(len(roster))
        signed = self._once(ROSTER, roster_head(self._info.digest, roster))
        return Rostered(roster, signed), signed

    @step(Rostered, CommitteeDrawn, after=CommitteeDrawn)
    def draw(self, before: Rostered | CommitteeDrawn, nonce: bytes) -> tuple[CommitteeDrawn, DrawnCommittee]:
        """Return the committee that the stored roster and the coordinator's nonce give, with the signed draw.

        Raises:
            ServerError: the nonce is not the one whose hash stands in the terms.
        """
        if hashlib.sha256(nonce).digest() != self._info.terms.nonce_hash:
            raise ServerError("the nonce is not the manifest's", rule=Rule.DRAW_NONCE)
        if isinstance(before, CommitteeDrawn):
            return before, before.drawn
        shape = self._info.terms.drawn_shape(len(before.roster))
        members = draw_members(before.roster, before.signed, nonce, shape.members)
        signed = self._once(DRAW, draw_of(self._info.digest, before.signed, nonce, members))
        drawn = DrawnCommittee(before.signed, signed, members)
        return CommitteeDrawn(drawn), drawn

    def retract(self, retraction: Retraction) -> None:
        """Keep a round key out of the round, if no set with it was included. Its ticket is spent.

        Raises:
            PeerError: the round key did not sign it, or is included already.
        """
        key = retraction.ticket.round_key
        retraction.ticket.check(self._info.contribute, self._verify)
        signed = self._verify(key, retraction_statement(self._info.digest, key), retraction.signature)
        if retraction.manifest != self._info.digest or not signed:
            raise PeerError(
                "the retraction is not signed by the round key for this round",
                rule=Rule.CONTRIBUTION_SIGNATURE,
            )
        claim = digest_of_fields(b"retract", self._info.digest, key)
        if self._records.spend([key], claim):
            raise PeerError("the contribution is included already", rule=Rule.RETRACTED)

    @step(TakingVolunteers, CommitteeDrawn, SetIncluded, after=SetIncluded)
    def include(
        self, before: TakingVolunteers | CommitteeDrawn | SetIncluded, committee_file: bytes, request: bytes
    ) -> tuple[SetIncluded, bytes]:
        """Return the signed head of the included set.

        Args:
            committee_file: the round's `CommitteeFile`.
            request: an `IncludeRequest`.

        Raises:
            RefusedMembersError: members with a bad key, ticket, signature or size, or whose ticket is spent.
            ServerError: another set was signed, it is too small, or the committees are not the round's.
        """
        committees = self._committees(before, committee_file)
        message = wire.decode(IncludeRequest, request)
        if message.context != committees.context:
            raise ServerError("the request is for other committees", rule=Rule.COMMITTEE_MEMBERS)
        members = LeafSet([entry.leaf for entry in message.entries])
        self._require_size(len(members))
        self._require_good(message, committees)
        head = SetHead(self._info.digest, committees.context, len(members), members.root, NO_ROOT)
        keys = [leaf.round_key for leaf in members.leaves]
        return (state := SetIncluded(committees, members, self._once(INCLUDED, head, keys))), state.signed

    @step(SetIncluded, after=SetIncluded)
    def dispute(self, before: SetIncluded, complaints: bytes, member: int) -> tuple[SetIncluded, bytes]:
        """Return the signed grant to show one shared point; a dealer is disputed by one decryptor alone.

        Args:
            complaints: the drawn decryptor's signed `Complaints`, of which `member` is one.
        """
        message = wire.decode(Complaints, complaints)
        kind, number = check_complaints(
            message, before.committees, before.members.root, len(before.members), self._verify
        )
        if kind != Kind.DRAWN or member not in message.members:
            raise ServerError("no drawn decryptor complained about this member", rule=Rule.DISPUTE)
        leaf = before.members.leaves[member].hash
        grant = Grant(self._info.digest, before.committees.context, leaf, number)
        return before, self._once(DISPUTE, grant, name=leaf)

    @step(SetIncluded, SetFinal, after=SetFinal)
    def final(self, before: SetIncluded | SetFinal, request: bytes) -> tuple[SetFinal, bytes]:
        """Return the signed head of the final set: the included one without proved faults.

        Args:
            request: a `FinalRequest`.

        Raises:
            ServerError: another final set was signed, it is too small, or leaves somebody out without proof.
        """
        included = before.included if isinstance(before, SetFinal) else before
        message = wire.decode(FinalRequest, request)
        self._require_proved(message, included)
        members = included.members.without(message.excluded)
        self._require_size(len(members))
        head = SetHead(
            self._info.digest,
            included.committees.context,
            len(members),
            members.root,
            included.members.root,
        )
        signed = self._once(FINAL, head)
        return SetFinal(included, signed), signed

    def _committees(
        self, before: TakingVolunteers | CommitteeDrawn | SetIncluded, committee_file: bytes
    ) -> Committees:
        """Check the committee file; a drawn committee is the one that this notary signed."""
        drawn = Kind.DRAWN in self._info.terms.kinds
        if drawn and isinstance(before, TakingVolunteers):
            raise ServerError("no committee was drawn yet", rule=Rule.STEP_ORDER)
        committees = check_committees(committee_file, self._info, self._verify)
        if (
            isinstance(before, CommitteeDrawn)
            and wire.decode(CommitteeFile, committee_file).drawn != before.drawn
        ):
            raise ServerError("the committee file holds another draw", rule=Rule.SIGNED_ONCE)
        for committee in committees.each:
            for key in committee.box_keys:
                require_box_key(key)
        return committees

    def _require_good(self, message: IncludeRequest, committees: Committees) -> None:
        size = Sizes.of_round(self._info.terms, committees).whole
        bad: dict[bytes, Rule] = {}
        for entry in message.entries:
            try:
                require_round_key(entry.leaf.round_key)
                check_entry(entry, self._info, committees.context, self._verify)
            except PeerError as error:
                bad[entry.leaf.round_key] = error.rule
            if entry.size != size:
                bad[entry.leaf.round_key] = Rule.CONTRIBUTION_SIZE
        if bad:
            raise RefusedMembersError(bad)

    def _require_proved(self, message: FinalRequest, included: SetIncluded) -> None:
        complaints: dict[DecryptorId, Complaints] = {}
        root, size = included.members.root, len(included.members)
        for each in message.complaints:
            complaints[check_complaints(each, included.committees, root, size, self._verify)] = each
        proved, _ = excluded_by(
            complaints,
            message.disputes,
            included.committees,
            self._info,
            included.members.leaves,
            self._verify,
        )
        if not proved.issuperset(message.excluded):
            raise ServerError(
                f"{len(set(message.excluded) - proved)} members are left out without proof of a fault",
                rule=Rule.EXCLUSION,
            )

    def _require_size(self, size: int) -> None:
        least, most = self._info.terms.least_set, self._info.terms.most
        if not least <= size <= most:
            raise ServerError(
                f"the set has {size} members; {least} to {most} are allowed", rule=Rule.LEAST_SET
            )

    def _once(self, context: str, head: Any, spent: Sequence[bytes] = (), name: bytes = b"") -> bytes:
        """Sign `head`, or return what was signed before if it is the same.

        Raises:
            ServerError: another was signed in this round.
            RefusedMembersError: a ticket was spent before.
        """
        name = digest_of_fields(context.encode(), self._info.digest, name)
        signed = sign(context, head, self._key)
        claim = digest_of_fields(name, wire.decode(Signed, signed).body)
        kept, already = self._records.keep(name, signed, spent, claim)
        if already:
            raise RefusedMembersError(dict.fromkeys(already, Rule.TICKET_SPENT))
        if kept != signed:
            raise ServerError(
                f"another {type(head).__name__} was signed in this round; the first one stands",
                rule=Rule.SIGNED_ONCE,
            )
        return signed


class MemoryRecords:
    """`NotaryRecords` in memory, for simulations and tests."""

    def __init__(self) -> None:
        self.entries: dict[bytes, bytes] = {}
        self.spent: dict[bytes, bytes] = {}
        self._lock = threading.RLock()

    def keep(
        self, name: bytes, signed: bytes, spent: Sequence[bytes], claim: bytes
    ) -> tuple[bytes | None, Sequence[bytes]]:
        """See `NotaryRecords`."""
        with self._lock:
            if name in self.entries:
                return self.entries[name], ()
            already = self.spend(spent, claim)
            if not already:
                self.entries[name] = signed
            return self.entries.get(name), already

    def spend(self, spent: Sequence[bytes], claim: bytes) -> Sequence[bytes]:
        """See `NotaryRecords`."""
        with self._lock:
            already = [key for key in spent if self.spent.get(key, claim) != claim]
            if not already:
                self.spent.update(dict.fromkeys(spent, claim))
            return already
