"""Routes for people's consents: decisions, the current and past choices, restriction, GPC signals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from fastapi import APIRouter, Header, Request, Response
from pydantic import Field
from sqlalchemy.orm import Session

from covey_consent.access.idempotency import Answer
from covey_consent.access.roles import Caller, Role
from covey_consent.api.authorization import needs, reason
from covey_consent.api.http import RegistryDep
from covey_consent.api.pages import Page, Paging
from covey_consent.api.request_headers import IfMatch, OnceOnly, answer, etag, require_match, response, tagged
from covey_consent.api.schemas import (
    AskedMoment,
    Happened,
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
from covey_consent.decisions import grants, history, standing_choices, states
from covey_consent.decisions.consent_event import EVERYTHING, GUARDIAN, SUBJECT, CommittedRecord, ConsentEvent
from covey_consent.decisions.verdicts import Standings, Verdict, judge
from covey_consent.errors import DeniedError, RequestError
from covey_consent.policy import purposes
from covey_consent.registry import Registry
from covey_consent.storage.models import Event, EventReason
from covey_consent.transparency import promises
from covey_privacy.registry_messages import GRANTED, Notice

router = APIRouter(prefix="/v1", tags=["consents"])

Reader = Annotated[Caller, needs(Role.SUBJECT, Role.SERVICE, Role.OFFICER, Role.AUDITOR)]
SPEAKER = needs(Role.SUBJECT, Role.SERVICE, Role.OFFICER)
Speaker = Annotated[Caller, SPEAKER]
Said = Annotated[Yes | No, Field(discriminator="state")]

GPC = "gpc"
REQUEST = "request"


@router.post("/subjects/{subject}/consents", status_code=201, response_model=Happened)
async def decide(
    subject: Pseudonym,
    said: Said,
    registry: RegistryDep,
    caller: Speaker,
    once: OnceOnly,
    request: Request,
) -> Response:
    """Record what a person says to one purpose: a yes names the text it was said to, a no the purpose."""
    act = _act(registry, caller, subject, said)
    why = reason(request) or "" if caller.role is Role.OFFICER else None

    def record(session: Session) -> Answer:
        done, *_ = registry.choices.record(session, [act])
        if why is not None:
            event = done.record.event
            session.add(EventReason(event=event, subject=subject, name=caller.name, reason=why))
        return answer(happened(registry, done), subject)

    if why is not None or once.key is not None:
        return await once.create(caller, record)
    done, *_ = await registry.recorder.submit([act])
    return response(answer(happened(registry, done)))


@router.get("/subjects/{subject}/consents")
async def view(
    subject: Pseudonym, registry: RegistryDep, _caller: Reader, at: AskedMoment | None = None
) -> View:
    """Return what stands for the person now, or what stood at a time, by the notices of that time."""
    standings: Standings
    notices: Mapping[str, Notice]
    when = registry.calendar.milliseconds if at is None else int(at.timestamp() * 1000)
    if at is None:
        standings, notices = await registry.choices.find(subject), registry.notices
    else:
        standings, notices = await registry.store.read(history.as_of, subject, when)
    standing = [
        Stands(
            purpose=purpose,
            state=one.at(when),
            notice_version=one.notice_version,
            expires_at=end(one.expires_at),
            verdict=Verdict.RESTRICTED if purpose == EVERYTHING else judge(standings, purpose, notices, when),
        )
        for purpose, one in sorted(standings.items())
        if one.state != states.NONE
    ]
    return View(subject=subject, at=moment(when), choices=standing)


@router.get("/subjects/{subject}/events")
async def events(subject: Pseudonym, registry: RegistryDep, _caller: Reader, page: Paging) -> Page[Past]:
    """List everything that was said by the person or for them, oldest first; each has a receipt."""
    listing = f"events {subject}"

    def read(session: Session) -> tuple[Sequence[Event], Mapping[str, str]]:
        found = history.page(session, subject, page.number(listing), page.limit + 1)
        return found, history.reasons(session, found)

    found, why = await registry.store.read(read)
    names = Past.model_fields.keys() - {"reason"}
    items = [
        Past(**{name: getattr(event, name) for name in names}, reason=why.get(event.event))
        for event in found[: page.limit]
    ]
    return Page[Past](items=items, next=page.following(listing, found, lambda event: event.id))


@router.get("/subjects/{subject}/restriction")
async def restriction(
    subject: Pseudonym,
    registry: RegistryDep,
    _caller: Annotated[Caller, needs(Role.SUBJECT, Role.OFFICER, Role.AUDITOR)],
    answered: Response,
) -> Restricted:
    """Say whether all processing of the person's data is restricted; the ETag is needed to change that."""
    return tagged(answered, await registry.store.read(_restriction, subject))


