"""Consents: the person's decisions, signed by this device, and what the registry confirms of them.

A grant counts once the registry confirms the very grant that this device signed; the registry alone cannot
make one. A refusal or withdrawal counts at once, and is sent until the registry has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, TypeVar

from covey_privacy import wire
from covey_privacy.checkpoint import EMPTY_LOG, Checkpoint
from covey_privacy.consent import (
    DECISION,
    ENROLMENT,
    GRANTED,
    REFUSED,
    SYNC,
    WITHDRAWN,
    Batch,
    Choice,
    Decision,
    Enrolment,
    Notice,
    Sync,
    Synced,
)
from covey_privacy.errors import PrivacyError
from covey_privacy.signatures import SigningKey, sign
from covey_sdk import agreed, ledger
from covey_sdk.clock import milliseconds, moment
from covey_sdk.errors import ConsentError, RegistryError, RegistryForkError, StoreError
from covey_sdk.gate import Gate
from covey_sdk.log import Log
from covey_sdk.registry import Registry
from covey_sdk.store import Store

_T = TypeVar("_T")

_STATE = "consents"
_NOTICES = "notices"


@dataclass(frozen=True, slots=True)
class _State:
    decisions: Annotated[tuple[Decision, ...], wire.Size(0, 64)] = ()
    confirmed: Annotated[tuple[Choice, ...], wire.Size(0, 64)] = ()
    unsent: wire.Names = ()
    synced_at: wire.U64 | None = None
    origin: Annotated[str, wire.Size(0, 256)] = EMPTY_LOG.origin
    log_size: wire.U64 = EMPTY_LOG.size
    log_root: wire.Bytes32 = EMPTY_LOG.root


@dataclass(frozen=True, slots=True)
class _Shelf:
    notices: Annotated[tuple[Notice, ...], wire.Size(0, 64)] = ()


class Consents:
    """The consents in a store, signed with the device's `key`, confirmed under the `log` of the registry."""

    def __init__(self, store: Store, key: SigningKey, log: Log) -> None:
        self._store = store
        self._key = key
        self._log = log
        self._state = _read(store, _STATE, _State())
        self._shelf: Mapping[str, Notice] | None = None

    @property
    def notices(self) -> Mapping[str, Notice]:
        """The notices last seen, by purpose."""
        if self._shelf is None:
            self._shelf = {
                notice.purpose: notice for notice in _read(self._store, _NOTICES, _Shelf()).notices
            }
        return self._shelf

    @property
    def decisions(self) -> Mapping[str, Decision]:
        """The person's last decision on this device, by purpose."""
        return {decision.purpose: decision for decision in self._state.decisions}

    @property
    def choices(self) -> Mapping[str, Choice]:
        """The choices that stand, by purpose: grants that are confirmed, and every no."""
        confirmed = {choice.purpose: choice for choice in self._state.confirmed}
        standing = {purpose: choice for purpose, choice in confirmed.items() if choice.state != GRANTED}
        for decision in self._state.decisions:
            own = Choice(decision.purpose, decision.state, decision.notice_version)
            if own.state != GRANTED or confirmed.get(own.purpose) == own:
                standing[own.purpose] = own
        return standing

    @property
    def checkpoint(self) -> Checkpoint:
        """The head of the registry's log as last seen."""
        return Checkpoint(self._state.origin, self._state.log_size, self._state.log_root)

    @property
    def synced_at(self) -> datetime | None:
        """When the registry last confirmed the choices, None never."""
        return None if self._state.synced_at is None else moment(self._state.synced_at)

    def gate(self, now: datetime) -> Gate:
        """Return the gate at `now`."""
        return Gate(self.choices, self.notices, agreed.read(self._store), self.synced_at, now)

    def granted(self, purpose: str) -> bool:
        """Say whether the grant stands, even if the registry is silent or the notice has changed since."""
        choice = self.choices.get(purpose)
        return choice is not None and choice.state == GRANTED

    def enrolment(self, now: datetime) -> bytes:
        """Return the signed message that makes this device known."""
        return sign(ENROLMENT, Enrolment(self._key.public, milliseconds(now)), self._key)

    def decide(self, purpose: str, state: str, language: str, method: str, now: datetime) -> bytes:
        """Write a decision down and return it signed, for the registry.

        Raises ConsentError when the purpose has no notice that the person could have read.
        """
        if state not in (GRANTED, REFUSED, WITHDRAWN):
            raise ConsentError(f"a decision is granted, refused or withdrawn; {state!r} was given")
        known = self.decisions
        at = _after(known, purpose, now)
        if state != GRANTED and purpose in known:
            # A no is about the very terms that were decided on, whether or not they are still current.
            decision = replace(known[purpose], state=state, method=method, at=at)
        else:
            notice = self._notice(purpose)
            text = notice.text(language)
            decision = Decision(
                self._key.public, purpose, state, notice.version,
                text.language, text.digest, method, at,
            )  # fmt: skip
        unsent = {*self._state.unsent, purpose} if state != GRANTED else {*self._state.unsent} - {purpose}
        decisions = tuple({**known, purpose: decision}.values())
        with self._store.transaction():
            if state == GRANTED:
                agreed.keep(self._store, self._notice(purpose))
            self._write(replace(self._state, decisions=decisions, unsent=tuple(sorted(unsent))))
            self._tell_owner(state, purpose, now)
        return sign(DECISION, decision, self._key)

    def send(self, registry: Registry, now: datetime) -> None:
        """Send every no that the registry may not have. They are signed anew, so that none is too old."""
        if not self._state.unsent:
            return
        known = self.decisions
        fresh = [replace(known[purpose], at=_after(known, purpose, now)) for purpose in self._state.unsent]
        registry.decide(self.batch(*(sign(DECISION, decision, self._key) for decision in fresh)))
        self._write(replace(self._state, unsent=()))

    def sync(self, registry: Registry, now: datetime) -> frozenset[str]:
        """Send what is unsent, then take the current notices and confirmed choices, all or none.

        Return the purposes whose grant the registry ended: they need a new decision. Raises RegistryForkError
        where its log does not continue the one seen before; the evidence is kept.
        """
        self.send(registry, now)
        self._log.require_unforked()
        synced, head = self._ask(registry, now)
        notices = registry.notices(synced.notices)
        confirmed = {choice.purpose: choice for choice in synced.choices}
        ended = frozenset(
            purpose for purpose, choice in self.choices.items()
            if choice.state == GRANTED and confirmed.get(purpose) != choice
        )  # fmt: skip
        decisions = tuple(
            replace(decision, state=WITHDRAWN) if decision.purpose in ended else decision
            for decision in self._state.decisions
        )
        with self._store.transaction():
            self.shelve(notices)
            self._log.see(synced.checkpoint)
            self._write(
                replace(
                    self._state, decisions=decisions, confirmed=synced.choices, synced_at=milliseconds(now),
                    origin=head.origin, log_size=head.size, log_root=head.root,
                )
            )  # fmt: skip
            for purpose in sorted(ended):
                self._tell_owner("ended", purpose, now)
        return ended

    def shelve(self, notices: Mapping[str, Notice]) -> None:
        """Keep the notices. Raises RegistryError when one is older than what was seen before."""
        if notices == self.notices:
            return
        for purpose, seen in self.notices.items():
            if purpose in notices and notices[purpose].number < seen.number:
                raise RegistryError(
                    f"the registry shows notice {notices[purpose].semver} for {purpose!r}; older than "
                    f"{seen.semver}, seen before"
                )
        self._store.put(_NOTICES, wire.encode(_Shelf(tuple(notices.values()))))
        self._shelf = dict(notices)

    def batch(self, *signed: bytes) -> Batch:
        """Return this device's signed messages as one request's."""
        return Batch(signed, (self._key.public,) * len(signed))

    def _ask(self, registry: Registry, now: datetime) -> tuple[Synced, Checkpoint]:
        signed = sign(SYNC, Sync(self._key.public, milliseconds(now), self._state.log_size), self._key)
        try:
            return registry.sync(signed, self.checkpoint, self._log.note, int(now.timestamp()))
        except RegistryForkError as error:
            self._log.accuse(error.evidence, now)
            raise

    def _notice(self, purpose: str) -> Notice:
        notice = self.notices.get(purpose)
        if notice is None:
            raise ConsentError(
                f"purpose {purpose!r} has no notice to decide on; sync first, or check its name"
            )
        return notice

    def _tell_owner(self, state: str, purpose: str, now: datetime) -> None:
        entry = ledger.consent(milliseconds(now), state, purpose, self.notices.get(purpose))
        ledger.write(self._store, entry)

    def _write(self, state: _State) -> None:
        self._store.put(_STATE, wire.encode(state))
        self._state = state


def _after(known: Mapping[str, Decision], purpose: str, now: datetime) -> int:
    """Return the time of a new decision: never before the last one, which would then stand."""
    last = known.get(purpose)
    return max(milliseconds(now), last.at) if last else milliseconds(now)


def _read(store: Store, name: str, default: _T) -> _T:
    data = store.get(name)
    try:
        return wire.decode(type(default), data) if data else default
    except PrivacyError as error:
        raise StoreError(f"what the store holds as {name!r} cannot be read: {error}") from None
