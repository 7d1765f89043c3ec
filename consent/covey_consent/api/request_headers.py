"""Headers of requests that change something: `Idempotency-Key` and `If-Match`.

- A request that creates, sent again with the same Idempotency-Key, gets the same answer.
- A conditional change (RFC 9110, section 13) names the version that was read: nobody overwrites another.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Annotated, TypeVar, TypeVarTuple

from fastapi import Depends, Header, Request, Response
from pydantic import BaseModel
from sqlalchemy.orm import Session

from covey_consent.access.idempotency import Answer, KeyedRequest, Write
from covey_consent.access.roles import Caller
from covey_consent.errors import StaleError, UnconditionalError

Args = TypeVarTuple("Args")
M = TypeVar("M", bound=BaseModel)

IfMatch = Annotated[str | None, Header(alias="If-Match", max_length=1024)]

_ETAG = re.compile(r'(W/)?("[^"]*")')


class Creation:
    """A request that creates, answered once for each of its caller's keys; without a `key` each time."""

    def __init__(
        self,
        request: Request,
        key: Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=255)] = None,
    ) -> None:
        self._request, self.key = request, key

    async def create(
        self,
        caller: Caller,
        work: Callable[[Session, *Args], Answer],
        *args: *Args,
        write: Write | None = None,
    ) -> Response:
        """Do the work, keep its answer in the same transaction, and return it.

        `write` is `Log.write` where the work may append to the log. Raises ConflictError while the same is
        being answered, RequestError for another body.
        """
        request, registry = self._request, self._request.app.state.registry
        if self.key is None:
            return response(await (write or registry.store.write)(work, *args))
        asked = KeyedRequest(caller, f"{request.method} {request.url.path}", self.key, await request.body())
        return response(await registry.answers.once(asked, registry.calendar.now, work, *args, write=write))


OnceOnly = Annotated[Creation, Depends()]
"""A route that creates has a parameter `once: OnceOnly` and returns `await once.create(caller, work)`."""


def answer(model: BaseModel, subject: str | None = None, status: int = 201) -> Answer:
    """Return the model as an answer; `subject` is the person whom it is about."""
    return Answer(model.model_dump_json().encode(), subject, status)


def response(given: Answer) -> Response:
    """Return an answer over HTTP."""
    headers = {"Idempotent-Replayed": "true"} if given.again else None
    return Response(given.body, given.status, headers, media_type="application/json")


def etag(model: BaseModel, *passing: str) -> str:
    """Return the strong entity tag of what a route shows, but for the fields that time alone changes."""
    shown = model.model_dump_json(exclude=set(passing))
    return f'"{hashlib.sha256(shown.encode()).hexdigest()[:32]}"'


def tagged(response: Response, model: M, *passing: str) -> M:
    """Return the model, which the response shows with its entity tag."""
    response.headers["ETag"] = etag(model, *passing)
    return model


def require_match(if_match: str | None, current: str) -> None:
    """Raise unless the sender has read the current version: UnconditionalError, StaleError."""
    if if_match is None:
        raise UnconditionalError("a change needs If-Match with the ETag that you read")
    strong = {tag for weak, tag in _ETAG.findall(if_match) if not weak}
    if if_match.strip() != "*" and current not in strong:
        raise StaleError("this has changed since you read it; read it again, then decide")
