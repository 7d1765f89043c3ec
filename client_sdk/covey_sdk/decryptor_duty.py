"""A phone as a decryptor: it volunteers for a drawn committee, checks one set, opens the sum of its shares.

    duty = device.decryptor_duty()
    duty.volunteer(manifest)                        # before the round, with the sync of the epoch before
    number = duty.take_seat(round_id, committee_file)   # 0 where the draw did not name this phone
    complaints = duty.check(round_id, request)
    proof = duty.dispute(round_id, request)
    opening = duty.open(round_id, request)

Whether a phone volunteers depends on consent alone, never on its data, and what it does as a decryptor shows
nothing of its owner. Needs the extra `covey[decryptor]`, and witnesses: a decryptor believes no log without.
Keys and shares are kept for this start of the phone alone, and deleted once the sum is opened.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from covey_privacy import wire
from covey_privacy.errors import ServerError
from covey_privacy.protocol_rules import Rule
from covey_privacy.secagg import libsodium
from covey_privacy.secagg.committee import check_committees
from covey_privacy.secagg.decryptor import Decryptor, Opened
from covey_privacy.secagg.log_entries import LogView
from covey_privacy.secagg.terms import Kind
from covey_privacy.secagg.volunteer import DecryptorKeys, Offered, Volunteer
from covey_privacy.tickets import Role
from covey_sdk.clock import milliseconds
from covey_sdk.errors import ConsentError
from covey_sdk.manifest_check import OpenedManifest
from covey_sdk.round_admission import RoundAdmission
from covey_sdk.round_records import DecryptorRecord, RoundRecords
from covey_sdk.store import Store
from covey_sdk.ticket_store import TicketStore

T = TypeVar("T")


def _checked_before(*_: bytes) -> bool:
    """Believe the signatures in a committee file: they were checked when the seat was taken."""
    return True


class DecryptorDuty:
    """A device's part as a decryptor, made by `Device.decryptor_duty`; `boot_id` is as in `RoundClient`."""

    def __init__(
        self, *, store: Store, admission: RoundAdmission, tickets: TicketStore, boot_id: bytes
    ) -> None:
        self._store, self._admission, self._tickets = store, admission, tickets
        self._records = RoundRecords(store, boot_id)

    def volunteer(self, signed: bytes) -> None:
        """Offer to be a decryptor of the round of a signed manifest, under its ticket of role volunteer.

        The offer is kept until the registry has it: doing so again sends the same bytes, or nothing.

        Raises:
            ConsentError: a purpose is not allowed, there is no ticket, or the app names no witness.
            RegistryError: the registry cannot be reached, or refuses the offer.
            ServerError: the round draws no committee, or takes no volunteers any more.
            MisuseError: PyNaCl is not installed.
        """
        libsodium.require()
        self._log_view()
        opened = self._admission.open(signed)
        round_id = opened.manifest.round_id
        duty = self._records.duty(round_id) or self._offer(signed, opened)
        if duty.offer:
            self._admission.registry.volunteer(round_id, duty.offer)
            with self._store.transaction():
                # Another process may have taken the seat meanwhile.
                kept = self._records.duty(round_id)
                if kept is not None:
                    self._records.put_duty(round_id, replace(kept, offer=b""))

    def _offer(self, signed: bytes, opened: OpenedManifest) -> DecryptorRecord:
        """Make the offer and keep it, with the keys that it is for."""
        admission, manifest, round_id = self._admission, opened.manifest, opened.manifest.round_id
        admission.require_consent(manifest)
        admission.sync()
        keys = admission.logged_issuer_keys(signed, manifest)
        info = admission.round_info(opened, keys)
        if Kind.DRAWN not in info.terms.kinds:
            raise ServerError(f"round {round_id!r} draws no committee", rule=Rule.COMMITTEE_KIND)
        with self._store.transaction():
            kept = self._records.duty(round_id)
            if kept is not None:
                return kept  # Another process offered meanwhile.
            gate, windows = admission.gate(), manifest.windows
            gate.require(*manifest.purposes)
            if windows is None or milliseconds(gate.now) > 1000 * windows.volunteer:
                raise ServerError(f"round {round_id!r} takes no volunteer any more", rule=Rule.STEP_WINDOW)
            machine = Volunteer(info, self._tickets.take(keys, Role.VOLUNTEER, manifest.slot))
            offer = machine.volunteer()
            state = machine.state
            assert isinstance(state, Offered)  # noqa: S101  # it has just offered
            duty = DecryptorRecord(self._records.boot, signed, keys, offer, b"", wire.encode(state.keys))
            self._records.open(round_id, manifest.purposes, windows)
            self._records.put_duty(round_id, duty)
        return duty

    def take_seat(self, round_id: str, committee_file: bytes) -> int:
        """Return the number that the draw gave this phone, 0 where it named it not: its keys are deleted.

        Raises:
            ServerError: the committees are not those of the round, or others than before.
        """
        with self._store.transaction():
            duty = self._records.duty(round_id)
            if duty is None:
                return 0
            if duty.committee:
                if duty.committee != committee_file:
                    raise ServerError("the round had other committees before", rule=Rule.STEP_ONCE)
                return duty.seat
            info = self._admission.round_info(self._admission.open(duty.manifest), duty.issuer_keys)
            committees = check_committees(committee_file, info, self._admission.verify)
            volunteer = Volunteer(info, Offered(wire.decode(DecryptorKeys, duty.state)))
            keys = volunteer.drawn(committees)
            if keys is None:
                self._records.end_duty(round_id)
                return 0
            decryptor = Decryptor(info, committees, keys, self._log_view(), verify=self._admission.verify)
            seated = replace(duty, committee=committee_file, state=decryptor.dump(), seat=decryptor.number)
            self._records.put_duty(round_id, seated)
        return decryptor.number

    def check(self, round_id: str, request: bytes) -> bytes:
        """Return the complaints about the included set. See `Decryptor.check`."""
        return self._step(round_id, lambda decryptor, now: decryptor.check(request, now))

    def dispute(self, round_id: str, request: bytes) -> bytes | None:
        """Return the proof that a dealer is at fault, or None. See `Decryptor.dispute`."""
        return self._step(round_id, lambda decryptor, now: decryptor.dispute(request, now))

    def open(self, round_id: str, request: bytes) -> bytes:
        """Return the sum of the shares over the final set; no key or share is left. See `Decryptor.open`."""
        return self._step(round_id, lambda decryptor, now: decryptor.open(request, now))

    def _step(self, round_id: str, act: Callable[[Decryptor, int], T]) -> T:
        """Let the decryptor take a step, and keep where it stands before its answer is returned."""
        with self._store.transaction():
            duty = self._records.duty(round_id)
            if duty is None or not duty.committee:
                raise ConsentError(
                    f"this phone is no decryptor of round {round_id!r}, or has started again since it was"
                )
            opened, now = self._admission.open(duty.manifest), int(self._admission.now().timestamp())
            manifest, info = opened.manifest, self._admission.round_info(opened, duty.issuer_keys)
            state = Decryptor.load(duty.state)
            if not isinstance(state, Opened):
                self._admission.require_consent(manifest)
                if manifest.windows is None or now > manifest.windows.open:
                    self._records.end_duty(round_id)
                    raise ServerError(
                        f"round {round_id!r} is over; its keys are deleted", rule=Rule.STEP_WINDOW
                    )
            committees = check_committees(duty.committee, info, _checked_before)
            decryptor = Decryptor(info, committees, state, self._log_view(), verify=self._admission.verify)
            answer = act(decryptor, now)
            self._records.put_duty(round_id, replace(duty, state=decryptor.dump()))
        return answer

    def _log_view(self) -> LogView:
        view = self._admission.trust.log_view
        if view is None:
            raise ConsentError("this app names no witness of the log, so its phones are no decryptors")
        return view
