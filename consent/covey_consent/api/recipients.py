"""Routes for recipients of personal data, who are notified of decisions (GDPR Art. 19)."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field, StringConstraints
from sqlalchemy.orm import Session

from covey_consent.access.idempotency import Answer
from covey_consent.access.roles import Caller, Role
from covey_consent.api.authorization import needs
from covey_consent.api.http import RegistryDep
from covey_consent.api.pages import Page, Paging
from covey_consent.api.request_headers import IfMatch, OnceOnly, answer, etag, require_match, tagged
from covey_consent.api.schemas import ClosedModel, Name, Pseudonym
from covey_consent.api.subjects import Reader
from covey_consent.decisions import subjects
from covey_consent.recipients import addresses, register
from covey_consent.recipients.register import Recipient

router = APIRouter(prefix="/v1", tags=["recipients"])

LISTING = "recipients"

PASSING = ("letters",)
"""What changes as letters are sent."""

Admin = Annotated[Caller, needs(Role.ADMIN)]
Watcher = Annotated[Caller, needs(Role.ADMIN, Role.OFFICER, Role.AUDITOR)]


class NewRecipient(ClosedModel):
    """A recipient to be told what people decide on these purposes."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]
    url: Annotated[str, StringConstraints(max_length=addresses.LIMIT)]
    purposes: Annotated[list[Name], Field(min_length=1, max_length=100)]


class DeliverySwitch(ClosedModel):
    """Whether a recipient is told things."""

    active: bool


class KnownRecipient(BaseModel):
    """A recipient; `letters` counts what it was told, waits for, or never took (dead)."""

    id: str
    name: str
    url: str
    purposes: list[str]
    active: bool
    letters: dict[str, int]


class AddedRecipient(KnownRecipient):
    """A recipient, with the keys that check what it is told: the secret is shown this once."""

    public_key: str
    secret: str


class Told(BaseModel):
    """Who received a person's data, as the controller states, and whom the registry told of what."""

    stated: list[dict[str, Any]]
    told: list[dict[str, Any]]


@router.post("/recipients", status_code=201, response_model=AddedRecipient)
async def add_recipient(said: NewRecipient, registry: RegistryDep, caller: Admin, once: OnceOnly) -> Response:
    """Add a recipient; the answer has the keys by which it checks what it is told."""

    def add(session: Session) -> Answer:
        url = addresses.check_url(said.url, private=registry.settings.private_recipients)
        added = register.add_recipient(session, said.name, url, said.purposes, registry.calendar)
        public, secret = registry.outbox.signer.public, registry.outbox.signer.secret(added.id)
        return answer(AddedRecipient(**_plain(added, {}), public_key=public, secret=secret))

    return await once.create(caller, add)


@router.get("/recipients")
async def list_recipients(registry: RegistryDep, _caller: Watcher, page: Paging) -> Page[KnownRecipient]:
    """List recipients by name."""

    def read(session: Session) -> Page[KnownRecipient]:
        rows = register.page_of_recipients(session, page.name(LISTING), page.limit + 1)
        letters = register.count_notifications(session, [row.id for row in rows])
        return Page[KnownRecipient](
            items=[KnownRecipient(**_plain(row, letters.get(row.id, {}))) for row in rows[: page.limit]],
            next=page.following(LISTING, rows, lambda row: row.name),
        )

    return await registry.store.read(read)


@router.get("/recipients/{id_}")
async def read_recipient(
    id_: str, registry: RegistryDep, _caller: Watcher, response: Response
) -> KnownRecipient:
    """Return a recipient; its ETag is needed to change it."""
    return tagged(response, await registry.store.read(_read, id_), *PASSING)


@router.patch("/recipients/{id_}")
async def set_recipient(
    id_: str,
    said: DeliverySwitch,
    registry: RegistryDep,
    _caller: Admin,
    response: Response,
    if_match: IfMatch = None,
) -> KnownRecipient:
    """Tell a recipient things, or no longer; what it was to be told waits."""

    def change(session: Session) -> KnownRecipient:
        require_match(if_match, etag(_read(session, id_), *PASSING))
        register.find_recipient(session, id_).active = said.active
        return _read(session, id_)

    return tagged(response, await registry.store.write(change), *PASSING)


@router.post("/recipients/{id_}/retries", status_code=204)
async def retry_recipient(id_: str, registry: RegistryDep, _caller: Admin) -> Response:
    """Send again what the recipient did not take in all the attempts that there were."""
    await registry.store.write(
        lambda session: registry.outbox.retry(session, register.find_recipient(session, id_).id)
    )
    return Response(status_code=204)


@router.get("/subjects/{subject}/recipients")
async def read_told(subject: Pseudonym, registry: RegistryDep, _caller: Reader) -> Told:
    """Say who receives the person's data, and what each was told of them: GDPR Art. 19."""

    def read(session: Session) -> Told:
        subjects.find(session, subject)
        stated = [one.model_dump(mode="json") for one in registry.controller.recipients]
        return Told(stated=stated, told=register.disclosures_of(session, registry.outbox.signer, subject))

    return await registry.store.read(read)


def _read(session: Session, id_: str) -> KnownRecipient:
    letters = register.count_notifications(session, [id_]).get(id_, {})
    return KnownRecipient(**_plain(register.find_recipient(session, id_), letters))


def _plain(row: Recipient, letters: dict[str, int]) -> dict[str, Any]:
    same = {name: getattr(row, name) for name in ("id", "name", "url", "active")}
    return {**same, "purposes": row.purposes.split("+"), "letters": letters}
