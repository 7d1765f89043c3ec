"""The OpenAPI document: FastAPI's, completed with media types, headers, problems and examples."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from covey_consent.access.dpop import LONGEST
from covey_consent.access.roles import Role
from covey_consent.api.authorization import REASON_CHARACTERS
from covey_consent.api.media import ANSWERED, CBOR, TAKEN
from covey_consent.api.problems import PLAIN, PROBLEM, Problem, catalogue

Json = dict[str, Any]

EXAMPLES: Mapping[str, list[Json]] = json.loads(Path(__file__).with_name("examples.json").read_text("utf-8"))
"""Examples of the API's models by their names in the document."""

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

STATUSES = (400, 401, 403, 404, 409, 412, 413, 415, 422, 428, 429, 500, 503)
"""The statuses of problems."""
STATUS_SAYS_ALL = {
    413: "The body is longer than is taken.",
    415: "The body is of another type than is taken.",
}


class Documented(FastAPI):
    """An application with a complete OpenAPI document."""

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
    for name in models.keys() & EXAMPLES:
        models[name]["examples"] = EXAMPLES[name]
    components["responses"] = {_name(status): _problem_response(status) for status in STATUSES}
    components["parameters"] = PARAMETERS
    _add_etags(document["paths"])
    for method, operation in operations(document):
        _add_content(operation)
        roles = {
            role for scheme in operation.get("security", ()) for named in scheme.values() for role in named
        }
        extra = {"Reason": Role.OFFICER in roles, "Proof": operation["operationId"] == PROVES}
        for name in (name for name, sent in extra.items() if sent):
            operation.setdefault("parameters", []).append({"$ref": f"#/components/parameters/{name}"})
        operation["responses"].pop("422", None)
        for status in sorted(_problem_statuses(method, operation)):
            operation["responses"][str(status)] = {"$ref": f"#/components/responses/{_name(status)}"}
        _add_examples(operation, models)
    return document


def operations(document: Json) -> Iterator[tuple[str, Json]]:
    """Yield every operation behind its method in lower case."""
    for path in document["paths"].values():
        yield from ((method, path[method]) for method in METHODS if method in path)


def _add_etags(paths: Json) -> None:
    """Add the ETag header to the answers of operations with If-Match, and to the GET of the same resource."""
    for path, methods in paths.items():
        for operation in methods.values():
            if any(one.get("name") == "If-Match" for one in operation.get("parameters", ())):
                read = methods.get("get") or paths[path.rpartition("/")[0]]["get"]
                for each in (operation, read):
                    each["responses"]["200"]["headers"] = {"ETag": ETAG}


def _add_content(operation: Json) -> None:
    name = operation["operationId"]
    if taken := TAKEN.get(name):
        content = {taken.media_type: {"schema": {"type": "string", "format": "binary"}}}
        operation["requestBody"] = {"required": True, "description": taken.says, "content": content}
    if answered := ANSWERED.get(name):
        success = operation["responses"]["200"]
        success |= {"description": answered.says, "content": {answered.media_type: {}}}


def _problem_statuses(method: str, operation: Json) -> set[int]:
    """Return the statuses of an operation's problems, which follow from its parameters and body."""
    headers = {str(one.get("name")).lower() for one in operation.get("parameters", ())}
    body = operation.get("requestBody", {}).get("content", {})
    found = {429, 500, 503}
    for applies, statuses in (
        ("security" in operation, {401, 403, 422}),
        (operation["operationId"] == PROVES, {401, 404}),
        (headers or body, {404, 409, 422}),
        (CBOR in body, {400, 403}),
        (method != "get", {413, 415}),
        ("covey-signature" in headers, {403}),
        ("if-match" in headers, {412, 428}),
    ):
        found |= statuses if applies else set()
    return found


def _name(status: int) -> str:
    """Return a status's name in the document: 404 is NotFound."""
    return HTTPStatus(status).phrase.title().replace(" ", "")


def _problem_response(status: int) -> Json:
    types = {type_.type: type_.means for type_ in catalogue().values() if type_.status == status}
    type_, means = next(iter(types.items()), (PLAIN, STATUS_SAYS_ALL.get(status, "")))
    shown = {"type": type_, "title": HTTPStatus(status).phrase, "status": status, "detail": means}
    content = {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": shown}}
    return {"description": " ".join(types.values()) or means, "content": content}


def _add_examples(operation: Json, models: Json) -> None:
    for body in (operation.get("requestBody", {}), *operation["responses"].values()):
        media = body.get("content", {}).get("application/json", {"example": None})
        if "example" not in media:
            # A document without one is better than none.
            with suppress(LookupError):
                media["example"] = _example(media["schema"], models)


def _example(schema: Json, models: Json) -> Any:
    """Return an example of the schema. Raises LookupError where a model has none in examples.json."""
    if "$ref" in schema:
        return _example(models[schema["$ref"].rpartition("/")[2]], models)
    if "examples" in schema:
        return schema["examples"][0]
    if alternatives := schema.get("oneOf") or schema.get("anyOf"):
        return None if {"type": "null"} in alternatives else _example(alternatives[0], models)
    if schema.get("type") == "array":
        return [_example(schema["items"], models)]
    if "properties" in schema:
        return {name: _example(value, models) for name, value in schema["properties"].items()}
    raise LookupError(f"{schema.get('title', 'a value')!r} needs an example in examples.json")
