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

import numpy as np

from covey_models import Question
from covey_privacy.certificate import claim_key
from covey_privacy.dp import Skellam, noise_share
from covey_privacy.errors import ServerError
from covey_privacy.floors import FloorProfile
from covey_privacy.manifest import Windows
from covey_privacy.protocol_rules import Rule
from covey_privacy.round_files import RoundFiles
from covey_privacy.secagg.contributor import Accepted, Contributor, Sent
from covey_privacy.secagg.field import Elements
from covey_privacy.secagg.terms import Kind
from covey_privacy.signatures import digest_of
from covey_privacy.tickets import Role
from covey_sdk import ledger
from covey_sdk.clock import milliseconds, moment
from covey_sdk.errors import ConsentError
from covey_sdk.log_state import LogState
from covey_sdk.manifest_check import OpenedManifest, check_manifest, require_delta
from covey_sdk.odometer import Odometer
from covey_sdk.profile import Profile
from covey_sdk.questions import make_question
from covey_sdk.releases import Releases
from covey_sdk.round_admission import RoundAdmission
from covey_sdk.round_records import Contributed, Joined, Prepared, RoundRecords
from covey_sdk.store import Store
from covey_sdk.ticket_store import TicketStore

MARGIN = 8
"""No message is planned for the last eighth of a window: it may have to be sent again."""


