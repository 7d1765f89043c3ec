"""Issuer keys: one RSA key for each purpose set, epoch, role and slot.

The keys of a set and epoch are made on first demand, and are one leaf of the log. Their private halves are
kept in the database, sealed together, until the epoch has passed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Annotated

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from covey_consent import notices
from covey_consent.errors import ConflictError, DamageError, RequestError, UnknownError
from covey_consent.policy.epoch_calendar import LAST_EPOCH, Calendar
from covey_consent.storage.models import EndedEpoch, IssuerSecret
from covey_consent.storage.store import Store
from covey_consent.storage.vault import Sealer
from covey_consent.transparency.log import Log
from covey_privacy import wire
from covey_privacy.registry_messages import LEAF_EPOCH_END, LEAF_ISSUER, EpochEnd, Issuer, Notice
from covey_privacy.ticket_signer import TicketSigner, generate_private_keys
from covey_privacy.tickets import MOST_TICKETS, IssuerKeys, purpose_set

Purposes = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SigningIssuer:
    """The issuer keys of a set and epoch, with their private halves."""

    issuer: Issuer
    signer: TicketSigner


@dataclass(frozen=True, slots=True)
class _PrivateKeys:
    """The private halves (PKCS #8 DER), in the order of `IssuerKeys`."""

    keys: Annotated[tuple[Annotated[bytes, wire.Size(1, 4096)], ...], wire.Size(2, MOST_TICKETS)]


class Issuers:
    """The issuer keys of the current epoch, cached."""

    def __init__(
        self,
        store: Store,
        log: Log,
        calendar: Calendar,
        slots: int,
        declared: Collection[str],
        current: Mapping[str, Notice],
        sealer: Sealer,
    ) -> None:
        self._store, self._log, self._calendar = store, log, calendar
        self._slots, self._declared, self._notices = slots, declared, current
        self._sealer = sealer
        self._loading = asyncio.Lock()
        self._cached: dict[tuple[int, Purposes], SigningIssuer] = {}

    async def demand(self, purposes: Purposes, epoch: int) -> SigningIssuer:
        """Return the keys for this set and the current epoch, made and logged where they are missing.

        Raises UnknownError for a set that the operator has not declared: its keys are a leaf for good.
        """
        self._calendar.require_current(epoch)
        issuer = self._cached.get((epoch, purposes))
        if issuer is None:
            require_set(purposes, self._notices)
            if name_of(purposes) not in self._declared:
                raise UnknownError(
                    f"no tickets are issued for {name_of(purposes)}, only for {', '.join(self._declared)}; "
                    "COVEY_REGISTRY_PURPOSE_SETS declares others"
                )
            # Many phones ask for a new epoch's keys at once: they are made once.
            async with self._loading:
                issuer = self._cached.get((epoch, purposes)) or await self._load(purposes, epoch)
        return issuer

    async def end(self, epoch: int, reason: str) -> int:
        """End an epoch before its time, as `end` does, and drop its keys from the cache."""
        async with self._loading:
            index = await self._log.write(end, self._log, epoch, reason, self._calendar.milliseconds)
            self._cached = {key: value for key, value in self._cached.items() if key[0] != epoch}
        return index

    async def _load(self, purposes: Purposes, epoch: int) -> SigningIssuer:
        row = await self._store.read(_find, purposes, epoch)
        if row is None:
            row = await asyncio.to_thread(_make, purposes, epoch, self._slots, self._sealer)
        row = await self._log.write(_keep, self._log, row)
        self._cached = {key: value for key, value in self._cached.items() if key[0] == epoch}
        issuer = self._cached[epoch, purposes] = await asyncio.to_thread(_open, row, self._sealer)
        return issuer


def find(session: Session, purposes: Purposes, epoch: int) -> IssuerKeys | None:
    """Return the public keys that were made for this set and epoch, None where none were."""
    if epoch > LAST_EPOCH:
        return None
    keys = session.scalar(select(IssuerSecret.keys).filter_by(epoch=epoch, purposes=name_of(purposes)))
    return None if keys is None else wire.decode(IssuerKeys, keys)


def require_set(purposes: Purposes, current: Mapping[str, Notice]) -> None:
    """Raise unless these are purposes in use, in their one order."""
    if not purposes or purposes != purpose_set(purposes):
        raise RequestError(f"a purpose set is sorted, unique and not empty; {name_of(purposes)!r} arrived")
    for name in purposes:
        notices.find(current, name)


def name_of(purposes: Purposes) -> str:
    """Return the set as one word."""
    return "+".join(purposes)


def parse_set(name: str) -> Purposes:
    """Return the set that a URL names; a form-decoded "+" reads as a space."""
    return tuple(name.replace(" ", "+").split("+"))


def _find(session: Session, purposes: Purposes, epoch: int) -> IssuerSecret | None:
    require_running(session, epoch)
    return session.get(IssuerSecret, (epoch, name_of(purposes)))


def _make(purposes: Purposes, epoch: int, slots: int, sealer: Sealer) -> IssuerSecret:
    """Return fresh keys, sealed and not logged yet. This takes long: run it in a thread."""
    private = generate_private_keys(slots)
    public = TicketSigner.from_private_keys(purposes, epoch, private).keys
    row = IssuerSecret(epoch=epoch, purposes=name_of(purposes), keys=wire.encode(public))
    halves = (key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()) for key in private)
    row.secret = sealer.seal(wire.encode(_PrivateKeys(tuple(halves))), _associated(row))
    return row


