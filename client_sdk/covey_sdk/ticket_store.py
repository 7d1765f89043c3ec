"""An epoch's tickets for a purpose set, one of each role and slot, fetched in one batch.

A ticket is shown once. A request is kept until its answer is: a phone that dies in between asks for the same
again, which starts no second batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, TypeVar

from covey_privacy import tickets, wire
from covey_privacy.certificate import Claim, claim_key
from covey_privacy.errors import PrivacyError
from covey_privacy.registry_messages import TICKETS, Issuer, TicketRequest
from covey_privacy.signatures import SigningKey, sign
from covey_privacy.tickets import IssuerKeys, Pending, Role, RoundKey
from covey_sdk.clock import milliseconds
from covey_sdk.errors import ConsentError, RegistryError, StoreError, TicketError
from covey_sdk.registry_client import RegistryClient
from covey_sdk.store import Store
from covey_sdk.ticket_issuances import Issuances

_T = TypeVar("_T")

_TICKETS = "tickets/"


@dataclass(frozen=True, slots=True)
class _RequestedBatch:
    pending: Annotated[tuple[Pending, ...], wire.Size(1, tickets.MOST_TICKETS)]


@dataclass(frozen=True, slots=True)
class _Unused:
    """A ticket that was not shown, with the number of its role."""

    role: Annotated[int, wire.Range(min(Role), max(Role))]
    slot: wire.U32
    key: RoundKey


@dataclass(frozen=True, slots=True)
class _Batch:
    """What is left of an epoch's batch; `issuer` is the digest of its issuer keys."""

    epoch: wire.U64
    issuer: wire.Bytes32
    unused: Annotated[tuple[_Unused, ...], wire.Size(0, tickets.MOST_TICKETS)]


class TicketStore:
    """The tickets in a store, asked for in the name of the device's `key`."""

    def __init__(self, store: Store, key: SigningKey) -> None:
        self._store = store
        self._key = key
        self._issuances = Issuances(store)

    def fetch(
        self, issuer: Issuer, registry: RegistryClient, now: datetime, allows: Callable[[str], bool]
    ) -> None:
        """Get the epoch's batch for the issuer's purposes, unless it is here or used up already.

        `allows(purpose)` is asked when the request is made and when the answer is kept: where the purposes
        were withdrawn meanwhile, by another process of the app perhaps, nothing is kept. Raises ConsentError
        then, RegistryError when the registry gives no batch.
        """
        with self._store.transaction():
            _require(allows, issuer.keys)
            if self._has_batch(issuer.keys):
                return
            requested = self._requested(issuer.keys)
        blinded = tuple(pending.blinded for pending in requested.pending)
        request = TicketRequest(
            self._key.public, milliseconds(now), issuer.keys.purposes, issuer.keys.epoch, blinded
        )
        answer = registry.tickets(sign(TICKETS, request, self._key))
        try:
            keys = tickets.receive(issuer.keys, requested.pending, answer.signatures)
        except PrivacyError as error:
            raise RegistryError(f"the registry's tickets are refused: {error}") from None
        with self._store.transaction():
            _require(allows, issuer.keys)
            # Another process may have kept the same answer meanwhile, and used tickets of it since.
            if not self._has_batch(issuer.keys):
                self._store.put(_name(issuer.keys), wire.encode(_batch(issuer.keys, keys)))
                self._issuances.record(issuer.keys.purposes, answer.issued, answer.yearly, now)
            self._store.delete(_pending(issuer.keys))

    def take(self, issuer_keys: IssuerKeys, role: Role, slot: int) -> RoundKey:
        """Return the one ticket of a role and slot, and forget it, in the caller's transaction.

        Raises TicketError when it was shown before, or the epoch's batch was never fetched.
        """
        name, wanted = _name(issuer_keys), issuer_keys.key_for(role, slot)
        batch = self._read(_Batch, name)
        if not batch or batch.issuer != issuer_keys.digest:
            raise TicketError(
                f"this phone has no tickets for {wanted}: it fetched none in the epoch; the fetch window of "
                "the next one brings new ones"
            )
        kept = tuple(each for each in batch.unused if (each.role, each.slot) != (role, slot))
        taken = [each.key for each in batch.unused if each not in kept]
        if not taken:
            raise TicketError(
                f"the ticket for {wanted} was used: a phone takes part once in a slot; a round of another "
                "slot, or the next epoch, takes another ticket"
            )
        self._store.put(name, wire.encode(replace(batch, unused=kept)))
        return taken[0]

    def sweep(self, granted: Callable[[str], bool]) -> list[Claim]:
        """Forget the tickets of every purpose set that is no longer granted, in the caller's transaction.

        Returns:
            Claims of those that could have been used to contribute.
        """
        claims: list[Claim] = []
        for name in self._store.names(_TICKETS):
            if not all(map(granted, name.removeprefix(_TICKETS).split("+"))):
                batch = self._read(_Batch, name)
                unused = batch.unused if batch else ()
                claims += [claim_key(each.key.secret) for each in unused if each.role == Role.CONTRIBUTE]
                self._store.delete(name)
        return claims

    def _has_batch(self, issuer_keys: IssuerKeys) -> bool:
        known = self._read(_Batch, _name(issuer_keys))
        return known is not None and known.epoch == issuer_keys.epoch

    def _requested(self, issuer_keys: IssuerKeys) -> _RequestedBatch:
        """Return the request under these issuer keys, made and written down at the first try."""
        name = _pending(issuer_keys)
        requested = self._read(_RequestedBatch, name)
        if requested is None:
            requested = _RequestedBatch(tickets.request(issuer_keys))
            self._store.put(name, wire.encode(requested))
        return requested

    def _read(self, cls: type[_T], name: str) -> _T | None:
        data = self._store.get(name)
        try:
            return wire.decode(cls, data) if data else None
        except PrivacyError as error:
            raise StoreError(f"the tickets cannot be read: {error}") from None


def _batch(issuer_keys: IssuerKeys, keys: Iterable[RoundKey]) -> _Batch:
    unused = (_Unused(issuer.role, issuer.slot, key) for issuer, key in zip(issuer_keys, keys, strict=True))
    return _Batch(issuer_keys.epoch, issuer_keys.digest, tuple(unused))


def _require(allows: Callable[[str], bool], issuer_keys: IssuerKeys) -> None:
    missing = [purpose for purpose in issuer_keys.purposes if not allows(purpose)]
    if missing:
        raise ConsentError(f"purpose {missing[0]!r} is not allowed, so there are no tickets for it")


def _name(issuer_keys: IssuerKeys) -> str:
    return _TICKETS + "+".join(issuer_keys.purposes)


def _pending(issuer_keys: IssuerKeys) -> str:
    return f"asked/{issuer_keys.digest.hex()}"
