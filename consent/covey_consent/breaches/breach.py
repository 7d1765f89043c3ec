"""A breach: its scope and account, its states, and its tables (GDPR Art. 33 and 34, PIPL Art. 57).

`TRANSITIONS` lists every action that a state allows; any other raises ConflictError. The tables count people
and name none. Times are Unix seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy import ForeignKey, Integer
from sqlalchemy.orm import Mapped, mapped_column

from covey_consent.errors import ConflictError
from covey_consent.storage.models import Base

Words = Annotated[str, StringConstraints(max_length=4000, strip_whitespace=True)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Seconds = Annotated[int, Field(ge=0, lt=2**40)]
Count = Annotated[int, Field(ge=0, lt=2**53)]


class Scope(BaseModel):
    """The scope of a breach: purposes, rounds, and the time span (Unix seconds) of the records."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    purposes: Annotated[tuple[Name, ...], Field(max_length=100)] = ()
    rounds: Annotated[tuple[Name, ...], Field(max_length=100)] = ()
    since: Seconds = 0
    until: Seconds | None = None


class Account(BaseModel):
    """What is known so far: GDPR Art. 33(3) and 34(2), PIPL Art. 57. An empty field is not known yet."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "nature": "a backup of the registry was copied by a former employee",
                    "categories": "pseudonyms and decisions on six purposes",
                    "people": 1200,
                    "records": 7400,
                    "contact": "dpo@shop.example",
                    "cause": "an access key outlived its owner's contract",
                    "consequences": "who has the key file too can read who decided what",
                    "measures": "the key was revoked and every backup encrypted anew",
                    "advice": "nothing has to be done; choices can be looked at in the app",
                    "high_risk": False,
                }
            ]
        },
    )

    nature: Words = ""
    categories: Words = ""
    people: Count | None = None
    records: Count | None = None
    contact: Words = ""
    cause: Words = ""
    consequences: Words = ""
    measures: Words = ""
    advice: Words = ""
    high_risk: bool | None = None


_REQUIRED_BY = {
    "nature": "GDPR 33(3)(a)",
    "categories": "GDPR 33(3)(a), PIPL 57(1)",
    "people": "GDPR 33(3)(a)",
    "records": "GDPR 33(3)(a)",
    "contact": "GDPR 33(3)(b), PIPL 57(3)",
    "cause": "PIPL 57(1)",
    "consequences": "GDPR 33(3)(c), PIPL 57(1)",
    "measures": "GDPR 33(3)(d), PIPL 57(2)",
    "advice": "PIPL 57(2)",
    "high_risk": "GDPR 34(1)",
}


def missing(account: Account) -> tuple[str, ...]:
    """Return the fields that the account still lacks, each with the article that requires it."""
    return tuple(
        f"{name}: {law}" for name, law in _REQUIRED_BY.items() if getattr(account, name) in ("", None)
    )


class BreachState(StrEnum):
    """The states of a breach."""

    OPEN = "open"
    AUTHORITY = "authority notified"
    PEOPLE = "people notified"
    CLOSED = "closed"


class BreachAction(StrEnum):
    """The steps that a breach can take."""

    UPDATE = "update"
    NOTIFY_AUTHORITY = "notify authority"
    NOTIFY_PEOPLE = "notify people"
    CLOSE = "close"


TRANSITIONS: Mapping[BreachState, Mapping[BreachAction, BreachState]] = {
    **{
        state: {
            BreachAction.UPDATE: state,
            # In phases (GDPR Art. 33(4)), and after people where that was quicker.
            BreachAction.NOTIFY_AUTHORITY: BreachState.AUTHORITY if state is BreachState.OPEN else state,
            BreachAction.NOTIFY_PEOPLE: BreachState.PEOPLE,
            BreachAction.CLOSE: BreachState.CLOSED,
        }
        for state in (BreachState.OPEN, BreachState.AUTHORITY, BreachState.PEOPLE)
    },
    BreachState.CLOSED: {},
}
"""State -> action -> state. An action that is missing raises ConflictError."""


def advance(state: BreachState, action: BreachAction) -> BreachState:
    """Return the state after the action. Raises ConflictError where `TRANSITIONS` has none."""
    after = TRANSITIONS[state].get(action)
    if after is None:
        raise ConflictError(f"the breach is {state}; to {action} is no step from there")
    return after


class Breach(Base):
    """A breach as it stands: `account` is its `Account` as canonical JSON, `scope` its `Scope`."""

    __tablename__ = "breaches"

    id: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str]
    detected_at: Mapped[int]
    due_at: Mapped[int]
    scope: Mapped[bytes]
    account: Mapped[bytes]
    authority_at: Mapped[int | None]
    people_at: Mapped[int | None]
    version: Mapped[int] = mapped_column(Integer)


class BreachStep(Base):
    """One step of a breach, with the account as it was then: GDPR Art. 33(5). Never changed."""

    __tablename__ = "breach_steps"

    breach: Mapped[str] = mapped_column(ForeignKey(Breach.id), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    step: Mapped[str]
    state: Mapped[str]
    account: Mapped[bytes]
    role: Mapped[str]
    name: Mapped[str]
    reason: Mapped[str]
    at: Mapped[int]
