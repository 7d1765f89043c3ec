"""The problems that an operation can answer with, told from what it takes."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from covey_consent.api.catalogue import catalogue
from covey_consent.api.http import CBOR
from covey_consent.api.problems import PLAIN, PROBLEM

ALWAYS = {429, 500, 503}
GUARDED = {401, 403, 422}
PROVEN = {401, 404}
ASKED = {404, 409, 422}
"""Where something in the address, a header or the body is asked for."""
MESSAGE = {400, 403}
SENT = {413, 415}
SIGNED = {403}
"""Where a header carries the operator's signature."""
CONDITIONAL = {412, 428}

_SAYS = {413: "The body is longer than is taken.", 415: "The body is of another type than is taken."}
"""Of the statuses that say all."""


def statuses(method: str, operation: Mapping[str, Any], *, proves: bool) -> list[int]:
    """Return the statuses of the problems that an operation can answer with."""
    headers = {str(one.get("name")).lower() for one in operation.get("parameters", ())}
    body = operation.get("requestBody", {}).get("content", {})
    found = {
        *ALWAYS,
        *(GUARDED if "security" in operation else ()),
        *(PROVEN if proves else ()),
        *(ASKED if headers or body else ()),
        *(MESSAGE if CBOR in body else ()),
        *(SENT if method != "get" else ()),
        *(SIGNED if "covey-signature" in headers else ()),
        *(CONDITIONAL if "if-match" in headers else ()),
    }
    return sorted(found)


def refusals() -> dict[str, Any]:
    """Return every response that is a problem, by name."""
    possible = ALWAYS | GUARDED | PROVEN | ASKED | MESSAGE | SENT | SIGNED | CONDITIONAL
    return {name(status): _refusal(status) for status in sorted(possible)}


def name(status: int) -> str:
    """Return a status's name in the document: 404 is NotFound."""
    return HTTPStatus(status).phrase.title().replace(" ", "")


def _refusal(status: int) -> dict[str, Any]:
    types = {type_.type: type_.means for type_ in catalogue().values() if type_.status == status}
    type_, means = next(iter(types.items()), (PLAIN, _SAYS.get(status, "")))
    title = HTTPStatus(status).phrase
    shown = {"type": type_, "title": title, "status": status, "detail": means}
    content = {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": shown}}
    return {"description": " ".join(types.values()) or means, "content": content}
