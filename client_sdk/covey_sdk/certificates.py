"""Certificates of this phone's own part, made from what it keeps and from what the registry shows to anyone.

- `certify_contribution`: this phone's contribution is in the final set of a round.
- `certify_absence_since`: no set since a withdrawal holds a contribution under a round key claimed then.

What the registry shows counts only as it leads to its newest checkpoint, which enough witnesses cosigned of
late and which continues the one that this phone saw last. A certificate is verified before it is returned.

The log is read as tiles, which are the same for everyone and may come from a cache, and its entries from the
start of a tile on, so that a request does not show with which checkpoint the phone's own run begins.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from covey_privacy import wire
from covey_privacy.certificate import MOST_ENTRIES, LoggedDocument, sets_among
from covey_privacy.certificate_maker import certify_absence, certify_participation
from covey_privacy.checkpoint import Checkpoint, open_note
from covey_privacy.errors import PrivacyError, ServerError
from covey_privacy.joint_proof import prove_leaves, root_from_leaves
from covey_privacy.manifest import open_manifest
from covey_privacy.merkle import leaf_hash, prove_consistency
from covey_privacy.protocol_rules import Rule
from covey_privacy.registry_messages import LEAF_MANIFEST
from covey_privacy.secagg.leaves import LeafSet
from covey_privacy.secagg.log_entries import LogView, entry_of, open_head
from covey_privacy.secagg.messages import FINAL, Leaf, SetHead
from covey_privacy.secagg.notary_messages import RoundEntries, RoundEntry
from covey_privacy.signatures import digest_of
from covey_privacy.tiles import WIDTH, Reader, Tile
from covey_sdk import ledger, withdrawal_claims
from covey_sdk.clock import Clock
from covey_sdk.consents import Consents
from covey_sdk.errors import CertificateError, RegistryError
from covey_sdk.log_state import LogState
from covey_sdk.registry_client import NOT_FOUND, RegistryClient, believing
from covey_sdk.registry_sync import RegistrySync
from covey_sdk.round_records import Joined, read_joined
from covey_sdk.store import Store
from covey_sdk.trust import Trust


class Certifier:
    """Makes the certificates of one device; made by `Device.certificate`, which says what its methods raise.

    `clock`, `log` and `consents` say which head of the log this phone saw last, `store` what it took part in.
    """

    def __init__(
        self,
        store: Store,
        trust: Trust,
        registry_sync: RegistrySync,
        clock: Clock,
        log: LogState,
        consents: Consents,
    ) -> None:
        self._store, self._trust, self._sync = store, trust, registry_sync
        self._clock, self._log, self._consents = clock, log, consents

    def certify_contribution(self, round_id: str) -> bytes:
        """Return the certificate that this phone's contribution is in the final set of a round."""
        view = self._require_view()
        joined = read_joined(self._store, round_id)
        if joined is None:
            raise CertificateError(f"this phone sent no contribution to round {round_id!r}")
        registry = self._sync.registry
        shown = registry.round_entries(round_id)
        if shown.manifest != joined.manifest:
            raise RegistryError(
                f"the registry shows another manifest of round {round_id!r} than this phone contributed "
                "under",
                rule=Rule.DOCUMENT_CONTENT,
            )
        final, head = _final_head(shown, round_id, view)
        leaves = registry.set_leaves(head.root)
        _require_leaf(joined, leaves, head, round_id)
        log = self._read_log()
        with believing("evidence of the round"):
            documents = (LoggedDocument(shown.index, shown.manifest), _document(final))
            evidence = _document(shown.evidence) if shown.evidence else None
            log.require_places(*documents, *([evidence] if evidence else []))
            return certify_participation(
                joined.claim, leaves, *documents, log.note, log.node, self._trust.operator, view,
                evidence=evidence,
            )  # fmt: skip

    def certify_absence_since(self, at: int) -> bytes:
        """Return the certificate that no set logged since a withdrawal holds a round key claimed then.

        `at` is the withdrawal's time in UTC milliseconds.
        """
        view, operator = self._require_view(), self._trust.operator
        kept = [each for each in withdrawal_claims.withdrawals(self._store) if each.at == at]
        if not kept:
            raise CertificateError(
                f"this phone keeps no claims of a withdrawal at {at} ms: `withdrawals` lists those it keeps"
            )
        since = kept[0].note  # The oldest, where several were made in one millisecond.
        if not since:
            raise CertificateError("this phone had seen no checkpoint of the log when its owner withdrew")
        with believing("checkpoint of the time of the withdrawal"):
            start = open_note(since, view.registry).size
            view.witnesses.reached(since)
        log = self._read_log(start)
        claimed = [claim for each in kept for claim in each.claims]
        names = _own_rounds(self._store) | _logged_rounds(log.entries, operator)
        with believing("log since the withdrawal"):
            try:
                return certify_absence(
                    claimed, since, log.note, log.entries, log.node, _PublishedLeaves(self._sync.registry),
                    operator, view, round_ids=names,
                )  # fmt: skip
            except ServerError as error:
                if error.rule is Rule.WITHDRAWN_KEY:
                    raise RegistryError(str(error), rule=error.rule) from None
                raise

    def _require_view(self) -> LogView:
        view = self._trust.log_view
        if view is None:
            raise CertificateError("this app pins no witness of the registry's log; nobody would believe it")
        return view

    def _read_log(self, start: int | None = None) -> _PublicLog:
        """Return the log as the registry shows it now, with its entries from `start` on, if it is given."""
        self._log.require_unforked()
        # Read first: another process of the app may see a newer one meanwhile.
        with self._store.snapshot():
            last, seen = self._consents.checkpoint, self._log.note
        return _PublicLog(self._sync.registry, last, seen, int(self._clock.now().timestamp()), start)


