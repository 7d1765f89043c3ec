"""People's choices as JSON: what was decided, what stood when, what follows from it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Header, Response
from pydantic import Field
from sqlalchemy.orm import Session

from covey_consent import batches, decisions, history, purposes, states, subjects
from covey_consent.access.guard import needs
from covey_consent.access.roles import Caller, Role
from covey_consent.api.http import Here
from covey_consent.api.schemas import (
    Asked,
    Happened,
    No,
    Pseudonym,
    Restriction,
    Stands,
    View,
    Yes,
    end,
    moment,
)
from covey_consent.errors import DeniedError, RequestError
from covey_consent.events import EVERYTHING, GUARDIAN, SUBJECT, Act
from covey_consent.models import Subject
from covey_consent.records import Record
from covey_consent.registry import Registry
from covey_consent.verdicts import Standing, Standings, Verdict, judge

router = APIRouter(prefix="/v1", tags=["consents"])

Said = Annotated[Yes | No, Field(discriminator="state")]
Speaker = Annotated[Caller, needs(Role.SUBJECT, Role.SERVICE, Role.OFFICER)]
Reader = Annotated[Caller, needs(Role.SUBJECT, Role.SERVICE, Role.OFFICER, Role.AUDITOR)]

GPC = "gpc"


@router.post("/subjects/{subject}/consents", status_code=201)
async def decide(subject: Pseudonym, said: Said, here: Here, caller: Speaker) -> Happened:
    """Record what a person says to one purpose: a yes names the text it was said to, a no the purpose."""
    return happened(await here.store.write(_decide, here, caller, subject, said))


@router.get("/subjects/{subject}/consents")
async def view(subject: Pseudonym, here: Here, caller: Reader, at: datetime | None = None) -> View:
    """Return what stands for the person now, or what stood at a time."""
    await here.store.read(require_own, caller, subject)
    now = here.calendar.milliseconds
    if at is None:
        return _view(subject, now, await here.choices.of(subject), here)
    asked = int(at.timestamp() * 1000)
    return _view(subject, asked, await here.store.read(history.as_of, subject, asked), here)


@router.get("/subjects/{subject}/decisions/{purpose}")
async def verdict(subject: Pseudonym, purpose: str, here: Here, caller: Reader) -> Response:
    """Say whether a purpose may be served for the person now, and if not, why."""
    if caller.role is Role.SUBJECT:
        await here.store.read(require_own, caller, subject)
    purposes.find(purpose)
    found = judge(await here.choices.of(subject), purpose, here.notices, here.calendar.milliseconds)
    allowed = "true" if found is Verdict.ALLOWED else "false"
    return Response(f'{{"allowed":{allowed},"verdict":"{found}"}}', media_type="application/json")


@router.post("/decisions:batch")
async def verdicts(asked: Asked, here: Here, _caller: Annotated[Caller, needs(Role.SERVICE)]) -> Response:
    """Return the verdict on one purpose for each of up to 10,000 people, in their order."""
    purposes.find(asked.purpose)
    found = await here.store.read(
        batches.verdicts, asked.purpose, asked.subjects, here.notices, here.calendar.milliseconds
    )
    body = '","'.join(found)
    return Response(f'{{"purpose":"{asked.purpose}","verdicts":["{body}"]}}', media_type="application/json")


@router.put("/subjects/{subject}/restriction")
async def restrict(
    subject: Pseudonym,
    asked: Restriction,
    here: Here,
    caller: Annotated[Caller, needs(Role.SUBJECT, Role.OFFICER)],
) -> Happened:
    """Restrict all processing of the person's data, or lift that (GDPR Art. 18)."""
    state = states.RESTRICTED if asked.restricted else states.LIFTED
    return happened(await here.store.write(_say, here, caller, subject, EVERYTHING, state, "request"))