class RoundClient:
    """A device's part in rounds, made by `Device.round_client`.

    Args:
        odometer: gives the odometer under the notices that are in force when it is called.
        boot_id: 32 bytes that tell one start of the phone from another.
        below: `below(n)` gives a number from 0 to n - 1, by which the time to send is drawn.
    """

    def __init__(
        self,
        *,
        store: Store,
        log: LogState,
        admission: RoundAdmission,
        tickets: TicketStore,
        odometer: Callable[[], Odometer],
        releases: Releases,
        profile: Profile,
        floors: FloorProfile,
        boot_id: bytes,
        below: Callable[[int], int] = secrets.randbelow,
    ) -> None:
        self._store, self._log, self._admission, self._tickets = store, log, admission, tickets
        self._odometer, self._releases, self._profile, self._floors = odometer, releases, profile, floors
        self._records, self._below = RoundRecords(store, boot_id), below

    def prepare(self, files: RoundFiles) -> datetime:
        """Check a round and all that it rests on, and work out the vector; return when to send it.

        A message that was made for these files and not acknowledged is to be sent again now.

        Raises:
            ServerError: the manifest asks for less than the phone's floors, or for something else.
            ConsentError: a purpose is not allowed, or the phone took part before.
            BudgetError: the round would pass a cap of the notices.
        """
        opened = self._admission.open(files.manifest)
        round_id = opened.manifest.round_id
        prepared = self._records.prepared(round_id)
        if prepared is None or prepared.files != files.digest:
            if self._kept(round_id, files) is not None:
                return self._admission.now()  # The app ended before its message was acknowledged.
            prepared = self._prepare(opened, files)
        return moment(prepared.send_at)

    def contribute(self, files: RoundFiles) -> bytes:
        """Return the one message of this phone. Ledger and odometer are written before it is returned.

        The same files again give the same bytes, until `acknowledge`; what was not prepared is prepared.

        Raises:
            ServerError: as `prepare`; or the committees are not those of the round.
            ConsentError: as `prepare`; or there is no ticket for the round's slot.
            BudgetError: as `prepare`.
        """
        opened = self._admission.open(files.manifest)
        manifest, round_id = opened.manifest, opened.manifest.round_id
        if (kept := self._kept(round_id, files)) is not None:
            return kept
        if (prepared := self._records.prepared(round_id)) is None or prepared.files != files.digest:
            self.prepare(files)
        else:
            self._admission.sync()
        question = self._question(opened, files.documents)
        with self._store.transaction():
            # Another process of the app may have contributed, or withdrawn a purpose, meanwhile.
            if (kept := self._kept(round_id, files)) is not None:
                return kept
            now, odometer = self._admission.now(), self._odometer()
            self._log.require_unforked()
            self._admission.require_consent(manifest)
            require_delta(manifest, odometer.delta)
            self._require_window(opened, now)
            prepared = self._records.prepared(round_id)
            if prepared is None:
                raise ConsentError(f"what was prepared for round {round_id!r} was deleted; prepare it again")
            info = self._admission.round_info(opened, prepared.issuer_keys)
            key = self._tickets.take(prepared.issuer_keys, Role.CONTRIBUTE, manifest.slot)
            contributor = Contributor(info, self._accepted(), key, verify=self._admission.verify)
            vector = self._with_noise(opened, prepared)
            message = contributor.contribute(files.committee, vector)
            odometer.charge(round_id, manifest.purpose, manifest.charge.mechanism, now)
            said = (question.english, question.chinese)
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

    def _prepare(self, opened: OpenedManifest, files: RoundFiles) -> Prepared:
        """Let the round pass every check that needs no ticket, and keep the vector that is to be sent."""
        admission, manifest = self._admission, opened.manifest
        question = self._question(opened, files.documents)
        check_manifest(opened, question, files.documents, self._floors)
        self._require_same_plan(opened)
        admission.require_consent(manifest)
        admission.sync()
        admission.require_consent(manifest)
        require_delta(manifest, self._odometer().delta)
        keys = admission.logged_issuer_keys(files.manifest, manifest)
        info = admission.round_info(opened, keys)
        self._accepted().require(info)
        with self._store.transaction():
            kept = self._records.prepared(manifest.round_id)
            if kept is not None and kept.files == files.digest:
                return kept  # Another process prepared it meanwhile; the time that it drew counts.
            gate = admission.gate()
            self._odometer().require_room((manifest.charge, *manifest.to_come), gate.now)
            gate.require(*manifest.purposes)
            windows = self._require_window(opened, gate.now)
            for name, document in zip(question.builds_on, files.documents, strict=False):
                self._releases.keep(name, document)
            vector = opened.encoding(question).encode(question.contribute(self._profile.facts(gate)))
            left = max(0, 1000 * windows.contribute - milliseconds(gate.now))
            send_at = milliseconds(gate.now) + self._below(left - left // MARGIN + 1)
            prepared = Prepared(
                self._records.boot, files.digest, keys, vector.astype("<i4").tobytes(), send_at
            )
            self._records.open(manifest.round_id, manifest.purposes, windows)
            self._records.prepare(manifest.round_id, prepared)
        return prepared

    def _require_same_plan(self, opened: OpenedManifest) -> None:
        """Refuse a step whose plan is not that of the step before, where this phone was in that one."""
        manifest = opened.manifest
        last = self._records.last(manifest.purposes)
        if last is None or digest_of(last.manifest) != manifest.previous:
            return
        if not manifest.follows(self._admission.open(last.manifest).manifest):
            raise ServerError(
                "the training's plan has changed since the step before; it is refused",
                rule=Rule.MANIFEST_PLAN,
            )

    def _with_noise(self, opened: OpenedManifest, prepared: Prepared) -> Elements:
        manifest = opened.manifest
        vector = np.frombuffer(prepared.vector, "<i4").astype(np.int64)
        noise = Skellam(noise_share(manifest.sigma, manifest.scale, manifest.honest))
        total: Elements = vector + noise.sample(len(vector))
        return total

    def _require_window(self, opened: OpenedManifest, now: datetime) -> Windows:
        """Return the round's windows; refuse a round that takes no contribution any more."""
        windows = opened.manifest.windows
        if windows is None or milliseconds(now) > 1000 * windows.contribute:
            raise ServerError(
                f"round {opened.manifest.round_id!r} takes no contribution any more", rule=Rule.STEP_WINDOW
            )
        return windows

    def _accepted(self) -> Accepted:
        """Return the committees that this phone takes part with: what app and floors say."""
        named = [name.upper().split("+") for name in self._floors.committees]
        kinds = frozenset(tuple(Kind[each] for each in names) for names in named)
        return Accepted(self._admission.trust.organisations, kinds, self._floors.least_pool)

    def _question(self, opened: OpenedManifest, documents: Sequence[bytes]) -> Question:
        return make_question(opened.manifest.query, documents, self._admission.trust.operator)
