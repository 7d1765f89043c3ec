"""How many people a breach touches: a count, and nobody's name."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, func, select, union_all
from sqlalchemy.orm import Session

from covey_consent.breaches.account import Scope
from covey_consent.policy import purposes
from covey_consent.rounds.manifests import find_round, manifest_of
from covey_consent.storage.models import HOUR, Event, Issuance, Subject
from covey_consent.tickets.issuers import name_of


def count(session: Session, scope: Scope) -> int:
    """Return how many people had tickets for these rounds, or a record of these purposes from the span.

    Without either it is everyone who enrolled or decided in the span. A purpose that rests on contract or law
    touches everyone who enrolled before the span ended: nobody decides on it. Who joined a round the registry
    cannot know: whoever had tickets for it is counted. Both are never fewer. Who was erased since is not
    counted. Raises UnknownError for a round that was not logged or an unknown purpose, RequestError for a
    purpose that is never offered.
    """
    named = [purposes.find(name) for name in scope.purposes]
    hit: list[Select[Any]] = [_round(session, name) for name in scope.rounds]
    if scope.purposes or not scope.rounds:
        hit.append(_decided(scope))
    if not scope.purposes and not scope.rounds:
        hit.append(_enrolled(scope))
    if not all(purpose.needs_consent for purpose in named):
        hit.append(_enrolled(scope.model_copy(update={"since": 0})))
    people = union_all(*hit).subquery().c.subject
    return session.scalar(select(func.count(people.distinct()))) or 0


def _decided(scope: Scope) -> Select[Any]:
    query = select(Event.subject).where(Event.received_at >= scope.since * 1000)
    if scope.purposes:
        query = query.where(Event.purpose.in_(scope.purposes))
    return query if scope.until is None else query.where(Event.received_at <= scope.until * 1000)


def _enrolled(scope: Scope) -> Select[Any]:
    query = select(Subject.subject).where(Subject.enrolled_hour >= scope.since // HOUR)
    return query if scope.until is None else query.where(Subject.enrolled_hour <= scope.until // HOUR)


def _round(session: Session, round_id: str) -> Select[Any]:
    terms = manifest_of(find_round(session, round_id))
    return select(Issuance.subject).filter_by(epoch=terms.epoch, purposes=name_of(terms.purposes))