class _PublicLog:
    """The registry's log under its newest checkpoint, which continues the one that the phone saw last.

    `last` and `seen` are that head and its note, `now` is in POSIX seconds. `entries` are all from the place
    `start` on, none where it is None, as they lead to the checkpoint.
    """

    def __init__(
        self, registry: RegistryClient, last: Checkpoint, seen: str, now: int, start: int | None
    ) -> None:
        self._registry = registry
        self.note, self._head = registry.checkpoint(now)
        self.size = self._head.size
        if self.size < last.size:
            # No evidence is kept: a cache may have answered, and nothing convicts the log.
            raise RegistryError(
                f"the registry shows a checkpoint of {self.size} entries; this phone saw one of {last.size} "
                "before; try later",
                rule=Rule.LOG_CONSISTENCY,
            )
        self._bundles: dict[int, Sequence[bytes]] = {}
        self._reader = Reader(self.size, self._head.root, self._fetch)
        self.entries = () if start is None else self._read_from(start)
        with believing("log"):
            proof = prove_consistency(self.node, last.size, self.size)
        self._registry.require_continued(self.note, proof, last, seen)

    def node(self, height: int, index: int) -> bytes:
        """Return the head of a complete subtree, not verified (`merkle.Node`)."""
        return self._reader.node(height, index)

    def require_places(self, *documents: LoggedDocument) -> None:
        """Raise ServerError unless the places of documents are distinct and in the log."""
        places = {each.index for each in documents}
        if len(places) < len(documents) or max(places) >= self.size:
            raise ServerError(
                f"the registry places documents at {sorted(places)} of a log of {self.size} entries",
                rule=Rule.LOG_INCLUSION,
            )

    def _read_from(self, start: int) -> tuple[bytes, ...]:
        first = start - start % WIDTH
        if self.size - start > MOST_ENTRIES:
            raise CertificateError(
                f"the log has grown by {self.size - start} entries since; a certificate takes {MOST_ENTRIES}"
            )
        entries: list[bytes] = []
        left = wire.MESSAGE_LIMIT
        while first + len(entries) < self.size:
            page = self._registry.entries(first + len(entries), self.size)
            left -= sum(map(len, page))
            if left < 0:
                raise CertificateError(
                    f"the log's entries since are longer than the {wire.MESSAGE_LIMIT} bytes of a certificate"
                )
            entries += page
        for place in range(0, len(entries), WIDTH):
            self._bundles[(first + place) // WIDTH] = entries[place : place + WIDTH]
        self._require_run(first, entries)
        return tuple(entries[start - first :])

    def _require_run(self, first: int, entries: Sequence[bytes]) -> None:
        """Raise RegistryError unless the entries from place `first` on lead to the checkpoint."""
        leaves = {place: leaf_hash(entry) for place, entry in enumerate(entries, first)}
        with believing("log entries"):
            before = prove_leaves(self.node, sorted(leaves), self.size)
            if root_from_leaves(leaves, self.size, before) != self._head.root:
                raise ServerError(
                    f"they are not those from {first} to {self.size} of the log", rule=Rule.LOG_INCLUSION
                )

    def _fetch(self, tile: Tile) -> bytes:
        """Return a tile's bytes: of entries that were read it is worked out."""
        if tile.level == 0 and tile.index in self._bundles:
            return b"".join(map(leaf_hash, self._bundles[tile.index]))
        return self._registry.tile(tile)


class _PublishedLeaves(Mapping[bytes, Sequence[Leaf]]):
    """Leaves of sets by root, each read when it is asked for; those of the last set alone are held."""

    def __init__(self, registry: RegistryClient) -> None:
        self._registry = registry
        self._held: dict[bytes, Sequence[Leaf]] = {}

    def __getitem__(self, root: bytes) -> Sequence[Leaf]:
        if root not in self._held:
            self._held.clear()
            try:
                self._held[root] = self._registry.set_leaves(root)
            except RegistryError as error:
                if error.status == NOT_FOUND:
                    raise KeyError(root) from None
                raise
        return self._held[root]

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)


