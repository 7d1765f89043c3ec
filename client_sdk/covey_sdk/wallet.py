"""The wallet: tickets for the rounds of an epoch, fetched in one batch, each shown once.

A request is kept until its answer is: a phone that dies in between asks for the same again, which starts no
second batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, TypeVar

from covey_privacy import tickets, wire
from covey_privacy.consent import TICKETS, Issuer, TicketRequest
from covey_privacy.errors import PrivacyError
from covey_privacy.signatures import SigningKey, sign
from covey_privacy.tickets import IssuerKey, Pending, RoundKey
from covey_sdk.clock import milliseconds
from covey_sdk.errors import ConsentError, RegistryError, StoreError, TicketError
from covey_sdk.issuances import Issuances
from covey_sdk.registry import Registry
from covey_sdk.store import Store

_T = TypeVar("_T")

_TICKETS = "tickets/"


@dataclass(frozen=True, slots=True)
class _Asked:
    pending: Annotated[tuple[Pending, ...], wire.Size(1, 64)]


@dataclass(frozen=True, slots=True)
class _Batch:
    epoch: wire.U64
    keys: Annotated[tuple[RoundKey, ...], wire.Size(0, 64)]


class Wallet:
    """The tickets in a store, asked for in the name of the device's `key`."""

    def __init__(self, store: Store, key: SigningKey) -> None:
        self._store = store
        self._key = key
        self._issuances = Issuances(store)

    def fetch(self, issuer: Issuer, registry: Registry, now: datetime, allows: Callable[[str], bool]) -> None:
        """Get the epoch's batch for the issuer's purposes, unless it is here or used up already.

        `allows(purpose)` is asked when the request is made and when the answer is kept: where the purposes
        were withdrawn meanwhile, by another process of the app perhaps, nothing is kept. Raises ConsentError
        then, RegistryError when the registry gives no batch.
        """
        with self._store.transaction():
            _require(allows, issuer.key)
            if self._has_batch(issuer.key):
                return
            asked = self._asked(issuer)
        blinded = tuple(pending.blinded for pending in asked.pending)
        request = TicketRequest(
            self._key.public, milliseconds(now), issuer.key.purposes, issuer.key.epoch, blinded
        )
        answer = registry.tickets(sign(TICKETS, request, self._key))
        try:
            keys = tickets.receive(issuer.key, asked.pending, answer.signatures)
        except PrivacyError as error:
            raise RegistryError(f"the registry's tickets are refused: {error}") from None
        with self._store.transaction():
            _require(allows, issuer.key)
            # Another process may have kept the same answer meanwhile, and used tickets of it since.
            if not self._has_batch(issuer.key):
                self._store.put(_name(issuer.key), wire.encode(_Batch(issuer.key.epoch, keys)))
                self._issuances.record(issuer.key.purposes, answer.issued, answer.yearly, now)
            self._store.delete(_pending(issuer.key))

    def take(self, issuer: IssuerKey) -> RoundKey:
        """Return a ticket that was never shown, and forget it, in the caller's transaction.

        Raises TicketError when the epoch's batch is used up, or was never fetched.
        """
        name = _name(issuer)
        batch = self._read(_Batch, name)
        if not batch or batch.epoch != issuer.epoch or not batch.keys:
            wanted = " + ".join(issuer.purposes)
            raise TicketError(
                f"no ticket of epoch {issuer.epoch} is left for {wanted}; the fetch window of the next epoch "
                "brings new ones"
            )
        self._store.put(name, wire.encode(_Batch(batch.epoch, batch.keys[1:])))
        return batch.keys[0]

    def sweep(self, granted: Callable[[str], bool]) -> None:
        """Forget the tickets of every purpose set that is no longer granted, in the caller's transaction."""
        for name in self._store.names(_TICKETS):
            if not all(map(granted, name.removeprefix(_TICKETS).split("+"))):
                self._store.delete(name)

    def _has_batch(self, issuer: IssuerKey) -> bool:
        known = self._read(_Batch, _name(issuer))
        return known is not None and known.epoch == issuer.epoch

    def _asked(self, issuer: Issuer) -> _Asked:
        """Return the request for this issuer, made and written down at the first try."""
        name = _pending(issuer.key)
        asked = self._read(_Asked, name)
        if asked is None:
            asked = _Asked(tickets.request(issuer.key, issuer.batch))
            self._store.put(name, wire.encode(asked))
        return asked

    def _read(self, cls: type[_T], name: str) -> _T | None:
        data = self._store.get(name)
        try:
            return wire.decode(cls, data) if data else None
        except PrivacyError as error:
            raise StoreError(f"the wallet cannot be read: {error}") from None


def _require(allows: Callable[[str], bool], issuer: IssuerKey) -> None:
    missing = [purpose for purpose in issuer.purposes if not allows(purpose)]
    if missing:
        raise ConsentError(f"purpose {missing[0]!r} is not allowed, so there are no tickets for it")


def _name(issuer: IssuerKey) -> str:
    return _TICKETS + "+".join(issuer.purposes)


def _pending(issuer: IssuerKey) -> str:
    return f"asked/{issuer.digest.hex()}"
