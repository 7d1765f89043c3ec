"""Conditional changes (RFC 9110, section 13): nobody overwrites what they have not read."""

from __future__ import annotations

import hashlib
import re
from typing import Annotated, TypeVar

from fastapi import Header, Response
from pydantic import BaseModel

from covey_consent.errors import StaleError, UnconditionalError

M = TypeVar("M", bound=BaseModel)

IfMatch = Annotated[str | None, Header(alias="If-Match", max_length=1024)]

_ETAG = re.compile(r'(W/)?("[^"]*")')


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
