"""`Idempotency-Key` on requests that create: sent again, the same key gets the same answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeVarTuple

from fastapi import Depends, Header, Request, Response
from pydantic import BaseModel
from sqlalchemy.orm import Session

from covey_consent.access.roles import Caller
from covey_consent.api.http import Here
from covey_consent.idempotency import Answer, Asked, Write
from covey_consent.registry import Registry

Args = TypeVarTuple("Args")

Key = Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=255)]


class Once:
    """A request that creates, answered once for each of its caller's keys."""

    def __init__(self, here: Registry, request: Request, key: str | None) -> None:
        self._here, self._request, self._key = here, request, key

    async def create(
        self,
        caller: Caller,
        work: Callable[[Session, *Args], BaseModel],
        *args: *Args,
        subject: str | None = None,
        write: Write | None = None,
        status: int = 201,
    ) -> Response:
        """Do the work in one transaction with what is kept of its answer, and answer.

        `subject` is the person whom the answer is about, `write` is `Log.write` where the work may append to
        the log. Raises ConflictError while the same is being answered, RequestError for another body.
        """
        answer = await self._answer(caller, subject, write, work, args)
        headers = {"Idempotent-Replayed": "true"} if answer.again else None
        return Response(answer.body, status, headers, media_type="application/json")

    async def _answer(
        self,
        caller: Caller,
        subject: str | None,
        write: Write | None,
        work: Callable[[Session, *Args], BaseModel],
        args: tuple[*Args],
    ) -> Answer:
        if self._key is None:
            return Answer(await (write or self._here.store.write)(_encoded, work, args))
        route = f"{self._request.method} {self._request.url.path}"
        asked = Asked(caller, route, self._key, await self._request.body(), subject)
        answers, now = self._here.answers, self._here.calendar.now
        return await answers.once(asked, now, _encoded, work, args, write=write)


def _encoded(session: Session, work: Callable[[Session, *Args], BaseModel], args: tuple[*Args]) -> bytes:
    return work(session, *args).model_dump_json().encode()


async def _once(here: Here, request: Request, key: Key = None) -> Once:
    return Once(here, request, key)


OnceOnly = Annotated[Once, Depends(_once)]
"""Lets a route create once: `once: OnceOnly`, then `return await once.create(caller, work, ...)`."""
