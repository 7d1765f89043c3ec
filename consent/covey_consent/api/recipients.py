"""The recipients' routes: who is told, what each was told, and how they check who told them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field, StringConstraints
from sqlalchemy.orm import Session

from covey_consent.access.authorization import needs
from covey_consent.access.roles import Caller, Role
from covey_consent.api.http import Here
from covey_consent.api.idempotency import OnceOnly, answer
from covey_consent.api.pages import Cursor, Limit, Page, following
from covey_consent.api.preconditions import IfMatch, etag, require_match, tagged
from covey_consent.api.rights import Reader
from covey_consent.api.schemas import Name, Pseudonym, config, shown
from covey_consent.decisions import subjects
from covey_consent.recipients import addresses, register
from covey_consent.recipients.register import Recipient
from covey_consent.registry import Registry
from covey_consent.storage.idempotency import Answer

router = APIRouter(tags=["recipients"])

LISTING = "recipients"

PASSING = ("letters",)
"""What changes as letters are sent."""

Admin = Annotated[Caller, needs(Role.ADMIN)]
Watcher = Annotated[Caller, needs(Role.ADMIN, Role.OFFICER, Role.AUDITOR)]
Called = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]


_EXAMPLE: dict[str, Any] = {
    "id": "0f" * 16, "name": "Example Mail", "url": "https://mail.example/covey",
    "purposes": ["marketing"], "active": True, "letters": {"told": 12, "waiting": 1},
}  # fmt: skip


class NewRecipient(BaseModel):
    """A recipient to be told what people decide on these purposes."""

    model_config = config(
        {"name": "Example Mail", "url": "https://mail.example/covey", "purposes": ["marketing"]}
    )

    name: Called
    url: Annotated[str, StringConstraints(max_length=addresses.LIMIT)]
    purposes: Annotated[list[Name], Field(min_length=1, max_length=100)]


class Standing(BaseModel):
    """Whether a recipient is told things."""

    model_config = config({"active": False})

    active: bool


class KnownRecipient(BaseModel):
    """A recipient; `letters` counts what it was told, waits for, or never took (dead)."""

    model_config = shown(_EXAMPLE)

    id: str
    name: str
    url: str
    purposes: list[str]
    active: bool
    letters: dict[str, int]


class AddedRecipient(KnownRecipient):
    """A recipient, with the keys that check what it is told: the secret is shown this once."""

    model_config = shown({**_EXAMPLE, "public_key": "ab" * 32, "secret": "cd" * 32})

    public_key: str
    secret: str


class Told(BaseModel):
    """Who received a person's data, as the controller states, and whom the registry told of what."""

    model_config = shown(
        {
            "stated": [{"name": "Example Shop", "role": "processor", "country": "DE", "purposes": ["core"]}],
            "told": [
                {
                    "name": "Example Mail", "purposes": ["marketing"], "pseudonym": "0f" * 16,
                    "told": [{"event": "withdrawn", "state": "told", "since": 1, "told_at": 2}],
                }
            ],
        }
    )  # fmt: skip

    stated: list[dict[str, Any]]
    told: list[dict[str, Any]]


@router.post("/v1/recipients", status_code=201, response_model=AddedRecipient)
async def add_recipient(said: NewRecipient, here: Here, caller: Admin, once: OnceOnly) -> Response:
    """Add a recipient; the answer has the keys by which it checks what it is told."""
    return await once.create(caller, _add, here, said)


@router.get("/v1/recipients")
async def list_recipients(
    here: Here, _caller: Watcher, cursor: Cursor = None, limit: Limit = 100
) -> Page[KnownRecipient]:
    """List recipients by name."""
    return await here.store.read(_page, here, cursor, limit)


@router.get("/v1/recipients/{id_}")
async def read_recipient(id_: str, here: Here, _caller: Watcher, response: Response) -> KnownRecipient:
    """Return a recipient; its ETag is needed to change it."""
    return tagged(response, await here.store.read(_read, id_), *PASSING)


@router.patch("/v1/recipients/{id_}")
async def set_recipient(
    id_: str, said: Standing, here: Here, _caller: Admin, response: Response, if_match: IfMatch = None
) -> KnownRecipient:
    """Tell a recipient things, or no longer; what it was to be told waits."""
    return tagged(response, await here.store.write(_set, id_, said.active, if_match), *PASSING)


@router.post("/v1/recipients/{id_}/retries", status_code=204)
async def retry_recipient(id_: str, here: Here, _caller: Admin) -> Response:
    """Send again what the recipient did not take in all the attempts that there were."""
    await here.store.write(_retry, here, id_)
    return Response(status_code=204)


@router.get("/v1/subjects/{subject}/recipients")
async def read_told(subject: Pseudonym, here: Here, _caller: Reader) -> Told:
    """Say who receives the person's data, and what each was told of them: GDPR Art. 19."""
    return await here.store.read(_told, here, subject)


def _add(session: Session, here: Registry, said: NewRecipient) -> Answer:
    url = addresses.check_url(said.url, private=here.settings.private_recipients)
    added = register.add_recipient(session, said.name, url, said.purposes, here.calendar)
    public, secret = here.outbox.signer.public, here.outbox.signer.secret(added.id)
    return answer(AddedRecipient(**_plain(added, {}), public_key=public, secret=secret))


def _page(session: Session, here: Registry, cursor: str | None, limit: int) -> Page[KnownRecipient]:
    after = "" if cursor is None else str(here.cursors.place(LISTING, cursor)[0])
    rows = register.page_of_recipients(session, after, limit + 1)
    letters = register.count_notifications(session, [row.id for row in rows])
    return Page[KnownRecipient](
        items=[KnownRecipient(**_plain(row, letters.get(row.id, {}))) for row in rows[:limit]],
        next=following(rows, limit, lambda row: here.cursors.after(LISTING, row.name)),
    )


def _read(session: Session, id_: str) -> KnownRecipient:
    letters = register.count_notifications(session, [id_]).get(id_, {})
    return KnownRecipient(**_plain(register.find_recipient(session, id_), letters))


def _set(session: Session, id_: str, active: bool, if_match: str | None) -> KnownRecipient:
    require_match(if_match, etag(_read(session, id_), *PASSING))
    register.find_recipient(session, id_).active = active
    return _read(session, id_)


def _retry(session: Session, here: Registry, id_: str) -> None:
    here.outbox.retry(session, register.find_recipient(session, id_).id)


def _told(session: Session, here: Registry, subject: str) -> Told:
    subjects.find(session, subject)
    stated = [one.model_dump(mode="json") for one in here.controller.recipients]
    return Told(stated=stated, told=register.disclosures_of(session, here.outbox.signer, subject))


def _plain(row: Recipient, letters: dict[str, int]) -> dict[str, Any]:
    return {
        "id": row.id, "name": row.name, "url": row.url, "purposes": row.purposes.split("+"),
        "active": row.active, "letters": letters,
    }  # fmt: skip
