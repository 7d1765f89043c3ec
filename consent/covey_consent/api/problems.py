"""Every error's one way out: RFC 9457 problem details, with one line that says what to do."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from covey_consent.errors import ConsentRegistryError
from covey_privacy.errors import PeerError


def install(app: FastAPI) -> None:
    """Answer every error of the registry, its peers and its framework as problem details."""
    app.add_exception_handler(ConsentRegistryError, _registry)
    app.add_exception_handler(PeerError, _peer)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(Exception, _unforeseen)


def problem(status: int, detail: str) -> JSONResponse:
    """Return the problem as an answer."""
    content = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    return JSONResponse(content, status, media_type="application/problem+json")


async def _registry(_request: Request, error: Exception) -> JSONResponse:
    status = error.status if isinstance(error, ConsentRegistryError) else 500
    return problem(status, str(error))


async def _peer(_request: Request, error: Exception) -> JSONResponse:
    return problem(400, str(error))


async def _http(_request: Request, error: Exception) -> JSONResponse:
    return problem(error.status_code, error.detail) if isinstance(error, HTTPException) else problem(500, "")


async def _validation(_request: Request, error: Exception) -> JSONResponse:
    first = error.errors()[0] if isinstance(error, RequestValidationError) else {"loc": (), "msg": ""}
    return problem(422, f"{'.'.join(map(str, first['loc']))}: {first['msg']}")


async def _unforeseen(_request: Request, _error: Exception) -> JSONResponse:
    return problem(500, "this server failed; its own log says why")
