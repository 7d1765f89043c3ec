"""Purposes and notices, which anyone may read; what puts a notice in force; who was shown which text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from sqlalchemy.orm import Session

from covey_consent import notices
from covey_consent.access.idempotency import Answer
from covey_consent.access.roles import Caller, Role
from covey_consent.api.authorization import needs, require_own
from covey_consent.api.http import RegistryDep
from covey_consent.api.media import CBOR
from covey_consent.api.pages import Page, Paging
from covey_consent.api.request_headers import OnceOnly, answer
from covey_consent.api.schemas import ClosedModel, Digest, Pseudonym
from covey_consent.decisions import notice_receipts
from covey_consent.notices import history
from covey_consent.notices.files import NoticeFile
from covey_consent.policy import purposes
from covey_consent.policy.purposes import Purpose
from covey_consent.policy.transfers import CONSENT
from covey_consent.storage.models import PublishedNotice, ServedNotice
from covey_privacy.registry_messages import Notice
from covey_privacy.semver import PATTERN, Semver

router = APIRouter(prefix="/v1", tags=["notices"])

Name = Annotated[str, Path(pattern="^[a-z_]{1,64}$")]
Version = Annotated[str, Query(pattern=PATTERN)]
Language = Annotated[str, Query(max_length=64)]


class Text(BaseModel):
    """A notice's text in one language, by its hash."""

    model_config = ConfigDict(from_attributes=True)

    language: str
    title: str
    digest: Annotated[str, BeforeValidator(bytes.hex)]


class _Terms(BaseModel):
    purpose: str
    version: str
    basis: str
    epsilon: float
    epsilon_total: float
    delta: float


class Published(_Terms):
    """A version of a notice; `at` is when it was published, in Unix seconds."""

    texts: list[Text]
    at: int | None = None

    @classmethod
    def from_notice(cls, notice: Notice, at: int | None = None) -> Published:
        """Describe a notice."""
        return cls(**_terms(notice), texts=[Text.model_validate(text) for text in notice.texts], at=at)


class Proposed(ClosedModel):
    """A notice that is not in force yet: another person has to send the same file."""

    purpose: str
    state: str = "waits for another person to send the same"


@dataclass(frozen=True, slots=True)
class KnownPurpose(Purpose):
    """A purpose; `offered` are those for which a notice is in force."""

    __pydantic_config__ = ConfigDict(
        json_schema_extra={"examples": [{**asdict(purposes.load()["train"]), "offered": True}]}
    )

    offered: bool = False


class InWords(_Terms, ClosedModel):
    """The notice in force in one language; `digest` is the SHA-256 that a consent names."""

    language: str
    title: str
    text: str
    digest: str

    @classmethod
    def from_notice(cls, notice: Notice, language: str) -> InWords:
        """Return a notice to read, in its first language where the asked one is missing."""
        text = notice.text(language)
        return cls(
            **_terms(notice),
            language=text.language,
            title=text.title,
            text=text.text,
            digest=text.digest.hex(),
        )


class Changes(BaseModel):
    """What changed from one version to another: by language, the lines of a unified diff."""

    old: str
    new: str
    changes: dict[str, list[str]]


class ReconsentCount(BaseModel):
    """Whom a new major asks again: people, or "<10"; `projected` is the cohort if all agreed again."""

    purpose: str
    version: str
    standing: int | str
    outdated: int | str
    projected: int | None


class Shown(ClosedModel):
    """A person was shown a text; `at` in Unix milliseconds."""

    subject: Pseudonym
    purpose: Annotated[str, StringConstraints(pattern="^[a-z_]{1,64}$")]
    version: Annotated[str, StringConstraints(pattern=PATTERN)]
    language: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    text_digest: Digest
    place: Literal["onboarding", "settings", "dialog"]
    at: Annotated[int, Field(ge=0, lt=2**63)]


class ShownRecord(Shown):
    """The same as it is kept."""

    model_config = ConfigDict(from_attributes=True)

    text_digest: Annotated[Digest, BeforeValidator(bytes.hex)]
    id: int


@router.get("/purposes")
async def list_purposes(registry: RegistryDep) -> list[KnownPurpose]:
    """List every purpose with its words, lawful bases and what it gates; `offered` are those in use."""
    return [
        KnownPurpose(**asdict(each), offered=each.id in registry.notices) for each in purposes.load().values()
    ]


@router.get("/notices")
async def download(registry: RegistryDep) -> Response:
    """Return `Notices`: every notice in force, signed by the registry; the same for everyone."""
    return Response(registry.notices.download, media_type=CBOR)


