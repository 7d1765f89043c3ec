"""The decryptor's decisions: which rounds get a seat, and the one answer to each step of a round.

Box keys and shares are in this object's memory alone. They are dropped after the opening, when a window
closes, and by `close`. After a restart a round that had a seat is answered `AbsentError`: the committee
bears one absence.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Lock

from covey_privacy import wire
from covey_privacy.errors import PeerError, ServerError
from covey_privacy.manifest import Manifest, Windows, open_manifest
from covey_privacy.protocol_rules import Rule
from covey_privacy.registry_messages import LEAF_MANIFEST
from covey_privacy.secagg.committee import check_committees
from covey_privacy.secagg.decryptor import Checked, Decryptor
from covey_privacy.secagg.keys import verify
from covey_privacy.secagg.messages import CHECK_LIMIT, LEAF_SIZE, Opening, OpenRequest
from covey_privacy.secagg.terms import RoundInfo
from covey_privacy.secagg.volunteer import DecryptorKeys, offer_seat
from covey_privacy.signatures import SigningKey, digest_of
from covey_server.decryptor.errors import AbsentError, UnknownRoundError
from covey_server.decryptor.messages import (
    COMMITTEE_LIMIT,
    OPEN_LIMIT,
    SEAT_LIMIT,
    CommitteeCheck,
    SeatRequest,
    check_statement,
)
from covey_server.decryptor.sites import Site
from covey_server.decryptor.state import LONGEST, SeatRecord, State

TOLERANCE = 60
"""Seconds that the coordinator's clock and this one may differ, on either side of a window."""


@dataclass(slots=True)
class _Seated:
    """A round in memory. `keys` and `machine` hold secrets, until the opening or the end of a window."""

    site: Site
    info: RoundInfo
    windows: Windows
    seat: bytes
    keys: DecryptorKeys | None
    machine: Decryptor | None = None
    committees: bytes = b""
    lock: Lock = field(default_factory=Lock)

    def erase(self, now: int) -> None:
        """Drop keys and shares."""
        if self.machine is not None:
            self.machine.expire(now)
        self.keys = self.machine = None


