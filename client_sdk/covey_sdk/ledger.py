"""The ledger: what the phone did, in words that its owner can read. Entries are only ever added."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from covey_privacy import wire
from covey_privacy.errors import PrivacyError
from covey_privacy.manifest import Manifest
from covey_privacy.registry_messages import Notice
from covey_privacy.secagg.field import Elements, Q, to_bytes
from covey_sdk.errors import StoreError
from covey_sdk.store import Store
from covey_sdk.translations import translate

CONTRIBUTION = "contribution"
CONSENT = "consent"
PURGE = "purge"
RULES = "rules"
FORK = "fork"
TAG = "tag"

Label = Annotated[str, wire.Size(0, 64)]


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One thing that happened, at UTC milliseconds.

    For a contribution `epsilon` is what its round cost, and `vector` the packed integers that were sent,
    before padding, so that the owner can add them up.
    """

    at: wire.U64
    kind: wire.Name
    said_en: wire.Text
    said_zh: wire.Text
    purposes: wire.Names = ()
    round_id: Label = ""
    query: Label = ""
    epsilon: Annotated[float, wire.Range(0, 1e6)] = 0.0
    vector: Annotated[bytes | None, wire.Size(0, 2**26)] = None


def write(store: Store, entry: LedgerEntry) -> None:
    """Add an entry."""
    store.append_ledger(wire.encode(entry))


def entries(store: Store) -> tuple[LedgerEntry, ...]:
    """Return every entry, oldest first."""
    try:
        return tuple(wire.decode(LedgerEntry, data) for data in store.ledger())
    except PrivacyError as error:
        raise StoreError(f"the ledger holds an entry that this SDK cannot read: {error}") from None


def consent(at: int, state: str, purpose: str, notice: Notice | None) -> LedgerEntry:
    """Return the entry for a decision, in the words of its notice; `state` may also be "ended"."""
    titles = [notice.text(language).title if notice else purpose for language in ("en", "zh")]
    return LedgerEntry(at, CONSENT, *translate(state, purpose=titles), purposes=(purpose,))


def purge(at: int, count: int) -> LedgerEntry:
    """Return the entry for events that were deleted or cut down."""
    return LedgerEntry(at, PURGE, *translate("purged", count=str(count)))


def adoption(at: int, version: int) -> LedgerEntry:
    """Return the entry for a new rule bundle."""
    return LedgerEntry(at, RULES, *translate("rules", version=str(version)))


def fork(at: int, convicts: bool) -> LedgerEntry:
    """Return the entry for a registry's log that does not continue; the evidence may convict it."""
    return LedgerEntry(at, FORK, *translate("forked" if convicts else "not_continued"))


def sealed(at: int, manifest: Manifest, asked: Sequence[str], vector: Elements) -> LedgerEntry:
    """Return the entry for the one message of a round; `asked` says in English and Chinese what was added.

    The entry keeps the integers that were sealed, noise included, as words of 32 bits modulo q.
    """
    least = str(manifest.terms.least_set - 1 if manifest.terms else 0)
    return LedgerEntry(
        at,
        CONTRIBUTION,
        *translate("sealed", asked=asked, epsilon=f"{manifest.epsilon:.2f}", least=least),
        purposes=manifest.purposes,
        round_id=manifest.round_id,
        query=manifest.query,
        epsilon=manifest.epsilon,
        vector=to_bytes(vector % Q),
    )