@router.post(
    "/notices",
    status_code=201,
    response_model=Published,
    responses={200: {"model": Published}, 202: {"model": Proposed}},
)
async def publish(
    file: NoticeFile, registry: RegistryDep, caller: Annotated[Caller, needs(Role.ADMIN)], once: OnceOnly
) -> Response:
    """Put a notice in force, numbered and logged, once two people sent it: 202 for the first of them.

    200 for the one that is in force already.
    """

    def work(session: Session) -> Answer:
        rows = history.read_versions(session, file.purpose)
        notice = registry.publisher.propose(session, file, caller.name)
        if notice is None:
            return answer(Proposed(purpose=file.purpose), status=202)
        same = bool(rows) and history.read_notice(rows[-1]) == notice
        return answer(Published.from_notice(notice), status=200 if same else 201)

    published = await once.create(caller, work, write=registry.log.write)
    if file.purpose == CONSENT:
        await registry.upkeep.recall()
    return published


@router.get("/notices/{purpose}")
async def read(purpose: str, registry: RegistryDep, language: Language = "en") -> InWords:
    """Return one notice to read, in its first language where the asked one is missing."""
    return InWords.from_notice(notices.find(registry.notices, purpose), language)


@router.get("/notices/{purpose}/versions")
async def versions(purpose: Name, registry: RegistryDep) -> list[Published]:
    """List every version of a purpose's notice that was ever in force, oldest first."""

    def work(session: Session) -> Sequence[PublishedNotice]:
        purposes.find(purpose)
        return history.read_versions(session, purpose)

    return [
        Published.from_notice(history.read_notice(row), row.published_at)
        for row in await registry.store.read(work)
    ]


@router.get("/notices/{purpose}/versions/{version}")
async def read_version(
    purpose: Name,
    version: Annotated[str, Path(pattern=PATTERN)],
    registry: RegistryDep,
    language: Language = "en",
) -> InWords:
    """Return the text of any version that was ever in force."""
    return InWords.from_notice(
        await registry.store.read(history.find_version, purpose, Semver.parse(version)), language
    )


@router.get("/notices/{purpose}/changes")
async def changes(purpose: Name, registry: RegistryDep, old: Version, new: Version) -> Changes:
    """Return what changed in the texts from version `old` to version `new`."""

    def work(session: Session) -> list[Notice]:
        return [history.find_version(session, purpose, Semver.parse(version)) for version in (old, new)]

    return Changes(old=old, new=new, changes=history.compare_texts(*await registry.store.read(work)))


@router.get("/notices/{purpose}/reconsent", dependencies=[needs(Role.OFFICER)])
async def ask_again(purpose: Name, registry: RegistryDep) -> ReconsentCount:
    """Count whom the notice in force asks again, because they agreed to an older major."""
    notice = notices.find(registry.notices, purpose)
    counts = await registry.store.read(history.count_reconsent, notice, registry.calendar.milliseconds)
    return ReconsentCount(purpose=purpose, version=notice.semver, **asdict(counts))


@router.post("/served", status_code=201, response_model=ShownRecord)
async def serve(
    shown: Shown,
    registry: RegistryDep,
    caller: Annotated[Caller, needs(Role.SUBJECT, Role.SERVICE)],
    once: OnceOnly,
) -> Response:
    """Keep that a person was shown a text. A person tells of themselves, or of their child."""
    if caller.role is Role.SUBJECT:
        await require_own(registry, caller, shown.subject)

    def work(session: Session) -> Answer:
        told = shown.model_dump() | {"text_digest": bytes.fromhex(shown.text_digest)}
        row = notice_receipts.record(session, ServedNotice(**told), registry.calendar)
        return answer(ShownRecord.model_validate(row), shown.subject)

    return await once.create(caller, work)


@router.get("/served")
async def list_served(
    registry: RegistryDep,
    _caller: Annotated[Caller, needs(Role.SUBJECT, Role.OFFICER, Role.AUDITOR)],
    subject: Annotated[str, Query(pattern="^[0-9a-f]{32}$")],
    page: Paging,
) -> Page[ShownRecord]:
    """List what a person was shown, the oldest first."""
    listing = f"served {subject}"
    found = await registry.store.read(notice_receipts.shown_to, subject, page.number(listing), page.limit + 1)
    rest = page.following(listing, found, lambda row: row.id)
    return Page[ShownRecord](
        items=[ShownRecord.model_validate(row) for row in found[: page.limit]], next=rest
    )


def _terms(notice: Notice) -> dict[str, Any]:
    same = ("purpose", "basis", "epsilon", "epsilon_total", "delta")
    return {"version": notice.semver, **{name: getattr(notice, name) for name in same}}
