"""Types of fields that the API's models share, and the models of consents."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from covey_consent.decisions.verdicts import Verdict

Pseudonym = Annotated[str, StringConstraints(pattern="^[0-9a-f]{32}$")]
Digest = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
Name = Annotated[str, StringConstraints(pattern="^[a-z_]{1,32}$")]
Country = Annotated[str, StringConstraints(pattern="^[A-Z]{2}$")]
Year = Annotated[int, Field(ge=1900, le=2200)]
Words = Annotated[str, StringConstraints(max_length=4000, strip_whitespace=True)]


def moment(milliseconds: int) -> datetime:
    """Return Unix milliseconds as a date."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def end(milliseconds: int) -> datetime | None:
    """Return when something ends, None for 0, which is never."""
    return moment(milliseconds) if milliseconds else None


Moment = Annotated[datetime, BeforeValidator(moment)]
"""A date that is given in Unix milliseconds."""
End = Annotated[datetime | None, BeforeValidator(end)]
"""A date that is given in Unix milliseconds, 0 for never."""


AskedMoment = Annotated[
    AwareDatetime, Field(ge=datetime(1970, 1, 1, tzinfo=UTC), lt=datetime(2200, 1, 1, tzinfo=UTC))
]


class ClosedModel(BaseModel):
    """A model that takes no field but its own, and does not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Yes(ClosedModel):
    """A grant, or the renewal of one: on which text of which notice, and by which act."""

    purpose: Name
    state: Literal["granted", "renewed"]
    notice_version: Annotated[int, Field(ge=0, lt=2**32)]
    language: Annotated[str, StringConstraints(pattern="^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$", max_length=35)]
    text_sha256: Digest
    method: Annotated[str, StringConstraints(min_length=1, max_length=32)]


class No(ClosedModel):
    """A refusal, a withdrawal or an objection: the purpose suffices."""

    purpose: Name
    state: Literal["refused", "withdrawn", "objected"]


class _Decided(ClosedModel):
    event: str
    purpose: str
    state: str
    actor: str
    method: str
    notice: str
    language: str


class Happened(_Decided):
    """An event as it was recorded; `promise` is signed and says by when the log holds its commitment."""

    text_sha256: str
    at: datetime
    expires_at: datetime | None
    promise: str


class Past(_Decided):
    """An event of a person's history; `event` names its receipt.

    `reason` is why an officer recorded it on the person's behalf.
    `source` is the public key of the registry that it was imported from, "" where it was said here.
    """

    at: Moment
    expires_at: End
    reason: str | None
    source: str


class Stands(ClosedModel):
    """What stands for one purpose, and what follows from it."""

    purpose: str
    state: str
    notice_version: int
    expires_at: datetime | None
    verdict: Verdict


class View(ClosedModel):
    """A person's choices at one moment; what is not listed was never decided, and is off."""

    subject: str
    at: datetime
    choices: list[Stands]


class Restricted(ClosedModel):
    """Whether all processing is restricted (GDPR Art. 18)."""

    restricted: bool


class Restriction(Restricted):
    """That it is to be, or no longer.

    `told` is how an officer who lifts it told the person before: Art. 18(3).
    """

    told: Words = ""
