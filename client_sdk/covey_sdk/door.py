"""The door: the one way in which anything about a person leaves the phone.

A contribution is one vector, for one purpose, in one round: clipped to the manifest's norm, rounded to
integers, given this phone's share of the noise, masked, and admitted by a consent ticket. The door checks the
manifest against the floors and the person's choices, charges the odometer before anything leaves, and writes
what it sent into the ledger.

A step answers the same request with the same bytes, and no other request for that step at all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from covey_models import QUERIES
from covey_privacy import wire
from covey_privacy.consent import LEAF_MANIFEST, Issuer
from covey_privacy.dp import Skellam, noise_share
from covey_privacy.errors import ServerError
from covey_privacy.manifest import Manifest, open_manifest
from covey_privacy.merkle import leaf_hash
from covey_privacy.secagg import Participant, Terms
from covey_privacy.secagg.ring import Vector, pack
from covey_privacy.signatures import Verify, digest_of, verify
from covey_privacy.tickets import IssuerKey
from covey_sdk import boot, ledger
from covey_sdk.clock import milliseconds
from covey_sdk.errors import ConsentError
from covey_sdk.invitation import Invited, check
from covey_sdk.wallet import Wallet

if TYPE_CHECKING:
    from covey_sdk.device import Device

_ADVERTISE = "advertise"
_JOINED = "joined"


@dataclass(frozen=True, slots=True)
class _Joined:
    """A round that the phone is in: its terms, and where its participant stands."""

    boot: wire.Bytes32
    manifest: Annotated[bytes, wire.Size(1, 2**20)]
    issuer: IssuerKey
    participant: Annotated[bytes, wire.Size(1, 2**24)]


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a step answered, and to which request."""

    request: wire.Bytes32
    reply: Annotated[bytes, wire.Size(1, 2**26)]


