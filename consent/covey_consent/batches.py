"""Verdicts for many people at once, in one query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import and_, select
from sqlalchemy.orm import Session, aliased

from covey_consent import states
from covey_consent.events import EVERYTHING
from covey_consent.models import StandingChoice, Subject
from covey_consent.store import listed
from covey_consent.verdicts import Standing, Standings, Verdict, judge
from covey_privacy.consent import Notice

_CHOICE, _RESTRICTION = aliased(StandingChoice), aliased(StandingChoice)


class Facts(NamedTuple):
    """What is known of one person and purpose; many people share them."""

    state: str | None
    notice_version: int | None
    expires_at: int | None
    restriction: str | None

    def standings(self, purpose: str) -> Standings:
        """Return the facts as the person's choices."""
        choice = Standing(self.state or states.NONE, self.notice_version or 0, self.expires_at or 0)
        return {purpose: choice, EVERYTHING: Standing(self.restriction or states.NONE, 0, 0)}


def verdicts(
    session: Session, purpose: str, subjects: Sequence[str], notices: Mapping[str, Notice], now: int
) -> list[Verdict]:
    """Return the verdict for each person at `now` (Unix milliseconds), in their order."""
    asked = listed(session, subjects)
    query = (
        select(
            Subject.subject, _CHOICE.state, _CHOICE.notice_version, _CHOICE.expires_at, _RESTRICTION.state
        )
        .select_from(asked)
        .join(Subject, Subject.subject == asked.c.value)
        .outerjoin(_CHOICE, and_(_CHOICE.subject == Subject.subject, _CHOICE.purpose == purpose))
        .outerjoin(
            _RESTRICTION, and_(_RESTRICTION.subject == Subject.subject, _RESTRICTION.purpose == EVERYTHING)
        )
    )  # fmt: skip
    judged: dict[Facts, Verdict] = {}
    found: dict[str, Verdict] = {}
    for subject, state, version, expires_at, restriction in session.execute(query):
        facts = Facts(state, version, expires_at, restriction)
        if facts not in judged:
            judged[facts] = judge(facts.standings(purpose), purpose, notices, now)
        found[subject] = judged[facts]
    return [found.get(subject, Verdict.UNKNOWN) for subject in subjects]
