"""Issuer keys: one RSA key for each purpose set and epoch, made on first demand and logged."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass

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
from covey_consent.epochs import LAST_EPOCH, Calendar
from covey_consent.errors import ConflictError, DamageError, RequestError, UnknownError
from covey_consent.log import Log
from covey_consent.models import EndedEpoch, IssuerSecret
from covey_consent.store import Store
from covey_consent.vault import Sealer
from covey_privacy import blind_rsa, wire
from covey_privacy.blind_rsa import Signer
from covey_privacy.consent import LEAF_EPOCH_END, LEAF_ISSUER, EpochEnd, Issuer, Notice
from covey_privacy.tickets import IssuerKey, purpose_set

Purposes = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Held:
    """An issuer with the half that signs."""

    issuer: Issuer
    signer: Signer


class Issuers:
    """The issuer keys of the current epoch, kept at hand."""

    def __init__(
        self,
        store: Store,
        log: Log,
        calendar: Calendar,
        batch: int,
        declared: Collection[str],
        current: Mapping[str, Notice],
        sealer: Sealer,
    ) -> None:
        self._store, self._log, self._calendar = store, log, calendar
        self._batch, self._declared, self._notices = batch, declared, current
        self._sealer = sealer
        self._loading = asyncio.Lock()
        self._held: dict[tuple[int, Purposes], Held] = {}

    async def demand(self, purposes: Purposes, epoch: int) -> Held:
        """Return the key for this set and the current epoch, made and logged where it is missing.

        Raises UnknownError for a set that the operator has not declared: each key is a leaf for good.
        """
        self._calendar.require_current(epoch)
        held = self._held.get((epoch, purposes))
        if held is None:
            require_set(purposes, self._notices)
            self._require_declared(purposes)
            # A whole crowd asks for a new epoch's key: it is made for the first of them.
            async with self._loading:
                held = self._held.get((epoch, purposes)) or await self._load(purposes, epoch)
        return held

    async def end(self, epoch: int, reason: str) -> int:
        """End an epoch before its time, as `end` does; nothing of it is at hand afterwards."""
        async with self._loading:
            index = await self._log.write(end, self._log, epoch, reason, self._calendar.milliseconds)
            self._held = {key: value for key, value in self._held.items() if key[0] != epoch}
        return index

    def _require_declared(self, purposes: Purposes) -> None:
        if name_of(purposes) not in self._declared:
            raise UnknownError(
                f"no tickets are issued for {name_of(purposes)}, only for {', '.join(self._declared)}; "
                "COVEY_REGISTRY_PURPOSE_SETS declares others"
            )

    async def _load(self, purposes: Purposes, epoch: int) -> Held:
        row = await self._store.read(_find, purposes, epoch)
        if row is None:
            row = await asyncio.to_thread(_make, purposes, epoch, self._sealer)
        row = await self._log.write(_keep, self._log, row)
        self._held = {key: value for key, value in self._held.items() if key[0] == epoch}
        held = self._held[epoch, purposes] = _open(row, self._batch, self._sealer)
        return held


def find(session: Session, purposes: Purposes, epoch: int) -> IssuerKey | None:
    """Return the public key that was made for this set and epoch, None where none was."""
    if epoch > LAST_EPOCH:
        return None
    query = select(IssuerSecret.key).filter_by(epoch=epoch, purposes=name_of(purposes))
    key = session.scalar(query)
    return None if key is None else wire.decode(IssuerKey, key)


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


def _make(purposes: Purposes, epoch: int, sealer: Sealer) -> IssuerSecret:
    """Return a fresh key, sealed and not logged yet. This takes long: run it in a thread."""
    key = blind_rsa.generate()
    public = wire.encode(IssuerKey(purposes, epoch, Signer(key).public))
    row = IssuerSecret(epoch=epoch, purposes=name_of(purposes), key=public)
    row.secret = sealer.seal(
        key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()), _associated(row)
    )
    return row


def _associated(row: IssuerSecret) -> bytes:
    """Return what the private half is bound to, so that it opens in its own row alone."""
    return json.dumps(["issuer key", row.epoch, row.purposes, row.key.hex()]).encode()


def end(session: Session, log: Log, epoch: int, reason: str, now: int) -> int:
    """End an epoch now (Unix milliseconds): destroy its keys and log that; once is as good as twice.

    Whatever tickets of it are about, no roster that names them is countersigned any more. Returns the place
    in the log.
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
    """Log and keep the key unless there is one, and destroy those of past epochs."""
    require_running(session, made.epoch)
    kept = session.get(IssuerSecret, (made.epoch, made.purposes))
    if kept is not None:
        return kept
    made.index = log.append(session, LEAF_ISSUER, made.key)
    session.add(made)
    session.execute(update(IssuerSecret).where(IssuerSecret.epoch < made.epoch).values(secret=None))
    return made


def _open(row: IssuerSecret, batch: int, sealer: Sealer) -> Held:
    if row.secret is None:
        raise DamageError(f"the issuer key of epoch {row.epoch} was destroyed: has the clock been set back?")
    key = load_der_private_key(sealer.unseal(row.secret, _associated(row)), None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise DamageError("an issuer key in the database is no RSA key; restore it from its backup")
    return Held(Issuer(wire.decode(IssuerKey, row.key), batch, row.index), Signer(key))