@router.post("/subjects/{subject}/signals", status_code=204)
async def signal(
    subject: Pseudonym,
    here: Here,
    caller: Annotated[Caller, needs(Role.SUBJECT, Role.SERVICE)],
    _gpc: Annotated[str, Header(alias="Sec-GPC", pattern="^1$")],
) -> Response:
    """Take the Global Privacy Control signal: an objection to every purpose that shares data with others."""
    await here.store.write(_object_to_sale, here, caller, subject)
    return Response(status_code=204)


def happened(record: Record) -> Happened:
    """Return a record as JSON."""
    return Happened(
        event=record.event, purpose=record.purpose, state=record.state, actor=record.actor,
        method=record.method, notice=record.notice, language=record.language, text_sha256=record.text,
        at=moment(record.at), expires_at=end(record.expires),
    )  # fmt: skip


def _decide(session: Session, here: Registry, caller: Caller, subject: str, said: Yes | No) -> Record:
    if isinstance(said, No):
        _require_objectable(said)
        return _say(session, here, caller, subject, said.purpose, said.state, "request")
    actor = _actor(session, caller, subject)
    if caller.role is Role.OFFICER:
        raise DeniedError("nobody says yes for a person but they themselves, or a child's guardian")
    now = here.calendar.milliseconds
    text = bytes.fromhex(said.text_sha256)
    grant = decisions.Grant(said.purpose, said.notice_version, said.language, text, said.method, now)
    decisions.check_grant(grant, here.notices, here.calendar)
    act = Act(
        subject, said.purpose, said.state, actor, said.method, now, notice=str(said.notice_version),
        version=said.notice_version, language=said.language, text=text,
        expires_at=decisions.expiry(said.purpose, now),
    )  # fmt: skip
    decisions.require_of_age(session, [act], here.calendar)
    (record,) = here.choices.record(session, [act])
    return record


def _say(
    session: Session, here: Registry, caller: Caller, subject: str, purpose: str, state: str, method: str
) -> Record:
    """Record what is always taken, on the terms that stand."""
    actor = _actor(session, caller, subject)
    if purpose != EVERYTHING:
        purposes.find(purpose)
    act = Act(subject, purpose, state, actor, method, here.calendar.milliseconds)
    (record,) = here.choices.record(session, [act])
    return record


def _object_to_sale(session: Session, here: Registry, caller: Caller, subject: str) -> None:
    for purpose in purposes.load().values():
        if purpose.sale:
            _say(session, here, caller, subject, purpose.id, states.OBJECTED, GPC)


def _actor(session: Session, caller: Caller, subject: str) -> str:
    """Return who speaks for the person. Raises DeniedError where the caller may not."""
    require_own(session, caller, subject)
    if caller.role is Role.SUBJECT:
        return SUBJECT if caller.subject == subject else GUARDIAN
    return caller.role.value


def require_own(session: Session, caller: Caller, subject: str) -> None:
    """Raise DeniedError where a person asks about another than themselves or their ward."""
    if caller.role is Role.SUBJECT and caller.subject != subject:
        person = session.get(Subject, subject)
        if person is None or person.guardian is None or person.guardian != caller.subject:
            raise DeniedError("a person's choices are theirs, and a child's guardian's; not yours")
    subjects.find(session, subject)


def _require_objectable(said: No) -> None:
    if said.state == states.OBJECTED and purposes.find(said.purpose).basis in ("contract", "law"):
        raise RequestError(
            f"purpose {said.purpose!r} rests on {purposes.find(said.purpose).basis}: it ends with it, and no "
            "objection ends it (GDPR Art. 21); ask for erasure or restriction instead"
        )


def _view(subject: str, at: int, standings: Standings, here: Registry) -> View:
    choices = [_stands(purpose, one, at, standings, here) for purpose, one in sorted(standings.items())]
    return View(subject=subject, at=moment(at), choices=choices)


def _stands(purpose: str, one: Standing, at: int, standings: Standings, here: Registry) -> Stands:
    found = Verdict.RESTRICTED if purpose == EVERYTHING else judge(standings, purpose, here.notices, at)
    return Stands(
        purpose=purpose, state=one.at(at), notice_version=one.notice_version,
        expires_at=end(one.expires_at), verdict=found,
    )  # fmt: skip
