"""Every error's one way out: RFC 9457 problem details, with one line that says what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from covey_consent.errors import ConsentRegistryError, RequestError
from covey_privacy.errors import PeerError

PROBLEM = "application/problem+json"

PLAIN = "about:blank"
"""The type of a problem of which the HTTP status says all."""

MALFORMED = "malformed"

NO_JSON = "json_invalid"
"""FastAPI's name of a body that cannot be read."""


class Problem(BaseModel):
    """What went wrong (RFC 9457): `detail` is one line that says what to do about it."""

    type: str
    title: str
    status: int
    detail: str


def install(app: FastAPI) -> None:
    """Answer every error of the registry, its peers and its framework as problem details."""
    app.add_exception_handler(ConsentRegistryError, _registry)
    app.add_exception_handler(PeerError, _peer)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(Exception, _unforeseen)


def slug(error: type[ConsentRegistryError]) -> str:
    """Return an error's name in addresses: UnauthenticatedError is `unauthenticated`."""
    words = re.findall("[A-Z][a-z]*", error.__name__.removesuffix("Error"))
    return "-".join(words).lower()


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


async def _registry(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, ConsentRegistryError):
        return unforeseen()
    return problem(error.status, str(error), slug(type(error)), error.headers)


async def _peer(_request: Request, error: Exception) -> JSONResponse:
    return problem(400, str(error), MALFORMED)


async def _http(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        return unforeseen()
    return problem(error.status_code, error.detail, headers=error.headers)


async def _validation(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        return unforeseen()
    first = error.errors()[0]
    said = first["ctx"]["error"] if first["type"] == NO_JSON else first["msg"]
    return problem(422, f"{'.'.join(map(str, first['loc']))}: {said}", slug(RequestError))


async def _unforeseen(_request: Request, _error: Exception) -> JSONResponse:
    return unforeseen()


def unforeseen() -> JSONResponse:
    """Return the answer to a request that failed in a way that nobody foresaw."""
    return problem(500, "this server failed; its own log says why")
