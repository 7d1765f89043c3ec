"""The registry's part in rounds in one message, one method for each request.

    logged = await notary.roster(round_id, request)

Signatures are checked in threads, before the writer's transaction; what is signed and all that goes with it
is one transaction (`records`). No state is kept between requests but the rounds' manifests, which never
change: a registry that was killed goes on where its database stands.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypeVar

from cachetools import LRUCache
from sqlalchemy import select
from sqlalchemy.orm import Session

from covey_consent.errors import ConflictError, RequestError
from covey_consent.policy.epoch_calendar import Calendar
from covey_consent.rounds import conditions
from covey_consent.rounds.manifests import find_round, manifest_of, round_info
from covey_consent.rounds.records import Condition, DatabaseRecords, Rows, add_nothing, require_nothing
from covey_consent.rounds.signed_sets import add_final_set, add_included_set
from covey_consent.rounds.state import RoundRows, read_round_rows, state_of
from covey_consent.rounds.tables import RoundVolunteer
from covey_consent.storage.store import Store
from covey_consent.transparency.cosigners import Cosigners
from covey_consent.transparency.log import Log
from covey_privacy import wire
from covey_privacy.errors import PeerError, PrivacyError
from covey_privacy.manifest import Manifest
from covey_privacy.merkle import leaf_hash
from covey_privacy.protocol_rules import Rule
from covey_privacy.secagg.log_entries import entry_of
from covey_privacy.secagg.messages import (
    DISPUTE,
    DRAW,
    FINAL,
    INCLUDED,
    RETRACTION,
    ROSTER,
    VOLUNTEER,
    FinalRequest,
    IncludeRequest,
    Logged,
    Retraction,
    VolunteerOffer,
)
from covey_privacy.secagg.notary import Notary, RefusedMembersError
from covey_privacy.secagg.notary_messages import (
    DrawAnswer,
    DrawRequest,
    ExclusionRequest,
    GrantRequest,
    InclusionAnswer,
    InclusionRequest,
    LoggedHead,
    RefusedMember,
    RosterRequest,
)
from covey_privacy.secagg.terms import RoundInfo
from covey_privacy.signatures import SigningKey

T = TypeVar("T")

ROUNDS_AT_HAND = 64

STATE_RULES = frozenset({Rule.SIGNED_ONCE, Rule.STEP_ORDER, Rule.TICKET_SPENT, Rule.RETRACTED})
"""Where one is broken, the request was good and the round's state stands against it."""


class OpenRound(NamedTuple):
    """A logged round in one message."""

    manifest: Manifest
    info: RoundInfo


