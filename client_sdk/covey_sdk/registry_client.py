"""The consent registry over HTTP: what it answers is checked here, and believed nowhere else."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from covey_privacy import wire
from covey_privacy.checkpoint import Checkpoint, open_note
from covey_privacy.errors import ForkError, PrivacyError, ServerError
from covey_privacy.merkle import Proof, leaf_hash, verify_consistency, verify_inclusion
from covey_privacy.protocol_rules import Rule
from covey_privacy.registry_messages import (
    LEAF_ISSUER,
    NOTICE,
    Batch,
    BlindSignatures,
    Entries,
    Inclusion,
    Issuer,
    Notice,
    Notices,
    Synced,
)
from covey_privacy.secagg.messages import Leaf, unpack_leaves
from covey_privacy.secagg.notary_messages import RoundEntries, SetLeaves
from covey_privacy.secagg.terms import MOST_MEMBERS
from covey_privacy.signatures import Verify, open_signed, verify
from covey_privacy.split_view import follow
from covey_privacy.tickets import purpose_set
from covey_privacy.tiles import Tile
from covey_sdk.errors import RegistryError, RegistryForkError
from covey_sdk.registry_http import RegistryHttp
from covey_sdk.trust import Trust

if TYPE_CHECKING:
    import httpx

PAGE_ENTRIES = 1024
PAGE_BYTES = 2**20 + 2**13
"""Entries of the log that are asked for at once, and bytes of the answer: 1 MiB and each entry's length."""
SET_BYTES = 128 * MOST_MEMBERS + 2**4
ROUND_BYTES = 2**22
"""Bytes of a set's leaves, and of all that the registry signed in a round, at most."""
LATEST = 2**40
"""No epoch's number, and no time in Unix seconds, is as great."""
MOST_REMEMBERED = 64
"""Signatures on notes whose outcome is remembered: an unchanged note is checked once."""

NOT_FOUND = 404

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Epoch:
    """The current epoch, in Unix seconds: phones fetch its tickets from `begins_at` until `fetch_until`."""

    number: int
    begins_at: int
    fetch_until: int
    ends_at: int


