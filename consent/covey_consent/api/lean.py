"""Lean serving: a route's plan as FastAPI made it, carried out without what such a route never uses.

FastAPI readies exit stacks, caches, overrides and tasks after the answer for every request anew: half the
time of a short answer. A lean route answers with a `Response` of its own; it needs its parameters read and
its dependencies called, and refuses what FastAPI refuses, in FastAPI's words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from json import JSONDecodeError
from typing import Any, TypeVar, cast

from fastapi import HTTPException, Request
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from covey_consent.api.strict_json import StrictRequest

_MARK = "covey_lean"

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


def lean(endpoint: Endpoint) -> Endpoint:
    """Mark an endpoint whose route is served leanly: it is asked often, and answers with a `Response`."""
    setattr(endpoint, _MARK, True)
    return endpoint


def is_lean(route: APIRoute) -> bool:
    """Say whether the route's endpoint is marked."""
    return hasattr(route.endpoint, _MARK)


def serving(route: APIRoute) -> ASGIApp:
    """Return the application that serves a lean route."""
    plan = _Plan.of(route.dependant)

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        request = StrictRequest(scope, receive, send)
        refused: list[Any] = []
        values = await plan.values(request, refused)
        if refused:
            raise RequestValidationError(refused)
        answer = await plan.call(**values)
        await answer(scope, receive, send)

    return serve


@dataclass(frozen=True, slots=True)
class _Field:
    """A parameter, and where it stands in the request; for the body, that is all."""

    name: str
    place: tuple[str, ...]
    field: Any

    def read(self, sent: Any, refused: list[Any]) -> Any:
        """Return the parameter's value of what was sent for it; add to what is refused."""
        if sent is None:
            if self.field.field_info.is_required():
                refused.append({"type": "missing", "loc": self.place, "msg": "Field required", "input": None})
            return self.field.default
        value, errors = self.field.validate(sent, {}, loc=self.place)
        refused += errors
        return value


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a function is called with: what its dependencies give, and what the request holds."""

    call: Callable[..., Any]
    needs: Sequence[tuple[str | None, _Plan]]
    sent: Sequence[tuple[str, Sequence[_Field]]]
    """The request's attributes that hold parameters, with those."""
    body: Sequence[_Field]
    request: str | None

    @classmethod
    def of(cls, plan: Dependant) -> _Plan:
        """Return FastAPI's plan. Raises TypeError where it asks for what a lean route does without."""
        more = (
            plan.cookie_params, plan.response_param_name, plan.background_tasks_param_name,
            plan.security_scopes_param_name, plan.http_connection_param_name,
        )  # fmt: skip
        if any(more) or not plan.is_coroutine_callable:
            raise TypeError(f"{plan.call} asks for what a lean route does not give: serve it by FastAPI")
        places = (
            ("path_params", "path", plan.path_params),
            ("query_params", "query", plan.query_params),
            ("headers", "header", plan.header_params),
        )
        sent = [
            (attribute, [_Field(field.name, (place, field.alias), field) for field in fields])
            for attribute, place, fields in places
            if fields
        ]
        body = [_Field(field.name, ("body",), field) for field in plan.body_params]
        needs = [(needed.name, cls.of(needed)) for needed in plan.dependencies]
        return cls(cast(Callable[..., Any], plan.call), needs, sent, body, plan.request_param_name)

    async def values(self, request: Request, refused: list[Any]) -> dict[str, Any]:
        """Return what to call the function with; add to what is `refused` of the request.

        The body is read last, once the guard among the dependencies let the caller pass.
        """
        values: dict[str, Any] = {}
        for name, needed in self.needs:
            given = await needed.values(request, refused)
            if not refused:
                found = await needed.call(**given)
                if name is not None:
                    values[name] = found
        for attribute, fields in self.sent:
            held: Mapping[str, Any] = getattr(request, attribute)
            for field in fields:
                values[field.name] = field.read(held.get(field.place[1]), refused)
        if self.body:
            body = await _body(request)
            for field in self.body:
                values[field.name] = field.read(body, refused)
        if self.request is not None:
            values[self.request] = request
        return values


async def _body(request: Request) -> Any:
    """Return what the body says, or its bytes where they are no JSON.

    Raises RequestValidationError, and HTTPException where not all of it came.
    """
    try:
        received = await request.body()
    except ClientDisconnect:
        raise HTTPException(400, "There was an error parsing the body") from None
    if not received:
        return None
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        return received
    try:
        return await request.json()
    except JSONDecodeError as error:
        said = {"type": "json_invalid", "loc": ("body", error.pos), "msg": "JSON decode error"}
        raise RequestValidationError([{**said, "input": {}, "ctx": {"error": error.msg}}]) from error
