"""The JSON that people's choices are spoken in."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from covey_consent.decisions.verdicts import Verdict

Pseudonym = Annotated[str, StringConstraints(pattern="^[0-9a-f]{32}$")]
Digest = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
Name = Annotated[str, StringConstraints(pattern="^[a-z_]{1,32}$")]
Country = Annotated[str, StringConstraints(pattern="^[A-Z]{2}$")]

SUBJECT = "5f0c2a7d9be14c3f8a6d1e90b7c4a2f1"
TEXT = "b1946ac92492d2347c6235b4d2611184d2a6a3b4c0f8f5a9f4f6b5a2e1d0c9b8"


def config(*examples: dict[str, Any]) -> ConfigDict:
    """Return a closed, immutable model's configuration with its examples."""
    return ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": list(examples)})


def shown(*examples: dict[str, Any]) -> ConfigDict:
    """Return the configuration of a model that is only answered with, and its examples."""
    return ConfigDict(json_schema_extra={"examples": list(examples)})


class NewSubject(BaseModel):
    """A person whom the shop's server makes known. Nothing about them is needed."""

    model_config = config({"country": "DE", "birth_year": 1990}, {})

    country: Country | None = None
    birth_year: Annotated[int, Field(ge=1900, le=2200)] | None = None
    guardian: Pseudonym | None = None


class Known(BaseModel):
    """A person's pseudonym."""

    model_config = config({"subject": SUBJECT})

    subject: Pseudonym


class Yes(BaseModel):
    """A grant, or the renewal of one: on which text of which notice, and by which act."""

    model_config = config(
        {
            "purpose": "train",
            "state": "granted",
            "notice_version": 1,
            "language": "en",
            "text_sha256": TEXT,
            "method": "toggle",
        }
    )

    purpose: Name
    state: Literal["granted", "renewed"]
    notice_version: Annotated[int, Field(ge=0, lt=2**32)]
    language: Annotated[str, StringConstraints(pattern="^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$", max_length=35)]
    text_sha256: Digest
    method: Annotated[str, StringConstraints(min_length=1, max_length=32)]


class No(BaseModel):
    """A refusal, a withdrawal or an objection: the purpose suffices."""

    model_config = config({"purpose": "train", "state": "withdrawn"})

    purpose: Name
    state: Literal["refused", "withdrawn", "objected"]


class Happened(BaseModel):
    """An event as it was recorded; `promise` is signed and says by when the log holds its commitment."""

    model_config = config(
        {
            "event": "0d0f4a3e-6a53-4d3c-9f5b-0f6a5c0c9c11",
            "purpose": "train",
            "state": "granted",
            "actor": "subject",
            "method": "toggle",
            "notice": "1",
            "language": "en",
            "text_sha256": TEXT,
            "at": "2027-01-15T08:00:00Z",
            "expires_at": None,
            "promise": "8258...",
        }
    )

    event: str
    purpose: str
    state: str
    actor: str
    method: str
    notice: str
    language: str
    text_sha256: str
    at: datetime
    expires_at: datetime | None
    promise: str


class Past(BaseModel):
    """An event of a person's history; `event` names its receipt.

    `reason` is why an officer recorded it on the person's behalf.
    `source` is the public key of the registry that it was imported from, "" where it was said here.
    """

    model_config = config(
        {
            "event": "0d0f4a3e-6a53-4d3c-9f5b-0f6a5c0c9c11",
            "purpose": "train",
            "state": "granted",
            "actor": "subject",
            "method": "toggle",
            "notice": "1.0.0",
            "language": "en",
            "at": "2027-01-15T08:00:00Z",
            "expires_at": None,
            "reason": None,
            "source": "",
        }
    )

    event: str
    purpose: str
    state: str
    actor: str
    method: str
    notice: str
    language: str
    at: datetime
    expires_at: datetime | None
    reason: str | None
    source: str


class Stands(BaseModel):
    """What stands for one purpose, and what follows from it."""

    model_config = config(
        {
            "purpose": "train",
            "state": "granted",
            "notice_version": 1,
            "expires_at": None,
            "verdict": "allowed",
        }
    )

    purpose: str
    state: str
    notice_version: int
    expires_at: datetime | None
    verdict: Verdict


class View(BaseModel):
    """A person's choices at one moment; what is not listed was never decided, and is off."""

    model_config = config({"subject": SUBJECT, "at": "2027-01-15T08:00:00Z", "choices": []})

    subject: str
    at: datetime
    choices: list[Stands]


class Asked(BaseModel):
    """One purpose, and the people in question."""

    model_config = config({"purpose": "train", "subjects": [SUBJECT]})

    purpose: Name
    subjects: Annotated[list[Pseudonym], Field(min_length=1, max_length=10_000)]


class Judged(BaseModel):
    """Whether a purpose may be served for a person now, and if not, why."""

    model_config = config({"allowed": False, "verdict": "undecided"})

    allowed: bool
    verdict: Verdict


class JudgedEach(BaseModel):
    """The verdicts on one purpose, in the order of the people asked about."""

    model_config = config({"purpose": "train", "verdicts": ["allowed", "undecided"]})

    purpose: str
    verdicts: list[Verdict]


class Restricted(BaseModel):
    """Whether all processing is restricted (GDPR Art. 18)."""

    model_config = config({"restricted": True})

    restricted: bool


class Restriction(Restricted):
    """That it is to be, or no longer.

    `told` is how an officer who lifts it told the person before: Art. 18(3).
    """

    model_config = config({"restricted": True}, {"restricted": False, "told": "by letter of 3 May"})

    told: Annotated[str, StringConstraints(max_length=4000, strip_whitespace=True)] = ""


class Ending(BaseModel):
    """Why an epoch is ended before its time; it stands in the log."""

    model_config = config({"reason": "a phone's ticket store leaked"})

    reason: Annotated[str, StringConstraints(min_length=1, max_length=500, strip_whitespace=True)]


class EpochNow(BaseModel):
    """The current epoch, in Unix seconds; phones fetch its tickets until `fetch_until`, rounds begin then."""

    model_config = config(
        {
            "epoch": 20833,
            "begins_at": 1799971200,
            "fetch_until": 1799982000,
            "ends_at": 1800057600,
            "fetching": False,
        }
    )

    epoch: int
    begins_at: int
    fetch_until: int
    ends_at: int
    fetching: bool


class Issued(BaseModel):
    """The batches issued for a set of purposes and an epoch, and the people who allow the set now."""

    model_config = config({"batches": 130, "granted": 151})

    batches: int
    granted: int


class Ended(BaseModel):
    """An epoch that was ended, and where the log says so."""

    model_config = config({"epoch": 20833, "index": 41})

    epoch: int
    index: int


def moment(milliseconds: int) -> datetime:
    """Return Unix milliseconds as a date."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def end(milliseconds: int) -> datetime | None:
    """Return when something ends, None for 0, which is never."""
    return moment(milliseconds) if milliseconds else None
