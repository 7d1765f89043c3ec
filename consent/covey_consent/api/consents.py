"""People's choices as JSON: what was decided, what stood when, what follows from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Header, Request, Response
from pydantic import AwareDatetime, Field
from sqlalchemy.orm import Session

from covey_consent.access.authorization import needs, reason
from covey_consent.access.roles import Caller, Role
from covey_consent.api.http import Here
from covey_consent.api.idempotency import OnceOnly, answer, response
from covey_consent.api.lean import lean
from covey_consent.api.pages import Cursor, Limit, Page
from covey_consent.api.preconditions import IfMatch, etag, require_match, tagged
from covey_consent.api.schemas import (
    Asked,
    Happened,
    Judged,
    JudgedEach,
    No,
    Past,
    Pseudonym,
    Restricted,
    Restriction,
    Stands,
    View,
    Yes,
    end,
    moment,
)
from covey_consent.decisions import batches, choices, decisions, history, states
from covey_consent.decisions.consent_event import EVERYTHING, GUARDIAN, SUBJECT, Act
from covey_consent.decisions.events import Recorded
from covey_consent.decisions.verdicts import Standing, Standings, Verdict, judge
from covey_consent.errors import DeniedError, RequestError
from covey_consent.policy import purposes
from covey_consent.registry import Registry
from covey_consent.storage.idempotency import Answer
from covey_consent.storage.models import Event, EventReason
from covey_consent.transparency import promises
from covey_privacy.registry_messages import GRANTED, Notice

router = APIRouter(prefix="/v1", tags=["consents"])

Said = Annotated[Yes | No, Field(discriminator="state")]
Speaker = Annotated[Caller, needs(Role.SUBJECT, Role.SERVICE, Role.OFFICER)]
Reader = Annotated[Caller, needs(Role.SUBJECT, Role.SERVICE, Role.OFFICER, Role.AUDITOR)]

Moment = Annotated[
    AwareDatetime, Field(ge=datetime(1970, 1, 1, tzinfo=UTC), lt=datetime(2200, 1, 1, tzinfo=UTC))
]

GPC = "gpc"
REQUEST = "request"


@router.post("/subjects/{subject}/consents", status_code=201, response_model=Happened)
@lean
async def decide(
    subject: Pseudonym, said: Said, here: Here, caller: Speaker, once: OnceOnly, request: Request
) -> Response:
    """Record what a person says to one purpose: a yes names the text it was said to, a no the purpose."""
    act = _act(here, caller, subject, said)
    if caller.role is Role.OFFICER:
        return await once.create(caller, _record_for, here, act, caller.name, reason(request) or "")
    if once.key is not None:
        return await once.create(caller, _record, here, act)
    return await here.recorder.answer([act], partial(_created, here))


@router.get("/subjects/{subject}/consents")
async def view(subject: Pseudonym, here: Here, _caller: Reader, at: Moment | None = None) -> View:
    """Return what stands for the person now, or what stood at a time, by the notices of that time."""
    if at is None:
        return _view(subject, here.calendar.milliseconds, await here.choices.of(subject), here.notices)
    asked = int(at.timestamp() * 1000)
    return _view(subject, asked, *await here.store.read(history.as_of, subject, asked))


@router.get("/subjects/{subject}/events")
async def events(
    subject: Pseudonym, here: Here, _caller: Reader, cursor: Cursor = None, limit: Limit = 100
) -> Page[Past]:
    """List everything that was said by the person or for them, oldest first; each has a receipt."""
    after = 0 if cursor is None else int(here.cursors.place(f"events {subject}", cursor)[0])
    found, why = await here.store.read(_history, subject, after, limit + 1)
    following = here.cursors.after(f"events {subject}", found[limit - 1].id) if len(found) > limit else None
    return Page[Past](items=[_past(event, why.get(event.event)) for event in found[:limit]], next=following)


@router.get("/subjects/{subject}/decisions/{purpose}", responses={200: {"model": Judged}})
@lean
async def verdict(subject: Pseudonym, purpose: str, here: Here, _caller: Reader) -> Response:
    """Say whether a purpose may be served for the person now, and if not, why."""
    purposes.find(purpose)
    found = judge(await here.choices.of(subject), purpose, here.notices, here.calendar.milliseconds)
    allowed = "true" if found is Verdict.ALLOWED else "false"
    return Response(f'{{"allowed":{allowed},"verdict":"{found}"}}', media_type="application/json")


@router.post("/decisions:batch", responses={200: {"model": JudgedEach}})
@lean
async def verdicts(asked: Asked, here: Here, _caller: Annotated[Caller, needs(Role.SERVICE)]) -> Response:
    """Return the verdict on one purpose for each of up to 10,000 people, in their order."""
    purposes.find(asked.purpose)
    known, now = await here.choices.of_each(asked.subjects), here.calendar.milliseconds
    found = batches.verdicts(asked.subjects, known, asked.purpose, here.notices, now)
    body = '","'.join(found)
    return Response(f'{{"purpose":"{asked.purpose}","verdicts":["{body}"]}}', media_type="application/json")


@router.get("/subjects/{subject}/restriction")
async def restriction(
    subject: Pseudonym,
    here: Here,
    _caller: Annotated[Caller, needs(Role.SUBJECT, Role.OFFICER, Role.AUDITOR)],
    answered: Response,
) -> Restricted:
    """Say whether all processing of the person's data is restricted; the ETag is needed to change that."""
    return tagged(answered, await here.store.read(_restriction, subject))


