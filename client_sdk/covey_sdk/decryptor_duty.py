"""A phone as a decryptor: it volunteers for a drawn committee, checks one set, opens the sum of its shares.

    duty = DecryptorDuty(device)
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
from typing import TYPE_CHECKING, TypeVar

from covey_privacy import wire
from covey_privacy.errors import ServerError
from covey_privacy.manifest import Manifest, open_manifest
from covey_privacy.merkle import leaf_hash
from covey_privacy.protocol_rules import Rule
from covey_privacy.registry_messages import LEAF_MANIFEST
from covey_privacy.secagg import libsodium
from covey_privacy.secagg.committee import check_committees
from covey_privacy.secagg.decryptor import Decryptor, Opened
from covey_privacy.secagg.keys import verify
from covey_privacy.secagg.log_entries import LogView
from covey_privacy.secagg.terms import Kind, RoundInfo
from covey_privacy.secagg.volunteer import DecryptorKeys, Offered, Volunteer
from covey_privacy.signatures import Verify, digest_of
from covey_privacy.tickets import IssuerKeys, Role
from covey_sdk.boot_id import current_boot_id
from covey_sdk.clock import milliseconds
from covey_sdk.errors import ConsentError
from covey_sdk.round_records import DecryptorRecord, RoundRecords
from covey_sdk.ticket_store import TicketStore

if TYPE_CHECKING:
    from covey_sdk.device import Device

T = TypeVar("T")


def _checked_before(*_: bytes) -> bool:
    """Believe the signatures in a committee file: they were checked when the seat was taken."""
    return True


class DecryptorDuty:
    """A device's part as a decryptor. `verify` and `boot_id` are as in `RoundClient`."""

    def __init__(
        self,
        device: Device,
        *,
        verify: Verify = verify,
        boot_id: bytes | None = None,
    ) -> None:
        self._device, self._store = device, device.store
        self._verify = verify
        self._records = RoundRecords(device.store, boot_id or current_boot_id())
        self._wallet = TicketStore(device.store, device.key)

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
        device, manifest = self._device, open_manifest(signed, self._device.trust.operator, self._verify)
        duty = self._records.duty(manifest.round_id) or self._offer(signed, manifest)
        if duty.offer:
            device.registry.volunteer(manifest.round_id, duty.offer)
            with self._store.transaction():
                # Another process may have taken the seat meanwhile.
                kept = self._records.duty(manifest.round_id)
                if kept is not None:
                    self._records.put_duty(manifest.round_id, replace(kept, offer=b""))

    def _offer(self, signed: bytes, manifest: Manifest) -> DecryptorRecord:
        """Make the offer and keep it, with the keys that it is for."""
        device, round_id = self._device, manifest.round_id
        device.gate().require(*manifest.purposes)
        device.sync()
        checkpoint = device.consents.checkpoint
        device.registry.inclusion(leaf_hash(LEAF_MANIFEST + signed), checkpoint)
        keys = device.registry.issuer(manifest.purposes, manifest.epoch, checkpoint).keys
        info = manifest.info(digest_of(signed), device.trust.registry, keys)
        if Kind.DRAWN not in info.terms.kinds:
            raise ServerError(f"round {round_id!r} draws no committee", rule=Rule.COMMITTEE_KIND)
        with self._store.transaction():
            kept = self._records.duty(round_id)
            if kept is not None:
                return kept  # Another process offered meanwhile.
            now, windows = device.clock.now(), manifest.windows
            device.gate().require(*manifest.purposes)
            if windows is None or milliseconds(now) > 1000 * windows.volunteer:
                raise ServerError(f"round {round_id!r} takes no volunteer any more", rule=Rule.STEP_WINDOW)
            machine = Volunteer(info, self._wallet.take(keys, Role.VOLUNTEER, manifest.slot))
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
            info = self._info(duty.manifest, duty.issuer_keys)
            committees = check_committees(committee_file, info, self._verify)
            volunteer = Volunteer(info, Offered(wire.decode(DecryptorKeys, duty.state)))
            keys = volunteer.drawn(committees)
            if keys is None:
                self._records.end_duty(round_id)
                return 0
            decryptor = Decryptor(info, committees, keys, self._log_view(), verify=self._verify)
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
            info = self._info(duty.manifest, duty.issuer_keys)
            now = int(self._device.clock.now().timestamp())
            manifest = open_manifest(duty.manifest, self._device.trust.operator, self._verify)
            state = Decryptor.load(duty.state)
            if not isinstance(state, Opened):
                self._device.gate().require(*manifest.purposes)
                if manifest.windows is None or now > manifest.windows.open:
                    self._records.end_duty(round_id)
                    raise ServerError(
                        f"round {round_id!r} is over; its keys are deleted", rule=Rule.STEP_WINDOW
                    )
            committees = check_committees(duty.committee, info, _checked_before)
            decryptor = Decryptor(info, committees, state, self._log_view(), verify=self._verify)
            answer = act(decryptor, now)
            self._records.put_duty(
                round_id,
                replace(duty, state=decryptor.dump()),
            )
        return answer

    def _log_view(self) -> LogView:
        trust = self._device.trust
        if trust.policy is None:
            raise ConsentError("this app names no witness of the log, so its phones are no decryptors")
        return LogView(trust.origin, trust.registry, trust.policy)

    def _info(self, signed: bytes, issuer_keys: IssuerKeys) -> RoundInfo:
        manifest = open_manifest(signed, self._device.trust.operator, self._verify)
        return manifest.info(digest_of(signed), self._device.trust.registry, issuer_keys)
