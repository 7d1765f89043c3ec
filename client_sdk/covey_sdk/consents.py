"""Consents: the person's decisions, signed by this device, and what the registry confirms of them.

A grant counts once the registry confirms the very grant that this device signed; the registry alone cannot
make one. A refusal or withdrawal counts at once. Whatever the registry may not have is sent at each sync.

Other threads and processes of the app decide and sync on the same store. So the state is read in the
transaction that uses or changes it, and what was asked of the registry outside of one is taken only where
nothing has changed since.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any

from covey_privacy import wire
from covey_privacy.checkpoint import Checkpoint
from covey_privacy.registry_messages import (
    DECISION,
    ENROLMENT,
    GRANTED,
    METHODS,
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
from covey_privacy.signatures import SigningKey, sign
from covey_sdk import ledger
from covey_sdk.agreed_terms import keep_agreed_terms, read_agreed_terms
from covey_sdk.clock import milliseconds
from covey_sdk.consent_gate import ConsentGate
from covey_sdk.consent_state import (
    ConsentState,
    choice_of,
    decision_time,
    index_by_purpose,
    without_refused,
)
from covey_sdk.errors import ConsentError, RegistryError, RegistryForkError
from covey_sdk.event_checks import MOST_CHARACTERS, shown
from covey_sdk.log_state import LogState
from covey_sdk.registry_client import RegistryClient
from covey_sdk.store import Store
from covey_sdk.stored_value import StoredValue

ATTEMPTS = 8
"""How often a sync is begun anew because another process changed the consents meanwhile."""

Settle = Callable[[frozenset[str]], None]
"""What follows from a sync, in its transaction; it is given the purposes whose grant the registry ended."""


@dataclass(frozen=True, slots=True)
class _StoredNotices:
    notices: Annotated[tuple[Notice, ...], wire.Size(0, 64)] = ()


class Consents:
    """The consents in a store, signed with the device's `key`, confirmed under the `log` of the registry."""

    def __init__(self, store: Store, key: SigningKey, log: LogState) -> None:
        self._store = store
        self._key = key
        self._log = log
        self._state = StoredValue(store, "consents", ConsentState())
        self._notices = StoredValue[Mapping[str, Notice]](
            store, "notices", {}, _decoded_notices, _encoded_notices
        )

    @property
    def notices(self) -> Mapping[str, Notice]:
        """The notices last seen, by purpose."""
        return self._notices.read()

    @property
    def decisions(self) -> Mapping[str, Decision]:
        """The person's last decision on this device, by purpose."""
        return self._state.read().last_decisions

    @property
    def choices(self) -> Mapping[str, Choice]:
        """The choices that stand, by purpose: grants that are confirmed, and every no."""
        return self._state.read().standing

    @property
    def checkpoint(self) -> Checkpoint:
        """The head of the registry's log as last seen."""
        return self._state.read().head

    @property
    def synced_at(self) -> datetime | None:
        """When the registry last confirmed the choices, None never."""
        return self._state.read().synced_time

    def gate(self, now: datetime) -> ConsentGate:
        """Return the gate at `now`, as the store stands."""
        with self._store.snapshot():
            state = self._state.read()
            return ConsentGate(
                state.standing, self.notices, read_agreed_terms(self._store), state.synced_time, now
            )

    def granted(self, purpose: str) -> bool:
        """Say whether the grant stands, even if the registry is silent or the notice has changed since."""
        choice = self.choices.get(purpose)
        return choice is not None and choice.state == GRANTED

    def enrolment(self, now: datetime) -> bytes:
        """Return the signed message that makes this device known."""
        return sign(ENROLMENT, Enrolment(self._key.public, milliseconds(now)), self._key)

    def decide(self, purpose: str, state: str, language: str, method: str, now: datetime) -> bytes:
        """Write a decision down and return it signed, for the registry.

        Raises ConsentError when the purpose has no notice that the person could have read, or when `state`
        or `method` is none that there is; nothing is written then.
        """
        require_purpose(purpose)
        if state not in (GRANTED, REFUSED, WITHDRAWN):
            raise ConsentError(f"a decision is granted, refused or withdrawn; {shown(state)} was given")
        if method not in METHODS:
            raise ConsentError(f"a decision is made by {', '.join(METHODS)}; {shown(method)} was given")
        if type(language) is not str or len(language) > MOST_CHARACTERS:
            raise ConsentError(f"a language is a tag such as zh-CN; {shown(language)} was given")
        with self._store.transaction():
            before = self._state.read()
            known = before.last_decisions
            at = decision_time(known.get(purpose), now)
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
            decisions = tuple({**known, purpose: decision}.values())
            unsent = tuple(sorted({*before.unsent, purpose}))
            confirmed = before.confirmed if state == GRANTED else without_refused(before.confirmed, {purpose})
            self._state.write(replace(before, decisions=decisions, confirmed=confirmed, unsent=unsent))
            if state == GRANTED:
                keep_agreed_terms(self._store, self._notice(purpose))
            self._tell_owner("chosen" if state == GRANTED else state, purpose, now)
        return sign(DECISION, decision, self._key)

    def send_refusals(self, registry: RegistryClient, now: datetime) -> None:
        """Send every refusal and withdrawal that the registry may not have.

        They are dated anew, so that none is too old and each is later than what it ends.
        """
        with self._store.transaction():
            state = self._state.read()
            fresh = {
                purpose: replace(decision, at=decision_time(decision, now))
                for purpose, decision in state.unsent_decisions.items()
                if decision.state != GRANTED
            }
            if not fresh:
                return
            decisions = tuple({**state.last_decisions, **fresh}.values())
            self._state.write(replace(state, decisions=decisions))
        registry.decide(self.batch(*(sign(DECISION, decision, self._key) for decision in fresh.values())))
        self._sent(*fresh.values())

    def withdraw_all(self, now: datetime) -> Batch | None:
        """Withdraw every purpose that the registry may hold as granted, in the caller's transaction.

        Return the signed withdrawals, None where there is nothing to withdraw.
        """
        standing = {choice.purpose for choice in self._state.read().confirmed if choice.state == GRANTED}
        decisions = self.decisions
        granted = {purpose for purpose, decision in decisions.items() if decision.state == GRANTED}
        for purpose in sorted(granted | (standing & decisions.keys())):
            self.decide(purpose, WITHDRAWN, "", decisions[purpose].method, now)
        unsent = self._state.read().unsent_decisions.values()
        signed = [sign(DECISION, decision, self._key) for decision in unsent]
        return self.batch(*signed) if signed else None

    def send_grants(self, registry: RegistryClient, now: datetime) -> None:
        """Send every grant that the registry may not have, as the person made it.

        A grant that the registry refuses ends, and the ledger says so. Raises the RegistryError then, after
        the other grants were sent.
        """
        refusal: RegistryError | None = None
        for decision in self._state.read().unsent_decisions.values():
            if decision.state != GRANTED:
                continue
            try:
                registry.decide(self.batch(sign(DECISION, decision, self._key)))
            except RegistryError as error:
                if not error.is_final:
                    raise
                refusal = error
                self._end_refused(decision, now)
            else:
                self._sent(decision)
        if refusal:
            raise refusal

    def sync(self, registry: RegistryClient, now: datetime, settle: Settle) -> None:
        """Send what is unsent, then take the current notices and confirmed choices, all or none.

        Where another process changes the consents while the registry is asked, its answer may be older than
        they are: it is not taken, and the registry is asked again. Raises RegistryForkError where the log
        does not continue the one seen before; the evidence is kept.
        """
        refusal: RegistryError | None = None
        for _ in range(ATTEMPTS):
            self.send_refusals(registry, now)
            self._log.require_unforked()
            state = self._state.read()
            synced, head = self._ask(registry, state, now)
            notices = registry.notices(synced.notices)
            if state.lacks_grant(synced.choices):
                try:
                    self.send_grants(registry, now)
                except RegistryError as error:
                    refusal = error
                    if not error.is_final:
                        raise
                continue
            with self._store.transaction():
                if self._state.read() != state:
                    continue
                self._take(state, synced, head, notices, now, settle)
            if refusal:
                raise refusal
            return
        raise RegistryError(
            f"the consents were changed {ATTEMPTS} times while the registry was asked; sync again later"
        )

    def keep_notices(self, notices: Mapping[str, Notice]) -> None:
        """Keep the notices. Raises RegistryError when one is older than what was seen before."""
        with self._store.transaction():
            known = self.notices
            if notices == known:
                return
            for purpose, seen in known.items():
                if purpose in notices and notices[purpose].number < seen.number:
                    raise RegistryError(
                        f"the registry shows notice {notices[purpose].semver} for {purpose!r}; older than "
                        f"{seen.semver}, seen before"
                    )
            self._notices.write(notices)

    def batch(self, *signed: bytes) -> Batch:
        """Return this device's signed messages as one request's."""
        return Batch(signed, (self._key.public,) * len(signed))

    def _take(
        self,
        state: ConsentState,
        synced: Synced,
        head: Checkpoint,
        notices: Mapping[str, Notice],
        now: datetime,
        settle: Settle,
    ) -> None:
        """Write down what the registry answered about `state`, in the caller's transaction."""
        before = state.standing
        confirmed = index_by_purpose(synced.choices)
        # Either the registry ended a grant, or a withdrawal that was sent before it arrived after it.
        ended = frozenset(
            decision.purpose
            for decision in state.decisions
            if decision.state == GRANTED and confirmed.get(decision.purpose) != choice_of(decision)
        )
        decisions = tuple(
            replace(decision, state=WITHDRAWN) if decision.purpose in ended else decision
            for decision in state.decisions
        )
        # Grants that were unsent are confirmed by now; a refusal made since the last sending is not.
        unsent = tuple(name for name, decision in state.unsent_decisions.items() if decision.state != GRANTED)
        after = replace(
            state, decisions=decisions, confirmed=without_refused(synced.choices, unsent), unsent=unsent,
            synced_at=milliseconds(now), origin=head.origin, log_size=head.size, log_root=head.root,
        )  # fmt: skip
        self.keep_notices(notices)
        self._log.see(synced.checkpoint)
        self._state.write(after)
        for purpose, choice in sorted(after.standing.items()):
            if choice.state == GRANTED and before.get(purpose) != choice:
                self._tell_owner(GRANTED, purpose, now)
        for purpose in sorted(ended):
            stood = purpose in before and before[purpose].state == GRANTED
            self._tell_owner("ended" if stood else "not_accepted", purpose, now)
        settle(ended)

    def _sent(self, *sent: Decision) -> None:
        """Note that the registry has these decisions, where they are still the last ones."""
        with self._store.transaction():
            state = self._state.read()
            known = state.last_decisions
            arrived = {decision.purpose for decision in sent if known.get(decision.purpose) == decision}
            unsent = tuple(purpose for purpose in state.unsent if purpose not in arrived)
            self._state.write(replace(state, unsent=unsent))

    def _end_refused(self, refused: Decision, now: datetime) -> None:
        """End a grant that the registry refuses, unless another decision was made since."""
        with self._store.transaction():
            state = self._state.read()
            known = state.last_decisions
            if known.get(refused.purpose) != refused:
                return
            known[refused.purpose] = replace(refused, state=WITHDRAWN)
            unsent = tuple(purpose for purpose in state.unsent if purpose != refused.purpose)
            self._state.write(replace(state, decisions=tuple(known.values()), unsent=unsent))
            self._tell_owner("not_accepted", refused.purpose, now)

    def _ask(self, registry: RegistryClient, state: ConsentState, now: datetime) -> tuple[Synced, Checkpoint]:
        signed = sign(SYNC, Sync(self._key.public, milliseconds(now), state.log_size), self._key)
        try:
            return registry.sync(signed, state.head, self._log.note, int(now.timestamp()))
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


def require_purpose(purpose: Any) -> None:
    """Raise ConsentError for what cannot be a purpose's name."""
    if type(purpose) is not str or len(purpose) > MOST_CHARACTERS:
        raise ConsentError(f"a purpose is named by text such as personalize; {shown(purpose)} was given")


def _decoded_notices(data: bytes) -> Mapping[str, Notice]:
    return index_by_purpose(wire.decode(_StoredNotices, data).notices)


def _encoded_notices(notices: Mapping[str, Notice]) -> bytes:
    return wire.encode(_StoredNotices(tuple(notices.values())))
