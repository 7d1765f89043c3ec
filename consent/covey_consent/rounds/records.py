"""The notary's records in the registry's database and log: each change is one transaction.

`DatabaseRecords` belongs to one request. In the transaction that reads what stands under a name, spends
tickets and appends to the log it also makes the request's own checks (`require`: time, counts, what else is
signed) and writes the request's own rows (`beside`, which is given what is signed, nothing where tickets
alone are spent). The same again is answered before `require` is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from covey_consent.rounds.tables import SignedEntry
from covey_consent.storage.models import LogEntry, SpentTicket
from covey_consent.storage.store import QUERY_KEYS, Store
from covey_consent.transparency.log import Log
from covey_privacy.secagg.log_entries import LEAF_SECAGG

Condition: TypeAlias = Callable[[Session], None]
"""Raises where a request is not to be answered."""
Rows: TypeAlias = Callable[[Session, bytes], None]
"""Writes a request's own rows, given what is signed."""


def require_nothing(_session: Session) -> None:
    """Require nothing beside what every step requires."""


def add_nothing(_session: Session, _signed: bytes) -> None:
    """Write no row beside what every step writes."""


@dataclass(frozen=True, slots=True)
class DatabaseRecords:
    """`notary.Records` for one request in one round; to be used outside of the event loop's thread.

    `context` is that of the signature that is asked for, `now` the time in Unix seconds.
    """

    store: Store
    log: Log
    round_id: str
    context: str
    now: int
    require: Condition
    beside: Rows = add_nothing

    def keep(
        self, name: bytes, signed: bytes, spent: Sequence[bytes], claim: bytes
    ) -> tuple[bytes | None, Sequence[bytes]]:
        """See `notary.Records`."""
        return self.log.write_blocking(self._keep, name, signed, spent, claim)

    def spend(self, spent: Sequence[bytes], claim: bytes) -> Sequence[bytes]:
        """See `notary.Records`."""
        return self.store.write_blocking(self._spend, spent, claim)

    def _keep(
        self, session: Session, name: bytes, signed: bytes, spent: Sequence[bytes], claim: bytes
    ) -> tuple[bytes | None, Sequence[bytes]]:
        entry = session.scalar(
            select(LogEntry.entry).join(SignedEntry, SignedEntry.index == LogEntry.index).filter_by(name=name)
        )
        if entry is not None:
            return entry.removeprefix(LEAF_SECAGG), ()
        self.require(session)
        already = self._spend_unspent(session, spent, claim, _read_claims(session, spent))
        if already:
            return None, already
        row = SignedEntry(name=name, round_id=self.round_id, context=self.context, signed_at=self.now)
        row.index = self.log.append(session, LEAF_SECAGG, signed)
        session.add(row)
        self.beside(session, signed)
        return signed, ()

    def _spend(self, session: Session, spent: Sequence[bytes], claim: bytes) -> Sequence[bytes]:
        claims = _read_claims(session, spent)
        if all(claims.get(key) == claim for key in spent):
            return ()
        self.require(session)
        already = self._spend_unspent(session, spent, claim, claims)
        if not already:
            self.beside(session, b"")
        return already

    def _spend_unspent(
        self, session: Session, keys: Sequence[bytes], claim: bytes, claims: dict[bytes, bytes | None]
    ) -> Sequence[bytes]:
        """Spend the tickets of all these round keys or of none; return those spent for another claim."""
        already = [key for key in keys if claims.get(key, claim) != claim]
        rows = [
            {"round_key": key, "round_id": self.round_id, "claim": claim} for key in keys if key not in claims
        ]
        if rows and not already:
            session.execute(insert(SpentTicket), rows)
        return already


def _read_claims(session: Session, keys: Sequence[bytes]) -> dict[bytes, bytes | None]:
    """Return what those of the round keys that are spent were spent for."""
    claims: dict[bytes, bytes | None] = {}
    for start in range(0, len(keys), QUERY_KEYS):
        some = SpentTicket.round_key.in_(keys[start : start + QUERY_KEYS])
        rows = session.execute(select(SpentTicket.round_key, SpentTicket.claim).where(some))
        claims |= {row.round_key: row.claim for row in rows}
    return claims