@router.put("/subjects/{subject}/restriction")
async def restrict(
    subject: Pseudonym,
    asked: Restriction,
    registry: RegistryDep,
    caller: Annotated[Caller, needs(Role.SUBJECT, Role.OFFICER)],
    answered: Response,
    if_match: IfMatch = None,
) -> Happened:
    """Restrict all processing of the person's data, or lift every restriction there is (GDPR Art. 18)."""

    def change(session: Session) -> CommittedRecord:
        require_match(if_match, etag(_restriction(session, subject)))
        if asked.restricted:
            event = registry.rights.restrict(session, subject, caller)
        else:
            event = registry.rights.lift(session, subject, caller, asked.told)
        record, _ = registry.choices.events.open(session, event)
        return CommittedRecord(record, event.commitment)

    done = await registry.store.write(change)
    tagged(answered, Restricted(restricted=asked.restricted))
    return happened(registry, done)


def _restriction(session: Session, subject: str) -> Restricted:
    standing = standing_choices.fetch(session, subject).get(EVERYTHING)
    return Restricted(restricted=standing is not None and standing.state == states.RESTRICTED)


@router.post("/subjects/{subject}/signals", status_code=204)
async def signal(
    subject: Pseudonym,
    registry: RegistryDep,
    caller: Annotated[Caller, needs(Role.SUBJECT, Role.SERVICE)],
    _gpc: Annotated[str, Header(alias="Sec-GPC", pattern="^1$")],
) -> Response:
    """Take the Global Privacy Control signal: an objection to every purpose that shares data with others."""
    standings = await registry.choices.find(subject)
    for purpose in purposes.load().values():
        if purpose.sale and not await _heeded(registry, subject, purpose.id, standings):
            no = _no(registry, caller, subject, No(purpose=purpose.id, state="objected"), GPC)
            await registry.recorder.submit([no])
    return Response(status_code=204)


async def _heeded(registry: Registry, subject: str, purpose: str, standings: Standings) -> bool:
    """Say whether the signal changes nothing for a purpose.

    A browser sends it with each request, without a time: it is a general setting. It overrides every yes that
    it finds at first; a yes to this one purpose that the person gave in its dialogue after it had objected is
    the later and more specific act, and stands until they end it or it lapses.
    """
    choice = standings.get(purpose)
    state = states.NONE if choice is None else choice.at(registry.calendar.milliseconds)
    if state == GRANTED:
        return await registry.store.read(history.objected_by, subject, purpose, GPC)
    return state == states.OBJECTED


def happened(registry: Registry, done: CommittedRecord) -> Happened:
    """Return the recorded event as JSON, with the promise that the log will hold it."""
    record = done.record
    names = ("event", "purpose", "state", "actor", "method", "notice", "language")
    return Happened(
        **{name: getattr(record, name) for name in names},
        text_sha256=record.text,
        at=moment(record.at),
        expires_at=end(record.expires),
        promise=promises.promise(registry.key, record.registry, done.commitment, registry.calendar).hex(),
    )


def _act(registry: Registry, caller: Caller, subject: str, said: Yes | No) -> ConsentEvent:
    if isinstance(said, No):
        basis = purposes.find(said.purpose).basis
        if said.state == states.OBJECTED and basis in ("contract", "law"):
            raise RequestError(
                f"purpose {said.purpose!r} rests on {basis}: no objection ends that (GDPR Art. 21); ask for "
                "erasure or restriction instead"
            )
        return _no(registry, caller, subject, said, REQUEST)
    if caller.role is Role.OFFICER:
        raise DeniedError("nobody says yes for a person but they themselves, or a child's guardian")
    now, text = registry.calendar.milliseconds, bytes.fromhex(said.text_sha256)
    grant = grants.Grant(said.purpose, said.notice_version, said.language, text, said.method, now)
    shown = grants.check_grant(grant, registry.notices, registry.calendar)
    return ConsentEvent(
        subject, said.purpose, said.state, _actor(caller, subject), said.method, now, notice=shown.semver,
        version=said.notice_version, language=said.language, text=text,
        expires_at=grants.expiry(said.purpose, now),
    )  # fmt: skip


def _no(registry: Registry, caller: Caller, subject: str, said: No, method: str) -> ConsentEvent:
    actor = _actor(caller, subject)
    return ConsentEvent(subject, said.purpose, said.state, actor, method, registry.calendar.milliseconds)


def _actor(caller: Caller, subject: str) -> str:
    """Return the event's actor: the person, their guardian, or the role of the caller."""
    if caller.role is not Role.SUBJECT:
        return caller.role.value
    return SUBJECT if caller.subject == subject else GUARDIAN
