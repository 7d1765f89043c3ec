"""Claims kept at a withdrawal: by them the owner proves later that nothing of theirs was counted since.

A claim is a round key's signature over itself, made while its secret exists (`covey_privacy.certificate`).
When a purpose is withdrawn, the phone claims the key of every ticket that it never used, and of every
contribution that may not be in a signed set yet, and deletes the secrets. The log's newest checkpoint at
that moment is kept with them: absence is proved from there on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from covey_privacy import wire
from covey_privacy.certificate import Claim
from covey_privacy.note import LIMIT
from covey_sdk.store import Store
from covey_sdk.stored_value import StoredValue

MOST = 512
"""Claims of one withdrawal: as many as one certificate takes."""


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A withdrawal by which round keys became useless, as `Device.certificate(since=at)` takes it.

    `at` is in UTC milliseconds. `purposes` were not granted from then on; `keys` counts the round keys that
    the phone held and claimed.
    """

    at: int
    purposes: tuple[str, ...]
    keys: int


@dataclass(frozen=True, slots=True)
class KeptWithdrawal:
    """A withdrawal of purposes at UTC milliseconds, the log's checkpoint then, and the claims it concerns."""

    at: wire.U64
    purposes: wire.Names
    note: Annotated[str, wire.Size(0, LIMIT)]
    claims: Annotated[tuple[Claim, ...], wire.Records(0, MOST)]


@dataclass(frozen=True, slots=True)
class _Withdrawals:
    each: Annotated[tuple[KeptWithdrawal, ...], wire.Size(0, 1000)] = ()


def withdrawals(store: Store) -> tuple[KeptWithdrawal, ...]:
    """Return the withdrawals that claims were kept of, oldest first."""
    return _stored(store).read().each


def keep_withdrawal(store: Store, withdrawal: KeptWithdrawal) -> None:
    """Keep a withdrawal's claims, in the caller's transaction."""
    stored = _stored(store)
    stored.write(_Withdrawals((*stored.read().each[-999:], withdrawal)))


def _stored(store: Store) -> StoredValue[_Withdrawals]:
    return StoredValue(store, "withdrawals", _Withdrawals())
