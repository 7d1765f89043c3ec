"""The register of breaches (GDPR Art. 33(5)): each is opened, notified or not for a reason, and closed."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import rfc8785
from sqlalchemy import Select, func, select, tuple_, union_all
from sqlalchemy.orm import Session

from covey_consent.access.roles import Caller
from covey_consent.breaches.breach import (
    Account,
    Breach,
    BreachAction,
    BreachState,
    BreachStep,
    Scope,
    advance,
    missing,
)
from covey_consent.errors import ConflictError, RequestError, UnknownError
from covey_consent.policy import purposes
from covey_consent.policy.epoch_calendar import Calendar
from covey_consent.rounds.manifests import find_round, manifest_of
from covey_consent.storage.models import HOUR, Event, Issuance, Subject
from covey_consent.tickets.issuers import name_of


@dataclass(frozen=True, slots=True)
class BreachRegister:
    """Opens breaches and takes their steps; the authority is told within `seconds` of the detection."""

    calendar: Calendar
    seconds: int

    def open(
        self, session: Session, detected_at: int, scope: Scope, account: Account, caller: Caller
    ) -> Breach:
        """Open a breach that was detected at this time (Unix seconds); its clock runs from then."""
        if not 0 <= detected_at <= self.calendar.now + self.calendar.tolerance_seconds:
            raise RequestError(
                "a breach was detected now or before; its time of detection lies in the future"
            )
        breach = Breach(
            id=uuid.uuid4().hex, state=BreachState.OPEN, detected_at=detected_at,
            due_at=detected_at + self.seconds, scope=_canonical(scope), account=_canonical(account),
            version=0,
        )  # fmt: skip
        session.add(breach)
        session.flush()
        self._record(session, breach, "open", caller, "")
        return breach

    def take_step(
        self,
        session: Session,
        id_: str,
        action: BreachAction,
        account: Account | None,
        caller: Caller,
        reason: str,
    ) -> Breach:
        """Take a step, with a newer account if there is one. Raises ConflictError where it cannot follow."""
        breach = find_breach(session, id_)
        reached = advance(BreachState(breach.state), action)
        if account is not None:
            breach.account = _canonical(account)
        self._check(breach, action, reason)
        breach.state = reached
        if action is BreachAction.NOTIFY_AUTHORITY and breach.authority_at is None:
            breach.authority_at = self.calendar.now
        if action is BreachAction.NOTIFY_PEOPLE and breach.people_at is None:
            breach.people_at = self.calendar.now
        self._record(session, breach, action, caller, reason)
        return breach

    def count_overdue(self, session: Session) -> int:
        """Count the breaches whose notification of the authority is late, for the metrics."""
        query = select(func.count()).select_from(Breach).where(Breach.due_at < self.calendar.now)
        query = query.where(Breach.authority_at.is_(None), Breach.state != BreachState.CLOSED)
        return session.scalar(query) or 0

    def is_overdue(self, breach: Breach) -> bool:
        """Say whether the notification of the authority is late."""
        return breach.state != BreachState.CLOSED and self._is_late(breach)

    def page(self, session: Session, after: tuple[int, str] | None, limit: int) -> Sequence[Breach]:
        """Return breaches by time of detection, `after` the one of this time and id."""
        query = select(Breach).order_by(Breach.detected_at, Breach.id).limit(limit)
        if after is not None:
            query = query.where(tuple_(Breach.detected_at, Breach.id) > after)
        return session.scalars(query).all()

    def _is_late(self, breach: Breach) -> bool:
        return breach.authority_at is None and self.calendar.now > breach.due_at

    def _check(self, breach: Breach, action: BreachAction, reason: str) -> None:
        account = account_of(breach)
        lacking = "; ".join(missing(account))
        if action is BreachAction.NOTIFY_AUTHORITY and not reason:
            if self._is_late(breach):
                raise RequestError(
                    "the authority is told late; give the reasons for the delay: GDPR Art. 33(1)"
                )
            if lacking:
                raise RequestError(f"the account lacks {lacking}; add it, or say why it follows: Art. 33(4)")
        told = account.nature, account.contact, account.consequences, account.measures
        if action is BreachAction.NOTIFY_PEOPLE and not all(told):
            raise RequestError("people are told: nature, contact, consequences and measures: GDPR Art. 34(2)")
        if action is not BreachAction.CLOSE:
            return
        if breach.authority_at is None and not reason:
            raise RequestError(
                "the authority was not told; say why no risk is likely: GDPR Art. 33(1) and (5)"
            )
        if breach.authority_at is not None and lacking:
            raise ConflictError(f"the account lacks {lacking}; the authority is owed it: GDPR Art. 33(4)")
        if account.high_risk and breach.people_at is None and not reason:
            raise RequestError("the risk is high and people were not told; say why not: GDPR Art. 34(3)")

    def _record(self, session: Session, breach: Breach, step: str, caller: Caller, reason: str) -> None:
        breach.version += 1
        session.add(
            BreachStep(
                breach=breach.id, number=breach.version, step=step, state=breach.state,
                account=breach.account, role=caller.role, name=caller.name, reason=reason,
                at=self.calendar.now,
            )
        )  # fmt: skip
        session.flush()


def account_of(breach: Breach) -> Account:
    """Return the account of the breach."""
    return Account.model_validate_json(breach.account)


def scope_of(breach: Breach) -> Scope:
    """Return the scope of the breach."""
    return Scope.model_validate_json(breach.scope)


def find_breach(session: Session, id_: str) -> Breach:
    """Return the breach. Raises UnknownError."""
    breach = session.get(Breach, id_)
    if breach is None:
        raise UnknownError("there is no such breach; /v1/breaches lists them")
    return breach


def steps_of(session: Session, id_: str) -> Sequence[BreachStep]:
    """Return the breach's steps, oldest first."""
    query = select(BreachStep).filter_by(breach=id_).order_by(BreachStep.number)
    return session.scalars(query).all()