def _associated(row: IssuerSecret) -> bytes:
    """Return what the private halves are bound to, so that they open in their own row alone."""
    return json.dumps(["issuer keys", row.epoch, row.purposes, row.keys.hex()]).encode()


def end(session: Session, log: Log, epoch: int, reason: str, now: int) -> int:
    """End an epoch now (Unix milliseconds): destroy its keys and log that; idempotent.

    No set that holds a ticket of the epoch is signed any more. Returns the place in the log.
    """
    known = session.get(EndedEpoch, epoch)
    if known is not None:
        return known.index
    index = log.append(session, LEAF_EPOCH_END, wire.encode(EpochEnd(epoch, now, reason)))
    session.add(EndedEpoch(epoch=epoch, reason=reason, index=index))
    session.execute(update(IssuerSecret).where(IssuerSecret.epoch == epoch).values(secret=None))
    return index


def require_running(session: Session, epoch: int) -> None:
    """Raise ConflictError where the epoch was ended before its time."""
    ended = session.get(EndedEpoch, epoch)
    if ended is not None:
        raise ConflictError(f"epoch {epoch} was ended before its time: {ended.reason}; wait for the next")


def _keep(session: Session, log: Log, made: IssuerSecret) -> IssuerSecret:
    """Log and keep the keys unless there are some, and destroy those of past epochs."""
    require_running(session, made.epoch)
    kept = session.get(IssuerSecret, (made.epoch, made.purposes))
    if kept is not None:
        return kept
    made.index = log.append(session, LEAF_ISSUER, made.keys)
    session.add(made)
    session.execute(update(IssuerSecret).where(IssuerSecret.epoch < made.epoch).values(secret=None))
    return made


def _open(row: IssuerSecret, sealer: Sealer) -> SigningIssuer:
    if row.secret is None:
        raise DamageError(
            f"the issuer keys of epoch {row.epoch} were destroyed: has the clock been set back?"
        )
    halves = wire.decode(_PrivateKeys, sealer.unseal(row.secret, _associated(row))).keys
    signer = TicketSigner.from_private_keys(
        parse_set(row.purposes), row.epoch, tuple(map(_private_key, halves))
    )
    return SigningIssuer(Issuer(signer.keys, row.index), signer)


def _private_key(der: bytes) -> rsa.RSAPrivateKey:
    # The seal tells that the key is the one that was made; checking its primes again takes 30 ms.
    key = load_der_private_key(der, None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise DamageError("an issuer key in the database is no RSA key; restore it from its backup")
    return key
