"""The account of a breach: what the authority and the people are told, and what of it is still missing."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Words = Annotated[str, StringConstraints(max_length=4000, strip_whitespace=True)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Seconds = Annotated[int, Field(ge=0, lt=2**40)]
Count = Annotated[int, Field(ge=0, lt=2**53)]


class Scope(BaseModel):
    """What was hit: purposes, rounds, and the span of time (Unix seconds) from which records are."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    purposes: Annotated[tuple[Name, ...], Field(max_length=100)] = ()
    rounds: Annotated[tuple[Name, ...], Field(max_length=100)] = ()
    since: Seconds = 0
    until: Seconds | None = None


class Account(BaseModel):
    """What is known so far: GDPR Art. 33(3) and 34(2), PIPL Art. 57. Empty is not known yet."""

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


_WANTED = {
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
    """Return what the account does not say yet, each with the article that asks for it."""
    return tuple(f"{name}: {law}" for name, law in _WANTED.items() if getattr(account, name) in ("", None))
