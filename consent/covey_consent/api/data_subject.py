"""Whom a request is about, where its address names an event or a request of theirs, or its body them."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from sqlalchemy import select

from covey_consent.registry import Registry
from covey_consent.rights.tables import RightsRequest
from covey_consent.storage.models import Event, Subject


async def of_event(here: Registry, request: Request) -> str | None:
    """Return the person whose event the address names."""
    event = request.path_params["event"]
    return await here.store.read(lambda session: session.scalar(select(Event.subject).filter_by(event=event)))


async def of_request(here: Registry, request: Request) -> str | None:
    """Return the person whose request the address names."""
    query = select(RightsRequest.subject).filter_by(id=request.path_params["id_"])
    return await here.store.read(lambda session: session.scalar(query))


async def of_body(here: Registry, request: Request) -> str | None:
    """Return the person whom the body names, where there is one."""
    try:
        said: Any = await request.json()
    except ValueError:
        # An empty body, or one that is no JSON: it names nobody, and the route refuses it in its own words.
        return None
    named = said.get("subject") if isinstance(said, dict) else None
    query = select(Subject.subject).filter_by(subject=named)
    return await here.store.read(lambda session: session.scalar(query)) if isinstance(named, str) else None