def count_affected(session: Session, scope: Scope) -> int:
    """Return how many people had tickets for the scope's rounds, or a record of its purposes in its span.

    - Without rounds and purposes it is everyone who enrolled or decided in the span.
    - A purpose that rests on contract or law touches everyone who enrolled before the span ended: nobody
      decides on it.
    - The registry cannot know who joined a round: whoever had tickets for it is counted.
    - People erased since are not counted.

    Raises UnknownError for a round that was not logged or an unknown purpose, RequestError for a purpose that
    is never offered.
    """
    named = [purposes.find(name) for name in scope.purposes]
    people: list[Select[Any]] = [_ticket_holders(session, name) for name in scope.rounds]
    if scope.purposes or not scope.rounds:
        people.append(_deciders(scope))
    if not scope.purposes and not scope.rounds:
        people.append(_enrolled(scope, scope.since))
    if not all(purpose.needs_consent for purpose in named):
        people.append(_enrolled(scope, 0))
    subject = union_all(*people).subquery().c.subject
    return session.scalar(select(func.count(subject.distinct()))) or 0


def _deciders(scope: Scope) -> Select[Any]:
    query = select(Event.subject).where(Event.received_at >= scope.since * 1000)
    if scope.purposes:
        query = query.where(Event.purpose.in_(scope.purposes))
    return query if scope.until is None else query.where(Event.received_at <= scope.until * 1000)


def _enrolled(scope: Scope, since: int) -> Select[Any]:
    query = select(Subject.subject).where(Subject.enrolled_hour >= since // HOUR)
    return query if scope.until is None else query.where(Subject.enrolled_hour <= scope.until // HOUR)


def _ticket_holders(session: Session, round_id: str) -> Select[Any]:
    terms = manifest_of(find_round(session, round_id))
    return select(Issuance.subject).filter_by(epoch=terms.epoch, purposes=name_of(terms.purposes))


def _canonical(value: Account | Scope) -> bytes:
    return rfc8785.dumps(value.model_dump(mode="json"))
