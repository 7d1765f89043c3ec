"""Errors as RFC 9457 problem details with one line that says what to do, and the catalogue of their types."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from covey_consent.errors import ConsentRegistryError, RequestError, UnknownError
from covey_privacy.errors import PeerError

PROBLEM = "application/problem+json"

PLAIN = "about:blank"
"""The type of a problem that its HTTP status describes."""

MALFORMED = "malformed"

NO_JSON = "json_invalid"
"""FastAPI's name of a body that cannot be read."""

router = APIRouter(prefix="/problems", tags=["problems"])


class Problem(BaseModel):
    """What went wrong (RFC 9457): `detail` is one line that says what to do about it."""

    type: str
    title: str
    status: int
    detail: str


class ProblemType(BaseModel):
    """A problem type, its HTTP status, and what it means."""

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
    types = {MALFORMED: (400, "The bytes are not a message of the protocol, or break one of its rules.")}
    for error in _below(ConsentRegistryError):
        types[slug(error)] = error.status, " ".join((error.__doc__ or "").split())
    return {
        name: ProblemType(type=f"/problems/{name}", status=status, means=means)
        for name, (status, means) in types.items()
    }


def _below(error: type[ConsentRegistryError]) -> Iterator[type[ConsentRegistryError]]:
    for one in error.__subclasses__():
        yield one
        yield from _below(one)


def slug(error: type[ConsentRegistryError]) -> str:
    """Return an error's name in addresses: UnauthenticatedError is `unauthenticated`."""
    words = re.findall("[A-Z][a-z]*", error.__name__.removesuffix("Error"))
    return "-".join(words).lower()


def install(app: FastAPI) -> None:
    """Answer every error of the registry, its peers and its framework as problem details."""
    for kind in (ConsentRegistryError, PeerError, HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, _answer)


def problem(
    status: int, detail: str, type_: str | None = None, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Return the problem as an answer; `type_` names a page of the catalogue."""
    line = " ".join(detail.encode("utf-8", "replace").decode().split())
    content = {
        "type": PLAIN if type_ is None else f"/problems/{type_}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": line,
    }
    return JSONResponse(content, status, headers, media_type=PROBLEM)


def unforeseen() -> JSONResponse:
    """Return the answer to a request that failed unexpectedly."""
    return problem(500, "this server failed; its own log says why")


async def _answer(_request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, ConsentRegistryError):
        return problem(error.status, str(error), slug(type(error)), error.headers)
    if isinstance(error, PeerError):
        return problem(400, str(error), MALFORMED)
    if isinstance(error, HTTPException):
        return problem(error.status_code, error.detail, headers=error.headers)
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        said = first["ctx"]["error"] if first["type"] == NO_JSON else first["msg"]
        return problem(422, f"{'.'.join(map(str, first['loc']))}: {said}", slug(RequestError))
    return unforeseen()