@router.put("/subjects/{subject}/restriction")
async def restrict(
    subject: Pseudonym,
    asked: Restriction,
    here: Here,
    caller: Annotated[Caller, needs(Role.SUBJECT, Role.OFFICER)],
    answered: Response,
    if_match: IfMatch = None,
) -> Happened:
    """Restrict all processing of the person's data, or lift every restriction there is (GDPR Art. 18)."""
    done = await here.store.write(_restrict, here, caller, subject, asked, if_match)
    tagged(answered, Restricted(restricted=asked.restricted))
    return happened(here, done)


@router.post("/subjects/{subject}/signals", status_code=204)
async def signal(
    subject: Pseudonym,
    here: Here,
    caller: Annotated[Caller, needs(Role.SUBJECT, Role.SERVICE)],
    _gpc: Annotated[str, Header(alias="Sec-GPC", pattern="^1$")],
) -> Response:
    """Take the Global Privacy Control signal: an objection to every purpose that shares data with others."""
    standings = await here.choices.of(subject)
    for purpose in purposes.load().values():
        if purpose.sale and not await _heeded(here, subject, purpose.id, standings):
            await _say(here, caller, subject, purpose.id, states.OBJECTED, GPC)
    return Response(status_code=204)


def happened(here: Registry, done: Recorded) -> Happened:
    """Return what was recorded as JSON, with the promise that the log will show it."""
    record = done.record
    return Happened(
        promise=promises.promise(here.key, record.registry, done.commitment, here.calendar).hex(),
        event=record.event, purpose=record.purpose, state=record.state, actor=record.actor,
        method=record.method, notice=record.notice, language=record.language, text_sha256=record.text,
        at=moment(record.at), expires_at=end(record.expires),
    )  # fmt: skip


async def _heeded(here: Registry, subject: str, purpose: str, standings: Standings) -> bool:
    """Say whether the signal says nothing new of a purpose.

    A browser sends it with each request, without a time: it is a general setting. It overrides every yes that
    it finds at first; a yes to this one purpose that the person gave in its dialogue after it had objected is
    the later and more specific act, and stands until they end it or it lapses.
    """
    choice = standings.get(purpose)
    state = states.NONE if choice is None else choice.at(here.calendar.milliseconds)
    if state == GRANTED:
        return await here.store.read(history.objected_by, subject, purpose, GPC)
    return state == states.OBJECTED


def _actor(caller: Caller, subject: str) -> str:
    """Return who speaks for the person; the guard let nobody pass who may not."""
    if caller.role is not Role.SUBJECT:
        return caller.role.value
    return SUBJECT if caller.subject == subject else GUARDIAN


async def _say(
    here: Registry, caller: Caller, subject: str, purpose: str, state: str, method: str = REQUEST
) -> Recorded:
    """Record what is always taken."""
    done, *_ = await here.recorder.submit([_no(here, caller, subject, purpose, state, method)])
    return done