class DecryptorService:
    """One key's seats in the rounds of the shops that it serves. Every method may be called by any thread."""

    def __init__(
        self, key: SigningKey, sites: Sequence[Site], state: State, clock: Callable[[], float]
    ) -> None:
        self.key, self.sites, self.state = key, tuple(sites), state
        self._clock = clock
        self._rounds: dict[bytes, _Seated] = {}
        self._lock = Lock()

    def seat(self, request: bytes) -> bytes:
        """Return the signed `Seat` for a `SeatRequest`; asked again, the same bytes.

        Raises:
            PeerError: no operator that is served signed the manifest, or the request is malformed.
            ServerError: the manifest is not logged, below a floor, not for this key or out of its window, or
                another manifest of the round has a seat.
            AbsentError: the seat was given before a restart.
        """
        message = wire.decode(SeatRequest, request, SEAT_LIMIT)
        site, manifest = self._open_manifest(message.manifest)
        digest, now = digest_of(message.manifest), self._now()
        info = manifest.info(digest, site.document.registry, message.issuer)
        assert manifest.windows is not None  # noqa: S101  # `info` refuses a manifest without
        _require_window(now, "seat", 0, manifest.windows.contribute)
        self._require_for_us(site, info)
        site.floors.require(manifest, info.terms)
        self._require_end(manifest.windows.open, now)
        site.log.require_entry(LEAF_MANIFEST + message.manifest, message.logged, now)
        with self._lock:
            known = self._rounds.get(digest)
            if known is not None:
                return known.seat
            keys, seat = offer_seat(digest, self.key.secret)
            given = wire.encode(seat)
            record = SeatRecord(
                digest, site.operator, manifest.round_id, site.document.name, manifest.query,
                manifest.purpose, manifest.epsilon, manifest.windows.open, given,
            )  # fmt: skip
            if not self.state.give_seat(record, now):
                raise _absent()
            self._rounds[digest] = _Seated(site, info, manifest.windows, given, keys)
            return given

    def check(self, digest: bytes, request: bytes) -> bytes:
        """Return the signed `Complaints` for a `CommitteeCheck`; asked again, the same bytes.

        Raises:
            PeerError: the request or a committee in it is malformed, or the operator did not sign it.
            ServerError: out of the window, another committee or set than before, or what
                `Decryptor.check` refuses.
            UnknownRoundError, AbsentError: this decryptor has no box key of the round.
        """
        seated = self._find(digest)
        with seated.lock:
            now = self._now()
            _require_window(now, "check", seated.windows.contribute, seated.windows.check)
            message = wire.decode(CommitteeCheck, request, CHECK_LIMIT)
            statement = check_statement(digest, message.committees, message.request)
            if not verify(seated.site.operator, statement, message.signature):
                raise PeerError("the check is not signed by the operator", rule=Rule.DOCUMENT_SIGNATURE)
            machine = seated.machine
            if machine is None:
                if seated.keys is None:
                    raise _absent()
                committees = check_committees(message.committees, seated.info)
                machine = Decryptor(seated.info, committees, seated.keys, seated.site.log)
            elif message.committees != seated.committees:
                raise ServerError(
                    "this decryptor checked a set under another committee file in this round",
                    rule=Rule.STEP_ONCE,
                )
            answer = machine.check(message.request, now)
            seated.machine, seated.committees = machine, message.committees
            checked = machine.state
            if isinstance(checked, Checked):
                said = checked.answer
                self.state.keep_check(
                    digest, checked.request, said.root, len(checked.leaves) // LEAF_SIZE,
                    len(said.members), now,
                )  # fmt: skip
            return answer

    def open(self, digest: bytes, request: bytes) -> bytes:
        """Return the signed `Opening` for an `OpenRequest`; asked again, the same bytes.

        Keys and shares are gone before the answer leaves.

        Raises:
            PeerError: the request is malformed.
            ServerError: out of the window, no set was checked, another sum was opened, or what
                `Decryptor.open` refuses.
            UnknownRoundError, AbsentError: this decryptor has no box key of the round.
        """
        seated = self._find(digest)
        with seated.lock:
            now = self._now()
            _require_window(now, "open", seated.windows.contribute, seated.windows.open)
            if seated.machine is None:
                raise ServerError(
                    "this decryptor checked no set in this round; `check` comes before `open`",
                    rule=Rule.STEP_ORDER,
                )
            message = wire.decode(OpenRequest, request, OPEN_LIMIT)
            answer = seated.machine.open(request, now)
            seated.keys = None
            head = wire.decode(Opening, answer).head
            asked = hashlib.sha256(request).digest()
            self.state.keep_opening(digest, asked, head, len(message.excluded), now)
            return answer

    def check_limit(self, digest: bytes) -> int:
        """Return how many bytes a `CommitteeCheck` of that round may have.

        Raises UnknownRoundError or AbsentError, so that no body of another round is read.
        """
        terms = self._find(digest).info.terms
        chunks = terms.standing.chunks(terms.length) if terms.standing else 0
        a_member = LEAF_SIZE + 12 + 4 * (chunks + 3) + 16
        return min(CHECK_LIMIT, COMMITTEE_LIMIT + 2**18 + a_member * terms.most)

    def expire(self) -> None:
        """Drop keys and shares of rounds whose window has closed, asked or not."""
        now = self._now()
        with self._lock:
            rounds = list(self._rounds.items())
        for digest, seated in rounds:
            with seated.lock:
                windows, unchecked = seated.windows, seated.machine is None
                if now > (windows.check if unchecked else windows.open) + TOLERANCE:
                    seated.erase(now)
            if now > windows.open + TOLERANCE:
                with self._lock:
                    self._rounds.pop(digest, None)

    def secrets_held(self) -> int:
        """Return of how many rounds box key or shares are in memory."""
        with self._lock:
            return sum(each.keys is not None for each in self._rounds.values())

    def close(self) -> None:
        """Drop all keys and shares, and close the state."""
        with self._lock:
            rounds = list(self._rounds.values())
            self._rounds.clear()
        for seated in rounds:
            with seated.lock:
                seated.erase(self._now())
        self.state.close()

    def _now(self) -> int:
        return int(self._clock())

    def _find(self, digest: bytes) -> _Seated:
        with self._lock:
            seated = self._rounds.get(digest)
        if seated is not None:
            return seated
        record = self.state.find(digest)
        if record is None:
            raise UnknownRoundError(
                f"this decryptor gave no seat for the manifest {digest.hex()}; ask POST /v1/seats for one"
            )
        _require_window(self._now(), "open", 0, record.closes)
        raise _absent()

    def _open_manifest(self, signed: bytes) -> tuple[Site, Manifest]:
        for site in self.sites:
            try:
                return site, open_manifest(signed, site.operator, verify)
            except PeerError as error:
                if error.rule is not Rule.DOCUMENT_SIGNATURE:
                    raise
        raise PeerError(
            "no operator that this decryptor serves signed the manifest; nothing in it is used",
            rule=Rule.DOCUMENT_SIGNATURE,
        )

    def _require_for_us(self, site: Site, info: RoundInfo) -> None:
        organisations = info.terms.organisations
        if self.key.public not in organisations:
            raise ServerError(
                f"the manifest names no seat for the key {self.key.public.hex()}", rule=Rule.COMMITTEE_MEMBERS
            )
        if not site.document.organisation_keys.issuperset(organisations):
            raise ServerError(
                "the manifest names an organisation that the shop's site document does not pin; a newer "
                "document may be needed here",
                rule=Rule.COMMITTEE_MEMBERS,
            )

    def _require_end(self, closes: int, now: int) -> None:
        if closes > now + LONGEST:
            raise ServerError(
                f"the round ends in {closes - now} seconds; a seat is given for {LONGEST} at most",
                rule=Rule.STEP_WINDOW,
            )
        if closes <= self.state.serves_after:
            raise ServerError(
                "this decryptor's state was restored, and it may have had a seat in this round before; it "
                f"takes seats in rounds that end after {self.state.serves_after} (POSIX seconds)",
                rule=Rule.STEP_WINDOW,
            )


def _require_window(now: int, step: str, begins: int, ends: int) -> None:
    if now < begins - TOLERANCE:
        raise ServerError(
            f"{step} is too early by {begins - now} seconds: its window begins at {begins} (POSIX seconds)",
            rule=Rule.STEP_WINDOW,
        )
    if now > ends + TOLERANCE:
        raise ServerError(
            f"{step} is too late by {now - ends} seconds: its window ended at {ends} (POSIX seconds)",
            rule=Rule.STEP_WINDOW,
        )


def _absent() -> AbsentError:
    return AbsentError("this decryptor was started again; it is absent from this round")
