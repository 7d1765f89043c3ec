"""What anyone may read before deciding: purposes and notices; and what puts a notice in force."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict
from sqlalchemy.orm import Session

from covey_consent import notices
from covey_consent.access.authorization import needs
from covey_consent.access.roles import Caller, Role
from covey_consent.api.http import CBOR, Here
from covey_consent.api.idempotency import OnceOnly, answer
from covey_consent.api.schemas import TEXT, config
from covey_consent.notices import history
from covey_consent.notices.files import NoticeFile
from covey_consent.policy import purposes
from covey_consent.policy.purposes import Purpose
from covey_consent.policy.transfers import CONSENT
from covey_consent.registry import Registry
from covey_consent.storage.idempotency import Answer
from covey_consent.storage.models import PublishedNotice
from covey_privacy.registry_messages import Notice
from covey_privacy.semver import PATTERN, Semver

router = APIRouter(tags=["notices"])

Name = Annotated[str, Path(pattern="^[a-z_]{1,64}$")]
Version = Annotated[str, Query(pattern=PATTERN)]
Language = Annotated[str, Query(max_length=64)]


class Text(BaseModel):
    """A notice's text in one language, by its hash."""

    language: str
    title: str
    digest: str


class Published(BaseModel):
    """A version of a notice; `at` is when it was published, in Unix seconds."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "purpose": "analytics", "version": "1.1.0", "basis": "consent", "epsilon": 2.0,
                    "epsilon_total": 4.0, "delta": 1e-6, "at": 1800000000,
                    "texts": [{"language": "en", "title": "Be counted", "digest": "ab" * 32}],
                }
            ]
        }
    )  # fmt: skip

    purpose: str
    version: str
    basis: str
    epsilon: float
    epsilon_total: float
    delta: float
    texts: list[Text]
    at: int | None = None

    @classmethod
    def of(cls, notice: Notice, at: int | None = None) -> Published:
        """Describe a notice."""
        texts = [Text(language=t.language, title=t.title, digest=t.digest.hex()) for t in notice.texts]
        return cls(
            purpose=notice.purpose, version=notice.semver, basis=notice.basis, epsilon=notice.epsilon,
            epsilon_total=notice.epsilon_total, delta=notice.delta, texts=texts, at=at,
        )  # fmt: skip


class Proposed(BaseModel):
    """A notice that is not in force yet: another person has to send the same file."""

    model_config = config({"purpose": "analytics", "state": "waits for another person to send the same"})

    purpose: str
    state: str = "waits for another person to send the same"


@dataclass(frozen=True, slots=True)
class KnownPurpose(Purpose):
    """A purpose; `offered` are those for which a notice is in force."""

    __pydantic_config__ = ConfigDict(
        json_schema_extra={"examples": [{**asdict(purposes.load()["train"]), "offered": True}]}
    )

    offered: bool = False


class InWords(BaseModel):
    """The notice in force in one language; `digest` is the SHA-256 that a consent names."""

    model_config = config(
        {
            "purpose": "train", "version": "1.1.0", "basis": "consent", "epsilon": 2.0, "epsilon_total": 4.0,
            "delta": 1e-6, "language": "en", "title": "Help improve suggestions",
            "text": "This is off until you switch it on.", "digest": TEXT,
        }
    )  # fmt: skip

    purpose: str
    version: str
    basis: str
    epsilon: float
    epsilon_total: float
    delta: float
    language: str
    title: str
    text: str
    digest: str


class Changes(BaseModel):
    """What changed from one version to another: by language, the lines of a unified diff."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"old": "1.0.0", "new": "1.1.0", "changes": {"en": ["--- 1.0.0", "+++ 1.1.0", "-a", "+b"]}}
            ]
        }
    )

    old: str
    new: str
    changes: dict[str, list[str]]