class RoundNotary:
    """Notaries of all rounds over one database."""

    def __init__(
        self, store: Store, log: Log, cosigners: Cosigners, key: SigningKey, calendar: Calendar
    ) -> None:
        self._store, self._log, self._cosigners = store, log, cosigners
        self._key, self._calendar = key, calendar
        self._rounds: LRUCache[str, OpenRound] = LRUCache(ROUNDS_AT_HAND)

    async def find(self, round_id: str) -> OpenRound:
        """Return a round. Raises UnknownError, and ConflictError where its manifest has no terms."""
        found = self._rounds.get(round_id)
        if found is None:
            found = await self._store.read(_open_round, round_id, self._key.public)
            self._rounds[round_id] = found
        return found

    async def volunteer(self, round_id: str, message: bytes) -> None:
        """Take an encoded `VolunteerOffer`: one ticket is checked and one row written."""
        opened = await self.find(round_id)
        offer = wire.decode(VolunteerOffer, message)
        notary = self._notary(opened, VOLUNTEER, beside=partial(_add_volunteer, round_id, offer, message))
        await _in_thread(notary.volunteer, message)

    async def retract(self, round_id: str, message: bytes) -> None:
        """Keep the round key of an encoded `Retraction` out of the round, where it is not included."""
        opened = await self.find(round_id)
        retraction = wire.decode(Retraction, message)
        await _in_thread(self._notary(opened, RETRACTION).retract, retraction)

    async def roster(self, round_id: str, request: RosterRequest) -> LoggedHead:
        """Sign the roster of all volunteers."""
        opened, rows = await self._begin(round_id, request.manifest, ROSTER)

        def require(session: Session) -> None:
            conditions.require_all_volunteers(session, round_id, len(rows.offers))
            conditions.require_few_abandoned(session, self._calendar.now)

        signed = await _in_thread(lambda: self._notary(opened, ROSTER, rows, require).roster())
        return await self._logged(signed)

    async def draw(self, round_id: str, request: DrawRequest) -> DrawAnswer:
        """Draw the committee by the coordinator's nonce, and sign the draw."""
        opened, rows = await self._begin(round_id, request.manifest, DRAW)
        drawn = await _in_thread(lambda: self._notary(opened, DRAW, rows).draw(request.nonce))
        return DrawAnswer(drawn, await self._logged(drawn.draw))

    async def include(self, round_id: str, request: InclusionRequest) -> InclusionAnswer:
        """Sign the included set, or name the members that cannot take part."""
        opened, rows = await self._begin(round_id, request.manifest, INCLUDED)
        require = partial(conditions.require_issued, manifest=opened.manifest)

        def sign() -> bytes:
            entries = wire.decode(IncludeRequest, request.request).entries
            leaves = b"".join([entry.leaf.pack() for entry in entries])
            beside = partial(add_included_set, round_id, request.committees, leaves)
            notary = self._notary(opened, INCLUDED, rows, require, beside)
            return notary.include(request.committees, request.request)

        try:
            signed = await _in_thread(sign)
        except RefusedMembersError as error:
            refused = [RefusedMember(key, str(rule)) for key, rule in sorted(error.members.items())]
            return InclusionAnswer(None, tuple(refused))
        return InclusionAnswer(await self._logged(signed), ())

    async def dispute(self, round_id: str, request: GrantRequest) -> LoggedHead:
        """Grant a drawn decryptor to show one shared point."""
        opened, rows = await self._begin(round_id, request.manifest, DISPUTE)

        def sign() -> bytes:
            return self._notary(opened, DISPUTE, rows).dispute(request.complaints, request.member)

        return await self._logged(await _in_thread(sign))

    async def final(self, round_id: str, request: ExclusionRequest) -> LoggedHead:
        """Sign the final set."""
        opened, rows = await self._begin(round_id, request.manifest, FINAL)

        def sign() -> bytes:
            excluded = wire.decode(FinalRequest, request.request).excluded
            beside = partial(add_final_set, round_id, excluded)
            return self._notary(opened, FINAL, rows, beside=beside).final(request.request)

        return await self._logged(await _in_thread(sign))

    async def _begin(self, round_id: str, digest: bytes, step: str) -> tuple[OpenRound, RoundRows]:
        """Return a round that a request names by its manifest's digest, with its rows at the step."""
        opened = await self.find(round_id)
        if digest != opened.info.digest:
            raise RequestError(f"the request names another manifest than round {round_id!r} has")
        return opened, await self._store.read(read_round_rows, round_id, step)

    def _notary(
        self,
        opened: OpenRound,
        step: str,
        rows: RoundRows | None = None,
        require: Condition = require_nothing,
        beside: Rows = add_nothing,
    ) -> Notary:
        """Return a round's notary, as its rows say, for a step that is taken at its time and under `require`.

        With rows it computes: to be called in a thread.
        """
        manifest, info = opened

        def require_all(session: Session) -> None:
            conditions.require_step(session, manifest.round_id, manifest, step, self._calendar)
            require(session)

        records = DatabaseRecords(
            self._store, self._log, manifest.round_id, step, self._calendar.now, require_all, beside
        )
        return Notary(info, self._key, records, state_of(rows, info) if rows else None)

    async def _logged(self, signed: bytes) -> LoggedHead:
        """Return what was signed with its place under a note, once the witnesses cosigned or fell silent."""
        await self._cosigners.settle()
        note, place = await self._log.witnessed(leaf_hash(entry_of(signed)))
        return LoggedHead(signed, Logged(note, place.index, place.proof), self._cosigners.missing(note))


def _open_round(session: Session, round_id: str, registry: bytes) -> OpenRound:
    logged = find_round(session, round_id)
    manifest = manifest_of(logged)
    if manifest.terms is None:
        raise ConflictError(f"round {round_id!r} is of an earlier version: its manifest has no terms")
    return OpenRound(manifest, round_info(session, logged.manifest, manifest, registry))


def _add_volunteer(
    round_id: str, offer: VolunteerOffer, message: bytes, session: Session, _signed: bytes
) -> None:
    taken = select(RoundVolunteer.round_key).filter_by(round_id=round_id, box_key=offer.box_key)
    if session.scalar(taken) is not None:
        # Phones deal to distinct box keys alone: two equal ones in a draw would end the round.
        raise PeerError("another volunteer has this box key", rule=Rule.COMMITTEE_MEMBERS)
    session.add(
        RoundVolunteer(round_key=offer.round_key, round_id=round_id, box_key=offer.box_key, offer=message)
    )


async def _in_thread(work: Callable[..., T], *args: object) -> T:
    """Return what a step comes to, done in a thread. The notary's refusals become answers.

    Malformed messages and refused members are left to others.
    """
    try:
        return await asyncio.to_thread(work, *args)
    except RefusedMembersError:
        raise
    except PrivacyError as error:
        if error.rule in (Rule.MESSAGE_FORM, Rule.ARGUMENT):
            raise
        answer = ConflictError if error.rule in STATE_RULES else RequestError
        raise answer(f"{error} ({error.rule})") from None