class RegistryClient:
    """A registry behind `client`, whose base_url is the registry's. One object may serve many devices.

    `enrolment_token` is the access token that the shop's server gave the app for its signed-in user; it goes
    with enrolments alone, which make the device that user's.
    """

    def __init__(
        self,
        client: httpx.Client,
        trust: Trust,
        verify: Verify = verify,
        *,
        enrolment_token: str | None = None,
    ) -> None:
        self.trust = trust
        self._enrolment_token = enrolment_token
        self._http = RegistryHttp(client)
        self._verify = verify
        self._verify_note = functools.lru_cache(MOST_REMEMBERED)(verify)
        self._notices: tuple[bytes, Mapping[str, Notice]] = (b"", {})
        self._issuers: dict[tuple[tuple[str, ...], int], Issuer] = {}
        self._indices: dict[tuple[bytes, Checkpoint], int] = {}

    def notices(self, digest: bytes = b"") -> Mapping[str, Notice]:
        """Return the current notices by purpose, each signed by the registry.

        Nothing is downloaded where the last download has the `digest` that a sync told of.
        """
        if hashlib.sha256(self._notices[0]).digest() == digest:
            return self._notices[1]
        answer = self._http.get("/v1/notices")
        if answer != self._notices[0]:
            with believing("notices"):
                opened = [self._notice(signed) for signed in wire.decode(Notices, answer).notices]
            self._notices = (answer, {notice.purpose: notice for notice in opened})
        return self._notices[1]

    def enrol(self, batch: Batch) -> None:
        """Make devices known."""
        token = self._enrolment_token
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http.post("/v1/enrolments", wire.encode(batch), headers)

    def decide(self, batch: Batch) -> None:
        """Hand over signed decisions."""
        self._http.post("/v1/decisions", wire.encode(batch))

    def send_farewell(self, farewell: bytes) -> None:
        """Send what `Device.erase` or `Device.farewell` returned. Sending it again does no harm."""
        if farewell:
            self._http.post("/v1/decisions", farewell)

    def sync(self, signed: bytes, last: Checkpoint, seen: str, now: int) -> tuple[Synced, Checkpoint]:
        """Return the standing choices and the log's head, which continues `last`.

        `signed` is a signed Sync whose `log_size` is the size of `last`; `seen` is the note of `last`, ""
        where it was not kept; `now` is in POSIX seconds. Raises RegistryForkError, with the evidence, where
        the head does not continue the note.
        """
        answer = self._http.post("/v1/sync", signed)
        with believing("sync"):
            synced = wire.decode(Synced, answer)
            head = self._followed(synced.checkpoint, synced.consistency, last, seen)
            if self.trust.policy:
                self.trust.policy.check(synced.checkpoint, now, self._verify_note)
        return synced, head

    def epoch(self) -> Epoch:
        """Return the current epoch. Raises RegistryError where its times make no sense."""
        try:
            answer: Any = json.loads(self._http.get("/v1/epoch"))
            epoch = Epoch(*(answer[name] for name in ("epoch", "begins_at", "fetch_until", "ends_at")))
        except (ValueError, RecursionError, KeyError, TypeError):
            raise RegistryError("the registry's epoch cannot be read: it is not the JSON expected") from None
        times = (epoch.number, epoch.begins_at, epoch.fetch_until, epoch.ends_at)
        if not all(type(at) is int and 0 <= at < LATEST for at in times):
            raise RegistryError(f"the registry's epoch is {times}; whole numbers below 2^40 were expected")
        if not epoch.begins_at < epoch.fetch_until <= epoch.ends_at:
            raise RegistryError(f"the registry's epoch has its times in another order: {times}")
        return epoch

    def issuer(self, purposes: Iterable[str], epoch: int, checkpoint: Checkpoint) -> Issuer:
        """Return the keys that certify tickets for these purposes, once they are proven to be in the log."""
        issuer = self._issuer((purpose_set(purposes), epoch))
        if self.inclusion(leaf_hash(LEAF_ISSUER + wire.encode(issuer.keys)), checkpoint) != issuer.index:
            raise RegistryError(
                f"the issuer keys do not stand at {issuer.index} in the log, as the registry says",
                rule=Rule.LOG_INCLUSION,
            )
        return issuer

    def issuer_index(self, purposes: Iterable[str], epoch: int) -> int:
        """Return where the registry says that these keys stand in the log; `issuer` has it proven."""
        return self._issuer((purpose_set(purposes), epoch)).index

    def _issuer(self, name: tuple[tuple[str, ...], int]) -> Issuer:
        if name not in self._issuers:
            epoch = name[1]
            answer = self._http.get(f"/v1/issuers/{epoch}/{'+'.join(name[0])}")
            with believing("issuer keys"):
                issuer = wire.decode(Issuer, answer)
                issuer.keys.require_sound()
            if (issuer.keys.purposes, issuer.keys.epoch) != name:
                raise RegistryError(
                    f"issuer keys for {' + '.join(name[0])}, epoch {epoch}, were expected; others came",
                    rule=Rule.ISSUER_KEY,
                )
            self._issuers[name] = issuer
        return self._issuers[name]

    def volunteer(self, round_id: str, offer: bytes) -> None:
        """Hand over an offer to be a decryptor of a round; it carries a ticket, and nothing of the device."""
        self._http.post(f"/v1/rounds/{round_id}/volunteers", offer)

    def retract(self, round_id: str, retraction: bytes) -> None:
        """Keep a round key out of a round, if no set with it was signed yet."""
        self._http.post(f"/v1/rounds/{round_id}/retractions", retraction)

    def tickets(self, signed: bytes) -> BlindSignatures:
        """Return the blind signatures that answer a signed TicketRequest."""
        answer = self._http.post("/v1/tickets", signed)
        with believing("tickets"):
            return wire.decode(BlindSignatures, answer)

    def inclusion(self, leaf: bytes, checkpoint: Checkpoint) -> int:
        """Return where the leaf of that hash stands in the log, once it is proven under `checkpoint`."""
        if (leaf, checkpoint) not in self._indices:
            answer = self._proof_of(leaf, checkpoint)
            with believing("inclusion proof"):
                inclusion = wire.decode(Inclusion, answer)
                verify_inclusion(leaf, inclusion.index, checkpoint.size, inclusion.proof, checkpoint.root)
            self._indices[leaf, checkpoint] = inclusion.index
        return self._indices[leaf, checkpoint]

    def checkpoint(self, now: int) -> tuple[str, Checkpoint]:
        """Return the newest checkpoint: its note, which enough witnesses cosigned of late, and its head.

        `now` is in POSIX seconds. Whether it continues the one seen last is for `require_continued` to say.
        """
        answer = self._http.get("/v1/log/checkpoint")
        with believing("checkpoint"):
            try:
                note = answer.decode()
            except UnicodeDecodeError:
                raise ServerError("it is not a text", rule=Rule.NOTE_FORM) from None
            head = open_note(note, self.trust.registry, self._verify_note)
            if self.trust.policy:
                self.trust.policy.check(note, now, self._verify_note)
        return note, head

    def require_continued(self, note: str, proof: Proof, last: Checkpoint, seen: str) -> None:
        """Raise RegistryForkError, with the evidence, unless the log of `note` continues the one seen last.

        `last` and `seen` are as in `sync`; `proof` is the consistency proof from the size of `last`.
        """
        with believing("log"):
            self._followed(note, proof, last, seen)

    def tile(self, tile: Tile) -> bytes:
        """Return a tile of the log as it is served; `tiles.Reader` holds it against a checkpoint."""
        return self._http.get(f"/{tile.path}")

    def entries(self, start: int, end: int) -> tuple[bytes, ...]:
        """Return log entries from `start`, at least one and none from `end` on, as they are served.

        Ask on from where the answer ends. The caller holds the entries against a checkpoint.
        """
        answer = self._http.get(
            "/v1/log/entries", most=PAGE_BYTES, start=start, end=min(end, start + PAGE_ENTRIES)
        )
        with believing("log entries"):
            entries = wire.decode(Entries, answer).entries
            if not 0 < len(entries) <= end - start:
                raise ServerError(
                    f"entries {start} to {end} were asked for; {len(entries)} came", rule=Rule.LOG_INCLUSION
                )
        return entries

    def round_entries(self, round_id: str) -> RoundEntries:
        """Return what the registry says that it logged of a round; nothing of it is verified."""
        answer = self._http.get(f"/v1/rounds/{round_id}", most=ROUND_BYTES)
        with believing("round"):
            return wire.decode(RoundEntries, answer)

    def set_leaves(self, root: bytes) -> list[Leaf]:
        """Return the leaves of a signed set as they are served; `LeafSet` holds them against its head."""
        try:
            answer = self._http.get(f"/v1/sets/{root.hex()}", most=SET_BYTES)
        except RegistryError as error:
            if error.status == NOT_FOUND:
                raise RegistryError(str(error), rule=Rule.LEAVES, status=NOT_FOUND) from None
            raise
        with believing("leaves"):
            return unpack_leaves(wire.decode(SetLeaves, answer).leaves)

    def _followed(self, note: str, proof: Proof, last: Checkpoint, seen: str) -> Checkpoint:
        seen = seen if self._is_note_of(last, seen) else ""
        head = follow(seen, note, proof, self.trust.registry, self._verify_note)
        if head.origin != self.trust.origin:
            raise ServerError(
                f"the log is {head.origin!r}; {self.trust.origin!r} was expected", rule=Rule.LOG_ORIGIN
            )
        if last.size and not seen:
            verify_consistency(last.size, last.root, head.size, head.root, proof)
        return head

    def _is_note_of(self, last: Checkpoint, seen: str) -> bool:
        """Say whether the note can accuse: it is of `last`, and the key that is pinned now signed it."""
        try:
            return open_note(seen, self.trust.registry, self._verify_note) == last
        except ServerError:
            return False

    def _proof_of(self, leaf: bytes, checkpoint: Checkpoint) -> bytes:
        try:
            return self._http.get(f"/v1/log/inclusion/{leaf.hex()}", size=checkpoint.size)
        except RegistryError as error:
            # What is not shown to be in the log is not in it, whatever the reason given.
            raise RegistryError(str(error), rule=Rule.LOG_INCLUSION) from None

    def _notice(self, signed: bytes) -> Notice:
        return open_signed(Notice, NOTICE, signed, self.trust.registry, self._verify, "registry")


@contextmanager
def believing(what: str) -> Iterator[None]:
    """Turn what the ground finds wrong with an answer into a RegistryError."""
    try:
        yield
    except ForkError as error:
        raise RegistryForkError(f"the registry's log is not believed: {error}", error.evidence) from None
    except PrivacyError as error:
        raise RegistryError(f"the registry's {what} is not believed: {error}", rule=error.rule) from None