def _created(here: Registry, done: Sequence[Recorded]) -> Response:
    return response(answer(happened(here, done[0])))


def _record(session: Session, here: Registry, act: Act) -> Answer:
    done, *_ = here.choices.record(session, [act])
    return answer(happened(here, done), act.subject)


def _record_for(session: Session, here: Registry, act: Act, name: str, why: str) -> Answer:
    """Record what an officer says for the person, and why."""
    done, *_ = here.choices.record(session, [act])
    session.add(EventReason(event=done.record.event, subject=act.subject, name=name, reason=why))
    return answer(happened(here, done), act.subject)


def _history(
    session: Session, subject: str, after: int, count: int
) -> tuple[Sequence[Event], Mapping[str, str]]:
    found = history.page(session, subject, after, count)
    return found, history.reasons(session, found)


def _restriction(session: Session, subject: str) -> Restricted:
    standing = choices.fetch(session, subject).get(EVERYTHING)
    return Restricted(restricted=standing is not None and standing.state == states.RESTRICTED)


def _restrict(
    session: Session, here: Registry, caller: Caller, subject: str, asked: Restriction, if_match: str | None
) -> Recorded:
    require_match(if_match, etag(_restriction(session, subject)))
    if asked.restricted:
        event = here.rights.restrict(session, subject, caller)
    else:
        event = here.rights.lift(session, subject, caller, asked.told)
    record, _ = here.choices.events.open(session, event)
    return Recorded(record, event.commitment)


def _act(here: Registry, caller: Caller, subject: str, said: Yes | No) -> Act:
    if isinstance(said, No):
        _require_possible(said)
        return _no(here, caller, subject, said.purpose, said.state)
    if caller.role is Role.OFFICER:
        raise DeniedError("nobody says yes for a person but they themselves, or a child's guardian")
    return _yes(here, subject, _actor(caller, subject), said)


def _no(here: Registry, caller: Caller, subject: str, purpose: str, state: str, method: str = REQUEST) -> Act:
    return Act(subject, purpose, state, _actor(caller, subject), method, here.calendar.milliseconds)


def _yes(here: Registry, subject: str, actor: str, said: Yes) -> Act:
    now, text = here.calendar.milliseconds, bytes.fromhex(said.text_sha256)
    grant = decisions.Grant(said.purpose, said.notice_version, said.language, text, said.method, now)
    shown = decisions.check_grant(grant, here.notices, here.calendar)
    return Act(
        subject, said.purpose, said.state, actor, said.method, now, notice=shown.semver,
        version=said.notice_version, language=said.language, text=text,
        expires_at=decisions.expiry(said.purpose, now),
    )  # fmt: skip


def _require_possible(said: No) -> None:
    basis = purposes.find(said.purpose).basis
    if said.state == states.OBJECTED and basis in ("contract", "law"):
        raise RequestError(
            f"purpose {said.purpose!r} rests on {basis}: no objection ends that (GDPR Art. 21); ask for "
            "erasure or restriction instead"
        )


def _view(subject: str, at: int, standings: Standings, notices: Mapping[str, Notice]) -> View:
    choices = [
        _stands(purpose, one, at, standings, notices)
        for purpose, one in sorted(standings.items())
        if one.state != states.NONE
    ]
    return View(subject=subject, at=moment(at), choices=choices)


def _past(event: Event, why: str | None) -> Past:
    return Past(
        event=event.event, purpose=event.purpose, state=event.state, actor=event.actor, method=event.method,
        notice=event.notice, language=event.language, at=moment(event.at), expires_at=end(event.expires_at),
        reason=why,
        source=event.source,
    )  # fmt: skip


def _stands(
    purpose: str, one: Standing, at: int, standings: Standings, notices: Mapping[str, Notice]
) -> Stands:
    found = Verdict.RESTRICTED if purpose == EVERYTHING else judge(standings, purpose, notices, at)
    return Stands(
        purpose=purpose, state=one.at(at), notice_version=one.notice_version,
        expires_at=end(one.expires_at), verdict=found,
    )  # fmt: skip
