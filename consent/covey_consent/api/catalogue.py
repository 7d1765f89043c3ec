"""The catalogue of problem types: what each `type` of a problem (RFC 9457) means."""

from __future__ import annotations

from collections.abc import Iterator

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from covey_consent.api.problems import MALFORMED, slug
from covey_consent.errors import ConsentRegistryError, UnknownError

router = APIRouter(prefix="/problems", tags=["problems"])


class ProblemType(BaseModel):
    """A problem type, its HTTP status, and what it means."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "/problems/conflict",
                    "status": 409,
                    "means": "The registry's state stands against it.",
                }
            ]
        }
    )

    type: str
    status: int
    means: str


@router.get("")
async def list_problem_types() -> list[ProblemType]:
    """List every problem type that the registry's own errors have; others are `about:blank`."""
    return list(catalogue().values())


@router.get("/{name}")
async def problem_type(name: str) -> ProblemType:
    """Say what a problem type means."""
    found = catalogue().get(name)
    if found is None:
        raise UnknownError(f"there is no problem type {name[:40]!r}; /problems lists them")
    return found


def catalogue() -> dict[str, ProblemType]:
    """Return the problem types by name."""
    means = "The bytes are not a message of the protocol, or break one of its rules."
    malformed = ProblemType(type=f"/problems/{MALFORMED}", status=400, means=means)
    return {MALFORMED: malformed} | {slug(error): _described(error) for error in _below(ConsentRegistryError)}


def _described(error: type[ConsentRegistryError]) -> ProblemType:
    means = " ".join((error.__doc__ or "").split())
    return ProblemType(type=f"/problems/{slug(error)}", status=error.status, means=means)


def _below(error: type[ConsentRegistryError]) -> Iterator[type[ConsentRegistryError]]:
    for one in error.__subclasses__():
        yield one
        yield from _below(one)
