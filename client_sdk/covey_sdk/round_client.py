"""The round client: the one way in which anything about a person leaves the phone.

A contribution is one vector, for one purpose, in one round: clipped to the manifest's norm, rounded to
integers, given this phone's share of the noise, padded, and admitted by a consent ticket. It is one message,
and the phone may switch off once it is acknowledged.

    client.prepare(files)             # checks the round and works out the vector; returns when to send
    message = client.contribute(files)    # at that time; charges, writes the ledger, keeps the message
    send(message)                     # again and again, the same bytes
    client.acknowledge(round_id)      # once the coordinator's node has it on its disk

What takes time that depends on what the phone holds happens in `prepare`; the message leaves at a time drawn
at random, so that neither tells anything.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from covey_models import Question
from covey_privacy.certificate import claim_key
from covey_privacy.dp import Skellam, noise_share
from covey_privacy.errors import ServerError
from covey_privacy.manifest import Windows, open_manifest
from covey_privacy.merkle import leaf_hash
from covey_privacy.protocol_rules import Rule
from covey_privacy.registry_messages import LEAF_MANIFEST
from covey_privacy.round_files import RoundFiles
from covey_privacy.secagg.contributor import Accepted, Contributor, Sent
from covey_privacy.secagg.field import Elements
from covey_privacy.secagg.keys import verify
from covey_privacy.secagg.terms import Kind, RoundInfo
from covey_privacy.signatures import Verify, digest_of
from covey_privacy.tickets import IssuerKeys, Role
from covey_sdk import ledger
from covey_sdk.boot_id import current_boot_id
from covey_sdk.clock import milliseconds, moment
from covey_sdk.errors import ConsentError
from covey_sdk.manifest_check import OpenedManifest, check, require_delta
from covey_sdk.questions import question
from covey_sdk.round_records import Contributed, Joined, Prepared, RoundRecords
from covey_sdk.ticket_store import TicketStore

if TYPE_CHECKING:
    from covey_sdk.device import Device

MARGIN = 8
"""No message is planned for the last eighth of a window: it may have to be sent again."""


class RoundClient:
    """A device's part in rounds.

    `verify` checks signatures; `boot_id` (32 bytes) tells one start of the phone from another; `below(n)`
    gives a number from 0 to n - 1, by which the time to send is drawn.
    """

    def __init__(
        self,
        device: Device,
        *,
        verify: Verify = verify,
        boot_id: bytes | None = None,
        below: Callable[[int], int] = secrets.randbelow,
    ) -> None:
        self._device, self._store = device, device.store
        self._verify, self._below = verify, below
        self._records = RoundRecords(device.store, boot_id or current_boot_id())
        self._wallet = TicketStore(device.store, device.key)

    def prepare(self, files: RoundFiles) -> datetime:
        """Check a round and all that it rests on, and work out the vector; return when to send it.

        A message that was made for these files and not acknowledged is to be sent again now.

        Raises:
            ServerError: the manifest asks for less than the phone's floors, or for something else.
            ConsentError: a purpose is not allowed, or the phone took part before.
            BudgetError: the round would pass a cap of the notices.
        """
        invited = self._opened(files.manifest)
        round_id = invited.manifest.round_id
        prepared = self._records.prepared(round_id)
        if prepared is None or prepared.files != files.digest:
            if self._kept(round_id, files) is not None:
                return self._device.clock.now()  # The app ended before its message was acknowledged.
            prepared = self._prepare(invited, files)
        return moment(prepared.send_at)

    def contribute(self, files: RoundFiles) -> bytes:
        """Return the one message of this phone. Ledger and odometer are written before it is returned.

        The same files again give the same bytes, until `acknowledge`; what was not prepared is prepared.

        Raises:
            ServerError: as `prepare`; or the committees are not those of the round.
            ConsentError: as `prepare`; or there is no ticket for the round's slot.
            BudgetError: as `prepare`.
        """
        device, invited = self._device, self._opened(files.manifest)
        manifest, round_id = invited.manifest, invited.manifest.round_id
        if (kept := self._kept(round_id, files)) is not None:
            return kept
        if (prepared := self._records.prepared(round_id)) is None or prepared.files != files.digest:
            self.prepare(files)
        else:
            device.sync()
        asked = self._asked(invited, files.documents)
        with self._store.transaction():
            # Another process of the app may have contributed, or withdrawn a purpose, meanwhile.
            if (kept := self._kept(round_id, files)) is not None:
                return kept
            now = device.clock.now()
            device.log.require_unforked()
            device.gate().require(*manifest.purposes)
            require_delta(manifest, device.odometer.delta)
            self._require_window(invited, now)
            prepared = self._records.prepared(round_id)
            if prepared is None:
                raise ConsentError(f"what was prepared for round {round_id!r} was deleted; prepare it again")
            info = self._info(invited, prepared.issuer_keys)
            key = self._wallet.take(prepared.issuer_keys, Role.CONTRIBUTE, manifest.slot)
            contributor = Contributor(info, self._accepted(), key, verify=self._verify)
            vector = self._with_noise(invited, prepared)
            message = contributor.contribute(files.committee, vector)
            device.odometer.charge(round_id, manifest.purpose, manifest.charge.mechanism, now)
            said = (asked.english, asked.chinese)
            ledger.write(self._store, ledger.sealed(milliseconds(now), manifest, said, vector))
            sent = contributor.state
            assert isinstance(sent, Sent)  # noqa: S101  # it has just contributed
            contributed = Contributed(self._records.boot, files.digest, message)
            joined = Joined(files.manifest, sent.leaf, claim_key(key.secret), sent.retraction)
            self._records.contribute(manifest.purposes, round_id, contributed, joined)
        return message

    def acknowledge(self, round_id: str) -> None:
        """Forget a message that arrived; it is not sent again."""
        with self._store.transaction():
            self._records.acknowledge(round_id)

    def _kept(self, round_id: str, files: RoundFiles) -> bytes | None:
        """Return the message that was made for these files, None where none was."""
        contributed = self._records.contributed(round_id)
        if contributed is None:
            self._require_new(round_id)
            return None
        if contributed.files != files.digest:
            raise ServerError(
                f"round {round_id!r} was asked for twice, with other files; nothing is sent",
                rule=Rule.STEP_ONCE,
            )
        return contributed.message

    def _require_new(self, round_id: str) -> None:
        if self._records.joined(round_id) is not None:
            raise ConsentError(
                f"this phone took part in round {round_id!r}: its message arrived, or the phone has started "
                "again since; it sends no other"
            )

    def _prepare(self, invited: OpenedManifest, files: RoundFiles) -> Prepared:
        """Let the round pass every check that needs no ticket, and keep the vector that is to be sent."""
        device, manifest = self._device, invited.manifest
        asked = self._asked(invited, files.documents)
        check(invited, asked, files.documents, device.profile)
        self._require_same_plan(invited)
        device.gate().require(*manifest.purposes)
        device.sync()
        device.gate().require(*manifest.purposes)
        require_delta(manifest, device.odometer.delta)
        checkpoint = device.consents.checkpoint
        device.registry.inclusion(leaf_hash(LEAF_MANIFEST + files.manifest), checkpoint)
        # No ticket is fetched here: the time of it would tell the registry who takes part.
        keys = device.registry.issuer(manifest.purposes, manifest.epoch, checkpoint).keys
        info = self._info(invited, keys)
        self._accepted().require(info)
        with self._store.transaction():
            kept = self._records.prepared(manifest.round_id)
            if kept is not None and kept.files == files.digest:
                return kept  # Another process prepared it meanwhile; the time that it drew counts.
            now = device.clock.now()
            device.odometer.require_room((manifest.charge, *manifest.to_come), now)
            device.gate().require(*manifest.purposes)
            windows = self._require_window(invited, now)
            for name, document in zip(asked.builds_on, files.documents, strict=False):
                device.releases.keep(name, document)
            vector = invited.encoding(asked).encode(asked.contribute(device.facts()))
            left = max(0, 1000 * windows.contribute - milliseconds(now))
            send_at = milliseconds(now) + self._below(left - left // MARGIN + 1)
            prepared = Prepared(
                self._records.boot, files.digest, keys, vector.astype("<i4").tobytes(), send_at
            )
            self._records.open(manifest.round_id, manifest.purposes, windows)
            self._records.prepare(manifest.round_id, prepared)
        return prepared

    def _require_same_plan(self, invited: OpenedManifest) -> None:
        """Refuse a step whose plan is not that of the step before, where this phone was in that one."""
        manifest = invited.manifest
        last = self._records.last(manifest.purposes)
        if last is None or digest_of(last.manifest) != manifest.previous:
            return
        if not manifest.follows(self._opened(last.manifest).manifest):
            raise ServerError(
                "the training's plan has changed since the step before; it is refused",
                rule=Rule.MANIFEST_PLAN,
            )

    def _with_noise(self, invited: OpenedManifest, prepared: Prepared) -> Elements:
        manifest = invited.manifest
        vector = np.frombuffer(prepared.vector, "<i4").astype(np.int64)
        noise = Skellam(noise_share(manifest.sigma, manifest.scale, manifest.honest))
        total: Elements = vector + noise.sample(len(vector))
        return total

    def _require_window(self, invited: OpenedManifest, now: datetime) -> Windows:
        """Return the round's windows; refuse a round that takes no contribution any more."""
        windows = invited.manifest.windows
        if windows is None or milliseconds(now) > 1000 * windows.contribute:
            raise ServerError(
                f"round {invited.manifest.round_id!r} takes no contribution any more", rule=Rule.STEP_WINDOW
            )
        return windows

    def _accepted(self) -> Accepted:
        """Return the committees that this phone takes part with: what app and profile say."""
        profile = self._device.profile
        named = [name.upper().split("+") for name in profile.committees]
        kinds = frozenset(tuple(Kind[each] for each in names) for names in named)
        return Accepted(self._device.trust.organisations, kinds, profile.least_pool)

    def _asked(self, invited: OpenedManifest, documents: Sequence[bytes]) -> Question:
        return question(invited.manifest.query, documents, self._device.trust.operator)

    def _info(self, invited: OpenedManifest, issuer_keys: IssuerKeys) -> RoundInfo:
        return invited.manifest.info(invited.digest, self._device.trust.registry, issuer_keys)

    def _opened(self, signed: bytes) -> OpenedManifest:
        manifest = open_manifest(signed, self._device.trust.operator, self._verify)
        return OpenedManifest(manifest, digest_of(signed))