class Asked(BaseModel):
    """Whom a new major asks again: people, or "<10"; `projected` is the cohort if all agreed again."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"purpose": "train", "version": "2.0.0", "standing": 120, "outdated": 900, "projected": 1020}
            ]
        }
    )

    purpose: str
    version: str
    standing: int | str
    outdated: int | str
    projected: int | None


@router.get("/v1/purposes")
async def list_purposes(here: Here) -> list[KnownPurpose]:
    """List every purpose with its words, lawful bases and what it gates; `offered` are those in use."""
    return [
        KnownPurpose(**asdict(each), offered=each.id in here.notices) for each in purposes.load().values()
    ]


@router.get("/v1/notices")
async def download(here: Here) -> Response:
    """Return `Notices`: every notice in force, signed by the registry; the same for everyone."""
    return Response(here.notices.download, media_type=CBOR)


@router.post(
    "/v1/notices",
    status_code=201,
    response_model=Published,
    responses={200: {"model": Published}, 202: {"model": Proposed}},
)
async def publish(
    file: NoticeFile, here: Here, caller: Annotated[Caller, needs(Role.ADMIN)], once: OnceOnly
) -> Response:
    """Put a notice in force, numbered and logged, once two people sent it: 202 for the first of them.

    200 for the one that is in force already.
    """
    published = await once.create(caller, _publish, here, file, caller.name, write=here.log.write)
    if file.purpose == CONSENT:
        await here.upkeep.recall()
    return published


@router.get("/v1/notices/{purpose}")
async def read(purpose: str, here: Here, language: Language = "en") -> InWords:
    """Return one notice to read, in its first language where the asked one is missing."""
    return _in_words(notices.find(here.notices, purpose), language)


@router.get("/v1/notices/{purpose}/versions")
async def versions(purpose: Name, here: Here) -> list[Published]:
    """List every version of a purpose's notice that was ever in force, oldest first."""
    rows = await here.store.read(_published, purpose)
    return [Published.of(history.read_notice(row), row.published_at) for row in rows]


@router.get("/v1/notices/{purpose}/versions/{version}")
async def read_version(
    purpose: Name, version: Annotated[str, Path(pattern=PATTERN)], here: Here, language: Language = "en"
) -> InWords:
    """Return the text of any version that was ever in force."""
    return _in_words(await here.store.read(history.find_version, purpose, Semver.parse(version)), language)


@router.get("/v1/notices/{purpose}/changes")
async def changes(purpose: Name, here: Here, old: Version, new: Version) -> Changes:
    """Return what changed in the texts from version `old` to version `new`."""
    one, other = await here.store.read(_two, purpose, Semver.parse(old), Semver.parse(new))
    return Changes(old=old, new=new, changes=history.compare_texts(one, other))


@router.get("/v1/notices/{purpose}/reconsent", dependencies=[needs(Role.OFFICER)])
async def ask_again(purpose: Name, here: Here) -> Asked:
    """Count whom the notice in force asks again, because they agreed to an older major."""
    notice = notices.find(here.notices, purpose)
    counts = await here.store.read(history.count_reconsent, notice, here.calendar.milliseconds)
    return Asked(purpose=purpose, version=notice.semver, **asdict(counts))


def _in_words(notice: Notice, language: str) -> InWords:
    text = notice.text(language)
    return InWords(
        purpose=notice.purpose, version=notice.semver, basis=notice.basis, epsilon=notice.epsilon,
        epsilon_total=notice.epsilon_total, delta=notice.delta, language=text.language, title=text.title,
        text=text.text, digest=text.digest.hex(),
    )  # fmt: skip


def _publish(session: Session, here: Registry, file: NoticeFile, author: str) -> Answer:
    rows = history.read_versions(session, file.purpose)
    notice = here.publisher.propose(session, file, author)
    if notice is None:
        return answer(Proposed(purpose=file.purpose), status=202)
    same = bool(rows) and history.read_notice(rows[-1]) == notice
    return answer(Published.of(notice), status=200 if same else 201)


def _published(session: Session, purpose: str) -> Sequence[PublishedNotice]:
    purposes.find(purpose)
    return history.read_versions(session, purpose)


def _two(session: Session, purpose: str, old: Semver, new: Semver) -> tuple[Notice, Notice]:
    return history.find_version(session, purpose, old), history.find_version(session, purpose, new)
