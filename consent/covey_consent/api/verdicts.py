"""Verdicts: whether a purpose may be served for a person now."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import Field

from covey_consent.access.roles import Caller, Role
from covey_consent.api.authorization import needs
from covey_consent.api.http import RegistryDep
from covey_consent.api.schemas import ClosedModel, Name, Pseudonym
from covey_consent.decisions.verdicts import Verdict, judge, judge_each
from covey_consent.policy import purposes

router = APIRouter(prefix="/v1", tags=["consents"])

READER = needs(Role.SUBJECT, Role.SERVICE, Role.OFFICER, Role.AUDITOR)
Reader = Annotated[Caller, READER]


class VerdictsRequest(ClosedModel):
    """One purpose, and the people in question."""

    purpose: Name
    subjects: Annotated[list[Pseudonym], Field(min_length=1, max_length=10_000)]


class Judged(ClosedModel):
    """Whether a purpose may be served for a person now, and if not, why."""

    allowed: bool
    verdict: Verdict


class JudgedEach(ClosedModel):
    """The verdicts on one purpose, in the order of the people asked about."""

    purpose: str
    verdicts: list[Verdict]


@router.get("/subjects/{subject}/decisions/{purpose}", responses={200: {"model": Judged}})
async def verdict(subject: Pseudonym, purpose: str, registry: RegistryDep, _caller: Reader) -> Response:
    """Say whether a purpose may be served for the person now, and if not, why."""
    purposes.find(purpose)
    found = judge(
        await registry.choices.find(subject), purpose, registry.notices, registry.calendar.milliseconds
    )
    allowed = "true" if found is Verdict.ALLOWED else "false"
    return Response(f'{{"allowed":{allowed},"verdict":"{found}"}}', media_type="application/json")


ASKER = needs(Role.SERVICE)


@router.post("/decisions:batch", responses={200: {"model": JudgedEach}})
async def verdicts(
    asked: VerdictsRequest, registry: RegistryDep, _caller: Annotated[Caller, ASKER]
) -> Response:
    """Return the verdict on one purpose for each of up to 10,000 people, in their order."""
    purposes.find(asked.purpose)
    known, now = await registry.choices.find_each(asked.subjects), registry.calendar.milliseconds
    found = judge_each(asked.subjects, known, asked.purpose, registry.notices, now)
    body = '","'.join(found)
    return Response(f'{{"purpose":"{asked.purpose}","verdicts":["{body}"]}}', media_type="application/json")
