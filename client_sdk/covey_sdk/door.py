"""The door: the one way in which anything about a person leaves the phone.

A contribution is one vector, for one purpose, in one round: clipped to the manifest's norm, rounded to
integers, given this phone's share of the noise, masked, and admitted by a consent ticket. The door checks the
manifest against the floors and the person's choices, charges the odometer before anything leaves, and writes
what it sent into the ledger.

Tickets are fetched beforehand, at a time of the phone's own (`Door.fetch_when_due`); a phone without the one
of the round's slot stays out of the round.

A step answers the same request with the same bytes, and no other request for that step at all. A phone that
was started again answers nothing of the rounds that it was in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from covey_models import Question
from covey_privacy.consent import LEAF_MANIFEST
from covey_privacy.dp import Skellam, noise_share
from covey_privacy.errors import ServerError
from covey_privacy.five_phases import Participant, Terms
from covey_privacy.five_phases.ring import Vector, pack
from covey_privacy.manifest import model_digest, open_manifest
from covey_privacy.merkle import leaf_hash
from covey_privacy.rules import Rule
from covey_privacy.signatures import Verify, digest_of, verify
from covey_privacy.tickets import IssuerKeys, Role
from covey_sdk import boot, ledger
from covey_sdk.clock import milliseconds
from covey_sdk.errors import ConsentError
from covey_sdk.invitation import Invited, check, require_delta
from covey_sdk.questions import BUILDS_ON, question
from covey_sdk.rounds import Joined, Rounds
from covey_sdk.ticket_fetcher import TicketFetcher
from covey_sdk.wallet import Wallet

if TYPE_CHECKING:
    from covey_sdk.device import Device

_ADVERTISE = "advertise"


class Door:
    """A device's way into rounds.

    `verify` checks signatures; `boot_id` (32 bytes) tells one start of the phone from another.
    """

    def __init__(self, device: Device, *, verify: Verify = verify, boot_id: bytes | None = None) -> None:
        self._device = device
        self._store = device.store
        self._verify = verify
        self._rounds = Rounds(device.store, boot_id or boot.identity())
        self._wallet = Wallet(device.store, device.key)

    def fetch_tickets(self, epoch: int, *sets: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        """See `TicketFetcher.fetch`."""
        return TicketFetcher(self._device).fetch(epoch, *sets)

    def fetch_when_due(self, *sets: tuple[str, ...]) -> datetime:
        """See `TicketFetcher.fetch_when_due`."""
        return TicketFetcher(self._device).fetch_when_due(*sets)

    def advertise(self, manifest: bytes, documents: Sequence[bytes] = ()) -> bytes:
        """Check a round's manifest and all that it rests on; return this phone's advert.

        `documents` are the signed public ones that its query builds on, in the order of its `builds_on`.
        """
        invited = self._opened(manifest)
        round_id, request = invited.manifest.round_id, model_digest(manifest, *documents)
        answered = self._rounds.answered(round_id, _ADVERTISE, request)
        if answered:
            self._in(round_id)
            return answered
        issuer_keys = self._admitted(manifest, invited, documents)
        terms = self._terms(invited, issuer_keys)
        with self._store.transaction():
            answered = self._rounds.answered(round_id, _ADVERTISE, request)
            if answered:
                return answered
            # Another process of the app may have withdrawn a purpose since.
            self._device.gate().require(*invited.manifest.purposes)
            self._rounds.leave(invited.manifest.purposes, round_id)
            key = self._wallet.take(issuer_keys, Role.CONTRIBUTE, invited.manifest.slot)
            participant = Participant(terms, key, verify=self._verify)
            self._rounds.join(round_id, manifest, issuer_keys, participant.dump())
            return self._rounds.answer(round_id, _ADVERTISE, request, participant.advertise())

    def share(self, round_id: str, view: bytes) -> bytes:
        """Return the sealed shares for the neighbours in `view`."""
        return self._step(round_id, "share", view, lambda participant, _: participant.share(view))

    def mask(self, round_id: str, inbox: bytes) -> bytes:
        """Return the masked contribution. The odometer is charged and the ledger written before."""

        def mask(participant: Participant, invited: Invited) -> bytes:
            return participant.mask(inbox, self._contribute(invited))

        return self._step(round_id, "mask", inbox, mask)

    def agree(self, round_id: str, survivors: bytes) -> bytes:
        """Return a signature over the survivor set."""
        return self._step(round_id, "agree", survivors, lambda participant, _: participant.agree(survivors))

    def open(self, round_id: str, agreements: bytes) -> bytes:
        """Return the one share for each neighbour."""
        return self._step(round_id, "open", agreements, lambda participant, _: participant.open(agreements))

    def participant(self, round_id: str) -> Participant | None:
        """Return where the phone stands in a round, None where it is not in it."""
        joined = self._rounds.joined(round_id)
        return self._resumed(joined, self._opened(joined.manifest)) if joined else None

    def _admitted(self, signed: bytes, invited: Invited, documents: Sequence[bytes]) -> IssuerKeys:
        """Let the round pass every check that needs no ticket; return the issuer keys of its tickets."""
        device, manifest = self._device, invited.manifest
        asked = question(manifest.query, documents, device.trust.operator)
        check(invited, asked, documents, device.profile)
        self._require_same_plan(invited)
        device.gate().require(*manifest.purposes)
        device.sync()
        device.gate().require(*manifest.purposes)
        require_delta(manifest, device.odometer.delta)
        device.registry.inclusion(leaf_hash(LEAF_MANIFEST + signed), device.consents.checkpoint)
        device.odometer.require_room((manifest.charge, *manifest.to_come), device.clock.now())
        with self._store.transaction():
            for name, document in zip(asked.builds_on, documents, strict=False):
                device.releases.keep(name, document)
        # No ticket is fetched here: the time of it would tell the registry who takes part.
        return device.registry.issuer(manifest.purposes, manifest.epoch, device.consents.checkpoint).keys

    def _require_same_plan(self, invited: Invited) -> None:
        """Refuse a step whose plan is not that of the step before, where this phone was in that one."""
        manifest = invited.manifest
        last = self._rounds.last(manifest.purposes)
        if last is None or digest_of(last.manifest) != manifest.previous:
            return
        if not manifest.follows(self._opened(last.manifest).manifest):
            raise ServerError(
                "the training's plan has changed since the step before; it is refused",
                rule=Rule.MANIFEST_PLAN,
            )

    def _contribute(self, invited: Invited) -> Vector:
        """Return the vector that goes into the sum, charged and written down."""
        device, manifest = self._device, invited.manifest
        now = device.clock.now()
        device.log.require_unforked()
        device.gate().require(*manifest.purposes)
        require_delta(manifest, device.odometer.delta)
        asked = self._asked(invited)
        encoding = invited.encoding(asked)
        vector = encoding.encode(asked.contribute(device.facts()))
        noise = Skellam(noise_share(manifest.sigma, manifest.scale, manifest.honest))
        sent = encoding.to_ring(vector + noise.sample(encoding.padded))
        device.odometer.charge(manifest.round_id, manifest.purpose, manifest.charge.mechanism, now)
        said = (asked.english, asked.chinese)
        entry = ledger.contribution(milliseconds(now), manifest, said, pack(sent, manifest.bits))
        ledger.write(self._store, entry)
        return sent

    def _asked(self, invited: Invited) -> Question:
        """Return what the round asks, from the documents that it was joined on."""
        name, device = invited.manifest.query, self._device
        documents = device.releases.kept(BUILDS_ON[name]) if BUILDS_ON[name] else ()
        documents = tuple(filter(None, documents))
        asked = question(name, documents, device.trust.operator)
        if invited.manifest.model != model_digest(asked.digest(), *documents):
            raise ServerError(
                f"what {name} builds on has been replaced since the round was joined",
                rule=Rule.MANIFEST_MODEL,
            )
        return asked

    def _step(
        self, round_id: str, name: str, body: bytes, act: Callable[[Participant, Invited], bytes]
    ) -> bytes:
        request = hashlib.sha256(body).digest()
        self._in(round_id)
        # Where the phone stands is read where it is moved: another process may have the store open too.
        with self._store.transaction():
            answered = self._rounds.answered(round_id, name, request)
            if answered:
                return answered
            joined = self._in(round_id)
            invited = self._opened(joined.manifest)
            participant = self._resumed(joined, invited)
            reply = act(participant, invited)
            self._rounds.move(round_id, joined.at(participant.dump()))
            return self._rounds.answer(round_id, name, request, reply)

    def _in(self, round_id: str) -> Joined:
        """Return the round as this start of the phone joined it."""
        joined = self._rounds.joined(round_id)
        if joined is None:
            raise ConsentError(f"this phone is not in round {round_id!r}, or has restarted since it joined")
        return joined

    def _resumed(self, joined: Joined, invited: Invited) -> Participant:
        terms = self._terms(invited, joined.issuer_keys)
        return Participant.resume(terms, joined.participant, verify=self._verify)

    def _terms(self, invited: Invited, issuer_keys: IssuerKeys) -> Terms:
        return Terms(invited.manifest, invited.digest, issuer_keys, self._device.trust.registry)

    def _opened(self, signed: bytes) -> Invited:
        manifest = open_manifest(signed, self._device.trust.operator, self._verify)
        return Invited(manifest, digest_of(signed))