class Door:
    """A device's way into rounds.

    `verify` checks signatures; `boot_id` (32 bytes) tells one start of the phone from another.
    """

    def __init__(self, device: Device, *, verify: Verify = verify, boot_id: bytes | None = None) -> None:
        self._device = device
        self._store = device.store
        self._verify = verify
        self._boot = boot_id or boot.identity()
        self._wallet = Wallet(device.store, device.key)

    def fetch_tickets(self, purposes: tuple[str, ...], epoch: int) -> None:
        """Get this epoch's tickets for a purpose set, whether they will be used or not."""
        self._device.sync()
        self._device.gate().require(*purposes)
        self._fetch(purposes, epoch)

    def advertise(self, manifest: bytes, release: bytes = b"") -> bytes:
        """Check a round's manifest and all that it rests on; return this phone's advert.

        `release` is the signed release that the query builds on, or nothing.
        """
        invited = self._opened(manifest)
        round_id, request = invited.manifest.round_id, hashlib.sha256(manifest + release).digest()
        answered = self._answered(round_id, _ADVERTISE, request)
        if answered:
            return answered
        issuer = self._admitted(manifest, invited, release)
        with self._store.transaction():
            self._leave_other_rounds(invited.manifest)
            key = self._wallet.take(issuer)
            participant = Participant(self._terms(invited, issuer), key, verify=self._verify)
            self._put_joined(round_id, _Joined(self._boot, manifest, issuer, participant.dump()))
            return self._answer(round_id, _ADVERTISE, request, participant.advertise())

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
        joined = self._joined(round_id)
        return self._resumed(joined, self._opened(joined.manifest)) if joined else None

    def _admitted(self, signed: bytes, invited: Invited, release: bytes) -> IssuerKey:
        """Let the round pass every check that needs no ticket; return the key of its tickets."""
        device, manifest = self._device, invited.manifest
        check(invited, release, device.profile)
        device.gate().require(*manifest.purposes)
        device.sync()
        device.gate().require(*manifest.purposes)
        device.registry.inclusion(leaf_hash(LEAF_MANIFEST + signed), device.consents.checkpoint)
        device.odometer.require_room(invited.charge, device.clock.now())
        if release:
            device.releases.adopt(release, self._verify)
        return self._fetch(manifest.purposes, manifest.epoch).key

    def _fetch(self, purposes: tuple[str, ...], epoch: int) -> Issuer:
        device = self._device
        issuer = device.registry.issuer(purposes, epoch, device.consents.checkpoint)
        self._wallet.fetch(issuer, device.registry, device.clock.now())
        return issuer

    def _contribute(self, invited: Invited) -> Vector:
        """Return the vector that goes into the sum, charged and written down."""
        device, manifest = self._device, invited.manifest
        now = device.clock.now()
        device.gate().require(*manifest.purposes)
        query, encoding = QUERIES[manifest.query], invited.encoding
        vector = encoding.encode(query.contribute(device.facts()))
        noise = Skellam(noise_share(manifest.sigma, manifest.scale, manifest.honest))
        sent = encoding.to_ring(vector + noise.sample(encoding.padded))
        device.odometer.charge(manifest.round_id, manifest.purpose, invited.charge.mechanism, now)
        asked = (query.english, query.chinese)
        entry = ledger.contribution(milliseconds(now), manifest, asked, pack(sent, manifest.bits))
        ledger.write(self._store, entry)
        return sent

    def _step(
        self, round_id: str, name: str, body: bytes, act: Callable[[Participant, Invited], bytes]
    ) -> bytes:
        request = hashlib.sha256(body).digest()
        answered = self._answered(round_id, name, request)
        if answered:
            return answered
        joined = self._joined(round_id)
        if joined is None:
            raise ConsentError(f"this phone is not in round {round_id!r}, or has restarted since it joined")
        with self._store.transaction():
            invited = self._opened(joined.manifest)
            participant = self._resumed(joined, invited)
            reply = act(participant, invited)
            self._put_joined(
                round_id, _Joined(joined.boot, joined.manifest, joined.issuer, participant.dump())
            )
            return self._answer(round_id, name, request, reply)

    def _answered(self, round_id: str, name: str, request: bytes) -> bytes | None:
        data = self._store.get_round(round_id, name)
        if data is None:
            return None
        answer = wire.decode(_Answer, data)
        if answer.request != request:
            raise ServerError(f"step {name!r} of round {round_id!r} was asked for twice, differently")
        return answer.reply

    def _answer(self, round_id: str, name: str, request: bytes, reply: bytes) -> bytes:
        self._store.put_round(round_id, name, wire.encode(_Answer(request, reply)))
        return reply

    def _joined(self, round_id: str) -> _Joined | None:
        """Return the round as this start of the phone joined it; one of another start is burnt."""
        data = self._store.get_round(round_id, _JOINED)
        joined = wire.decode(_Joined, data) if data else None
        if joined and joined.boot != self._boot:
            self._forget(round_id)
            return None
        return joined

    def _put_joined(self, round_id: str, joined: _Joined) -> None:
        self._store.put_round(round_id, _JOINED, wire.encode(joined))

    def _leave_other_rounds(self, manifest: Manifest) -> None:
        """Forget the last round of this purpose set: a phone is in one at a time."""
        name = f"round/{'+'.join(manifest.purposes)}"
        last = self._store.get(name)
        if last:
            self._forget(last.decode())
        self._store.put(name, manifest.round_id.encode())

    def _forget(self, round_id: str) -> None:
        """Delete a round's secrets and answers. Its advert stays, so that it is never joined again."""
        with self._store.transaction():
            advert = self._store.get_round(round_id, _ADVERTISE)
            self._store.delete_round(round_id)
            if advert:
                self._store.put_round(round_id, _ADVERTISE, advert)

    def _resumed(self, joined: _Joined, invited: Invited) -> Participant:
        terms = self._terms(invited, joined.issuer)
        return Participant.resume(terms, joined.participant, verify=self._verify)

    def _terms(self, invited: Invited, issuer: IssuerKey) -> Terms:
        return Terms(invited.manifest, invited.digest, issuer, self._device.trust.registry)

    def _opened(self, signed: bytes) -> Invited:
        manifest = open_manifest(signed, self._device.trust.operator, self._verify)
        return Invited(manifest, digest_of(signed))
