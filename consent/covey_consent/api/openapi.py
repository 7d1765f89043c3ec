"""The OpenAPI document: what FastAPI reads off the routes, and what all operations have in common."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from fastapi import FastAPI

from covey_consent.access.authorization import REASON_CHARACTERS
from covey_consent.access.dpop import LONGEST
from covey_consent.access.roles import Role
from covey_consent.api import openapi_errors
from covey_consent.api.examples import example, restore_nulls
from covey_consent.api.http import CBOR
from covey_consent.api.media import ANSWERED, TAKEN, UPLOADED
from covey_consent.api.problems import Problem

Json = dict[str, Any]

ABOUT = """\
Consent, notices, the rights of the people concerned, and the transparency log that shows all of it.

Devices and the coordinator speak CBOR, in messages that `docs/protocol.cddl` defines; everyone else JSON.
Every error is a problem (RFC 9457); `/problems` says what each type means."""

METHODS = ("get", "put", "post", "patch", "delete")

PROVES = "issue_device_token"
"""The operation that a DPoP proof alone opens."""

PARAMETERS = {
    "Reason": {
        "name": "Covey-Reason",
        "in": "header",
        "description": "Why an officer looks at a person: percent-encoded UTF-8",
        "schema": {"type": "string", "minLength": 1, "maxLength": REASON_CHARACTERS},
    },
    "Proof": {
        "name": "DPoP",
        "in": "header",
        "required": True,
        "description": "A proof for this request by the enrolled device's key (RFC 9449)",
        "schema": {"type": "string", "maxLength": LONGEST},
    },
}

ETAG = {"description": "The version of what is shown, for If-Match", "schema": {"type": "string"}}


class Documented(FastAPI):
    """An application whose document says of every operation what it takes, answers and refuses."""

    def openapi(self) -> Json:
        """Return the OpenAPI 3.1 document."""
        if self.openapi_schema is None:
            self.openapi_schema = complete(super().openapi())
        return self.openapi_schema


def complete(document: Json) -> Json:
    """Return the document with media types, headers, problems and examples."""
    components = document.setdefault("components", {})
    models = components.setdefault("schemas", {})
    for replaced in ("HTTPValidationError", "ValidationError"):
        models.pop(replaced, None)
    models["Problem"] = Problem.model_json_schema()
    for model in models.values():
        restore_nulls(model)
    components |= {"responses": openapi_errors.refusals(), "parameters": PARAMETERS}
    _say_etags(document["paths"])
    for method, operation in operations(document):
        _say_content(operation)
        _say_headers(operation)
        _say_refusals(method, operation)
        _give_examples(operation, models)
    return document


def operations(document: Json) -> Iterator[tuple[str, Json]]:
    """Yield every operation behind its method in lower case."""
    for path in document["paths"].values():
        yield from ((method, path[method]) for method in METHODS if method in path)


def _say_etags(paths: Json) -> None:
    """Say where the ETag comes from that a change takes: its answer's, and of the GET of what it changes."""
    for path, methods in paths.items():
        for operation in [one for one in methods.values() if _takes(one, "If-Match")]:
            read = methods.get("get") or paths[path.rpartition("/")[0]]["get"]
            for each in (operation, read):
                each["responses"]["200"]["headers"] = {"ETag": ETAG}


def _takes(operation: Json, header: str) -> bool:
    return any(one.get("name") == header for one in operation.get("parameters", ()))


def _say_content(operation: Json) -> None:
    name = operation["operationId"]
    if taken := TAKEN.get(name):
        binary = {"schema": {"type": "string", "format": "binary"}}
        operation["requestBody"] = {"required": True, "description": taken, "content": {CBOR: binary}}
    if uploaded := UPLOADED.get(name):
        content = {uploaded.media_type: {"schema": {"type": "string", "format": "binary"}}}
        operation["requestBody"] = {"required": True, "description": uploaded.says, "content": content}
    if answered := ANSWERED.get(name):
        success = operation["responses"]["200"]
        success |= {"description": answered.says, "content": {answered.media_type: {}}}


def _say_headers(operation: Json) -> None:
    roles = {role for scheme in operation.get("security", ()) for named in scheme.values() for role in named}
    extra = ["Reason"] if Role.OFFICER in roles else []
    extra += ["Proof"] if operation["operationId"] == PROVES else []
    for name in extra:
        operation.setdefault("parameters", []).append({"$ref": f"#/components/parameters/{name}"})


def _say_refusals(method: str, operation: Json) -> None:
    operation["responses"].pop("422", None)
    for status in openapi_errors.statuses(method, operation, proves=operation["operationId"] == PROVES):
        operation["responses"][str(status)] = {
            "$ref": f"#/components/responses/{openapi_errors.name(status)}"
        }


def _give_examples(operation: Json, models: Json) -> None:
    for body in (operation.get("requestBody", {}), *operation["responses"].values()):
        media = body.get("content", {}).get("application/json", {"example": None})
        if "example" not in media:
            # A document without one is better than none.
            with suppress(LookupError):
                media["example"] = example(media["schema"], models)
