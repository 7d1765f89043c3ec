"""Conditional changes (RFC 9110, section 13): nobody overwrites what they have not read."""

from __future__ import annotations

import hashlib
import re
from typing import Annotated

from fastapi import Header
from pydantic import BaseModel

from covey_consent.errors import StaleError, UnconditionalError

IfMatch = Annotated[str | None, Header(alias="If-Match", max_length=1024)]

_ETAG = re.compile(r'(W/)?("[^"]*")')


def etag(model: BaseModel) -> str:
    """Return the strong entity tag of what a route shows."""
    return f'"{hashlib.sha256(model.model_dump_json().encode()).hexdigest()[:32]}"'


def require_match(if_match: str | None, current: str) -> None:
    """Raise unless the sender has read the current version: UnconditionalError, StaleError."""
    if if_match is None:
        raise UnconditionalError("a change needs If-Match with the ETag that you read")
    strong = {tag for weak, tag in _ETAG.findall(if_match) if not weak}
    if if_match.strip() != "*" and current not in strong:
        raise StaleError("this has changed since you read it; read it again, then decide")
