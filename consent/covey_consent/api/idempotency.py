"""`Idempotency-Key` on requests that create: sent again, the same key gets the same answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeVarTuple

from fastapi import Depends, Header, Request, Response
from pydantic import BaseModel
from sqlalchemy.orm import Session

from covey_consent.access.roles import Caller
from covey_consent.registry import Registry
from covey_consent.storage.idempotency import Answer, KeyedRequest, Write

Args = TypeVarTuple("Args")

Key = Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=255)]


class Once:
    """A request that creates, answered once for each of its caller's keys; without a `key` each time."""

    def __init__(self, here: Registry, request: Request, key: str | None) -> None:
        self._here, self._request, self.key = here, request, key

    async def create(
        self,
        caller: Caller,
        work: Callable[[Session, *Args], Answer],
        *args: *Args,
        write: Write | None = None,
    ) -> Response:
        """Do the work in one transaction with what is kept of its answer, and answer.

        `write` is `Log.write` where the work may append to the log. Raises ConflictError while the same is
        being answered, RequestError for another body.
        """
        return response(await self._answer(caller, write, work, args))

    async def _answer(
        self,
        caller: Caller,
        write: Write | None,
        work: Callable[[Session, *Args], Answer],
        args: tuple[*Args],
    ) -> Answer:
        if self.key is None:
            answer: Answer = await (write or self._here.store.write)(work, *args)
            return answer
        route = f"{self._request.method} {self._request.url.path}"
        asked = KeyedRequest(caller, route, self.key, await self._request.body())
        return await self._here.answers.once(asked, self._here.calendar.now, work, *args, write=write)


def answer(model: BaseModel, subject: str | None = None, status: int = 201) -> Answer:
    """Return the model as an answer; `subject` is the person whom it is about."""
    return Answer(model.model_dump_json().encode(), subject, status)


def response(given: Answer) -> Response:
    """Return an answer over HTTP."""
    headers = {"Idempotent-Replayed": "true"} if given.again else None
    return Response(given.body, given.status, headers, media_type="application/json")


async def _once(request: Request, key: Key = None) -> Once:
    return Once(request.app.state.registry, request, key)


OnceOnly = Annotated[Once, Depends(_once)]
"""Lets a route create once: `once: OnceOnly`, then `return await once.create(caller, work, ...)`."""
