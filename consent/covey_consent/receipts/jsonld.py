"""JSON-LD nodes: each class is a type of node, each field a property, its alias the vocabulary's name.

`has_purpose` is `dpv:hasPurpose`; `TERMS` names those of other vocabularies. The context stands in the
receipt, so that nothing is fetched to read it.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from importlib import resources
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema
from pydantic.alias_generators import to_camel

CONTEXT: dict[str, Any] = json.loads(
    resources.files(__package__).joinpath("vocabulary", "context.json").read_text("utf-8")
)

TERMS = {
    "context": "@context",
    "id": "@id",
    "type": "@type",
    "value": "rdf:value",
    "version": "schema:version",
    **{name: f"dct:{to_camel(name)}" for name in (
        "identifier", "conforms_to", "created", "publisher", "title", "description", "language",
    )},
    **{name: f"covey:{to_camel(name)}" for name in (
        "sha256", "data_in_words", "privacy_budget", "epsilon", "epsilon_total", "delta", "evidence",
        "imported_from",
    )},
}  # fmt: skip


def term(field: str) -> str:
    """Return the JSON-LD property of a field."""
    return TERMS.get(field, f"dpv:{to_camel(field)}")


def timestamp(milliseconds: int) -> str:
    """Return Unix milliseconds in the form of RFC 3339."""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:03d}Z"


def _is_ours(context: dict[str, Any]) -> dict[str, Any]:
    if any(CONTEXT.get(term) != meaning for term, meaning in context.items()):
        raise ValueError("the context gives a term another meaning than Covey's receipts do")
    return context


_CONTEXT_SCHEMA = {
    "type": "object",
    "properties": {term: {"const": meaning} for term, meaning in CONTEXT.items()},
    "additionalProperties": False,
}
Context = Annotated[dict[str, Any], AfterValidator(_is_ours), WithJsonSchema(_CONTEXT_SCHEMA)]
Iri = Annotated[
    str, StringConstraints(pattern=r"^(covey|dpv|eu-gdpr|loc|pd|pipl):[A-Za-z0-9-]+$", max_length=80)
]
Words = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=65_535)]
Uuid = Annotated[str, StringConstraints(pattern="^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
Hex32 = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
Time = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")]
Some = Field(min_length=1, max_length=32)


def _require_what_is_fixed(schema: dict[str, Any], node: type[BaseModel]) -> None:
    """Ask for every field that each receipt has, also for those of one value only."""
    fields = node.model_fields.items()
    schema["required"] = [term(name) for name, field in fields if field.is_required() or field.default]


class Node(BaseModel):
    """A JSON-LD node of known properties and no other."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=term,
        populate_by_name=True,
        json_schema_extra=_require_what_is_fixed,
    )
