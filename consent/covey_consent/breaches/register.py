"""The register of breaches (GDPR Art. 33(5)): each is opened, told of or not for a reason, and closed."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import rfc8785
from sqlalchemy import func, select, tuple_
from sqlalchemy.orm import Session

from covey_consent.access.roles import Caller
from covey_consent.breaches import states
from covey_consent.breaches.account import Account, Scope, missing
from covey_consent.breaches.states import State, Step
from covey_consent.breaches.tables import Breach, BreachStep
from covey_consent.errors import ConflictError, RequestError, UnknownError
from covey_consent.tickets.epoch_calendar import Calendar

OPENED = "open"

Place = tuple[int, str]
"""Where a page of breaches begins: after the one of this time of detection and id."""


@dataclass(frozen=True, slots=True)
class Register:
    """The register; the authority is told within `seconds` of the detection."""

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
            id=uuid.uuid4().hex, state=State.OPEN, detected_at=detected_at, due_at=detected_at + self.seconds,
            scope=_canonical(scope), account=_canonical(account), version=0,
        )  # fmt: skip
        session.add(breach)
        session.flush()
        self._keep(session, breach, OPENED, caller, "")
        return breach

    def take(
        self, session: Session, id_: str, step: Step, account: Account | None, caller: Caller, reason: str
    ) -> Breach:
        """Take a step, with a newer account if there is one. Raises ConflictError where it cannot follow."""
        breach = find(session, id_)
        reached = states.advance(State(breach.state), step)
        if account is not None:
            breach.account = _canonical(account)
        self._check(breach, step, reason)
        breach.state = reached
        if step is Step.NOTIFY_AUTHORITY and breach.authority_at is None:
            breach.authority_at = self.calendar.now
        if step is Step.NOTIFY_PEOPLE and breach.people_at is None:
            breach.people_at = self.calendar.now
        self._keep(session, breach, step, caller, reason)
        return breach

    def overdue(self, session: Session) -> int:
        """Count the breaches of which the authority should have heard by now: what an alarm watches."""
        query = select(func.count()).select_from(Breach).where(Breach.due_at < self.calendar.now)
        query = query.where(Breach.authority_at.is_(None), Breach.state != State.CLOSED)
        return session.scalar(query) or 0

    def late(self, breach: Breach) -> bool:
        """Say whether the authority has not heard, and should have by now."""
        return breach.authority_at is None and breach.state != State.CLOSED and self._past(breach)

    def page(self, session: Session, after: Place | None, limit: int) -> Sequence[Breach]:
        """Return breaches by time of detection."""
        query = select(Breach).order_by(Breach.detected_at, Breach.id).limit(limit)
        if after is not None:
            query = query.where(tuple_(Breach.detected_at, Breach.id) > after)
        return session.scalars(query).all()

    def _past(self, breach: Breach) -> bool:
        return self.calendar.now > breach.due_at

    def _check(self, breach: Breach, step: Step, reason: str) -> None:
        account = account_of(breach)
        first = step is Step.NOTIFY_AUTHORITY and breach.authority_at is None
        if first and self._past(breach) and not reason:
            raise RequestError("the authority is told late; give the reasons for the delay: GDPR Art. 33(1)")
        if step is Step.NOTIFY_AUTHORITY and missing(account) and not reason:
            raise RequestError(
                f"the account lacks {_list(account)}; add it, or say why it follows: Art. 33(4)"
            )
        told = account.nature, account.contact, account.consequences, account.measures
        if step is Step.NOTIFY_PEOPLE and not all(told):
            raise RequestError("people are told: nature, contact, consequences and measures: GDPR Art. 34(2)")
        if step is Step.CLOSE:
            _check_closing(breach, account, reason)

    def _keep(self, session: Session, breach: Breach, step: str, caller: Caller, reason: str) -> None:
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
    """Return what is known of the breach so far."""
    return Account.model_validate_json(breach.account)


def scope_of(breach: Breach) -> Scope:
    """Return what the breach hit."""
    return Scope.model_validate_json(breach.scope)


def find(session: Session, id_: str) -> Breach:
    """Return the breach. Raises UnknownError."""
    breach = session.get(Breach, id_)
    if breach is None:
        raise UnknownError("there is no such breach; /v1/breaches lists them")
    return breach


def steps(session: Session, id_: str) -> Sequence[BreachStep]:
    """Return the breach's steps, oldest first."""
    query = select(BreachStep).filter_by(breach=id_).order_by(BreachStep.number)
    return session.scalars(query).all()


def _check_closing(breach: Breach, account: Account, reason: str) -> None:
    if breach.authority_at is None and not reason:
        raise RequestError("the authority was not told; say why no risk is likely: GDPR Art. 33(1) and (5)")
    if breach.authority_at is not None and missing(account):
        raise ConflictError(f"the account lacks {_list(account)}; the authority is owed it: GDPR Art. 33(4)")
    if account.high_risk and breach.people_at is None and not reason:
        raise RequestError("the risk is high and people were not told; say why not: GDPR Art. 34(3)")


def _list(account: Account) -> str:
    return "; ".join(missing(account))


def _canonical(value: Account | Scope) -> bytes:
    return rfc8785.dumps(value.model_dump(mode="json"))
