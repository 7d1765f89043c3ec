"""The OpenAPI document: valid, with examples that are what they are examples of, and every refusal named."""

from collections import Counter
from pathlib import Path

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from covey_consent.api.media import ANSWERED, TAKEN
from covey_consent.api.openapi import operations
from covey_consent.api.problems import PROBLEM
from covey_consent.app import create_app
from covey_consent.commands import openapi

DOCUMENT = create_app().openapi()
OPERATIONS = {operation["operationId"]: (method, operation) for method, operation in operations(DOCUMENT)}

every_operation = pytest.mark.parametrize("name", sorted(OPERATIONS))


def valid(value, schema):
    jsonschema.Draft202012Validator({"components": DOCUMENT["components"], **schema}).validate(value)


def resolved(answer):
    if "$ref" not in answer:
        return answer
    return DOCUMENT["components"]["responses"][answer["$ref"].removeprefix("#/components/responses/")]


def json_of(operation):
    for body in (operation.get("requestBody", {}), *map(resolved, operation["responses"].values())):
        for media_type, media in body.get("content", {}).items():
            if media_type.partition(";")[0].endswith("json"):
                yield media_type, media


def test_the_document_is_openapi_3_1():
    assert DOCUMENT["openapi"].startswith("3.1.")
    assert not [error.message for error in OpenAPIV31SpecValidator(DOCUMENT).iter_errors()]


def test_an_operation_is_known_by_its_own_name():
    names = Counter(operation["operationId"] for _, operation in operations(DOCUMENT))
    assert not [name for name, times in names.items() if times > 1]
    assert all(name.isidentifier() for name in names)


@every_operation
def test_what_creates_takes_an_idempotency_key(name):
    _, operation = OPERATIONS[name]
    headers = {one.get("name") for one in operation.get("parameters", ())}
    assert ("201" in operation["responses"]) == ("Idempotency-Key" in headers)


def test_what_is_changed_is_read_first():
    """All that changes what can be read takes If-Match, and says where the ETag is from."""
    answers = {name: one["responses"].get("200", {}) for name, (_, one) in OPERATIONS.items()}
    assert {name for name, answer in answers.items() if "ETag" in answer.get("headers", ())} == {
        "approve", "read_assessment", "rectify", "read_attributes", "restrict", "restriction",
        "set_recipient", "read_recipient", "take_step", "read_request", "take_breach_step", "read_breach",
    }  # fmt: skip


@every_operation
def test_all_json_has_an_example_that_its_schema_accepts(name):
    for media_type, media in json_of(OPERATIONS[name][1]):
        assert media.get("schema"), f"{media_type} says nothing of its shape"
        valid(media["example"], media["schema"])


@pytest.mark.parametrize("name", sorted(DOCUMENT["components"]["schemas"]))
def test_a_model_accepts_its_own_examples(name):
    schema = DOCUMENT["components"]["schemas"][name]
    for example in schema.get("examples", ()):
        valid(example, schema)


@every_operation
def test_an_operation_says_how_it_is_refused(name):
    """Whoever reads the document knows the one shape of every problem, and which there are."""
    method, operation = OPERATIONS[name]
    refusals = {status: resolved(one) for status, one in operation["responses"].items() if status[0] in "45"}
    for status, refusal in refusals.items():
        (media_type,) = refusal["content"]
        assert media_type == PROBLEM
        assert refusal["content"][PROBLEM]["schema"] == {"$ref": "#/components/schemas/Problem"}
        assert refusal["content"][PROBLEM]["example"]["status"] == int(status)
        assert len(refusal["description"]) > 20
    assert refusals.keys() >= {"429", "500", "503"}
    assert ("413" in refusals) == (method != "get")
    if "security" in operation:
        assert refusals.keys() >= {"401", "403"}
    if operation.get("parameters") or operation.get("requestBody"):
        assert "422" in refusals


def test_a_guarded_operation_names_the_scheme_and_its_roles(shop):
    from test_authorisation import GUARDED, PUBLIC

    assert DOCUMENT["components"]["securitySchemes"]["access-token"]["scheme"] == "bearer"
    said = {
        f"{method.upper()} {path}": set(operation.get("security", [{"access-token": ()}])[0]["access-token"])
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
    }
    without = {route.replace(":path}", "}") for route in PUBLIC} - {"GET /openapi.json"}
    assert said == {route: set() for route in without} | GUARDED


def test_what_is_not_json_names_its_media_type_and_message():
    bodiless = {"signal", "attach", "detach", "approve", "retry_recipient", "issue_device_token"}
    sending = {
        name for name, (method, one) in OPERATIONS.items() if method != "get" and "requestBody" not in one
    }
    assert sending == bodiless
    assert TAKEN.keys() | ANSWERED.keys() <= OPERATIONS.keys()
    for name, taken in TAKEN.items():
        body = OPERATIONS[name][1]["requestBody"]
        assert (body["description"], list(body["content"])) == (taken.says, [taken.media_type])
    for name, content in ANSWERED.items():
        answer = OPERATIONS[name][1]["responses"]["200"]
        assert (answer["description"], list(answer["content"])) == (content.says, [content.media_type])


def test_it_is_what_the_registry_serves(shop):
    assert shop.http.get("/openapi.json").json() == DOCUMENT


def test_the_file_in_docs_is_what_the_routes_say(tmp_path):
    file = Path(__file__).parents[2] / "docs" / "registry.openapi.json"
    assert openapi.main(file) == 0, (
        "run python -m covey_consent.commands.openapi docs/registry.openapi.json --write"
    )
    old = tmp_path / "old.json"
    old.write_text(file.read_text("utf-8").replace("/healthz", "/health"), "utf-8")
    assert openapi.main(old) == 1