def _final_head(shown: RoundEntries, round_id: str, view: LogView) -> tuple[RoundEntry, SetHead]:
    """Return the signed final set of a round, and its head."""
    with believing("statements in the round"):
        signed = [entry_of(each.signed) for each in shown.entries]
        for place, head in sets_among(signed, view.registry):
            with suppress(ServerError):  # It is signed, and then as the included set.
                open_head(SetHead, FINAL, shown.entries[place].signed, view.registry)
                return shown.entries[place], head
    raise CertificateError(f"the registry has signed no final set of round {round_id!r} yet")


def _require_leaf(joined: Joined, leaves: Sequence[Leaf], head: SetHead, round_id: str) -> None:
    """Raise unless the leaves are the set's, and this phone's own is among them."""
    with believing("leaves"):
        LeafSet(leaves).require_head(head)
    own = [leaf for leaf in leaves if leaf.round_key == joined.leaf.round_key]
    if not own:
        raise CertificateError(f"this phone's contribution is not in the final set of round {round_id!r}")
    if own != [joined.leaf]:
        raise RegistryError(
            f"the final set of round {round_id!r} holds another contribution under this phone's round key "
            "than this phone sent",
            rule=Rule.LEAVES,
        )


def _document(entry: RoundEntry) -> LoggedDocument:
    return LoggedDocument(entry.index, entry.signed)


def _own_rounds(store: Store) -> dict[bytes, str]:
    """Return the names of the rounds that this phone contributed to, by manifest digest."""
    with store.snapshot():
        told = {entry.round_id for entry in ledger.entries(store) if entry.kind == ledger.CONTRIBUTION}
        joined = {round_id: read_joined(store, round_id) for round_id in told if round_id}
    return {digest_of(each.manifest): round_id for round_id, each in joined.items() if each}


def _logged_rounds(entries: Sequence[bytes], operator: bytes) -> dict[bytes, str]:
    """Return the names of the rounds whose manifest is among the entries, by manifest digest."""
    names: dict[bytes, str] = {}
    for entry in entries:
        if entry[:1] == LEAF_MANIFEST:
            with suppress(PrivacyError):
                names[digest_of(entry[1:])] = open_manifest(entry[1:], operator).round_id
    return names
