"""Examples of JSON, put together from those that the models carry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]


def restore_nulls(model: Schema) -> None:
    """Put back into a model's examples the nulls that FastAPI leaves out of whatever it writes."""
    for one in model.get("examples", ()):
        for name in model.get("required", ()):
            one.setdefault(name, None)


def example(schema: Schema, models: Mapping[str, Schema]) -> Any:
    """Return an example of the schema; `models` by name. Raises LookupError where a model carries none."""
    if "$ref" in schema:
        return example(models[schema["$ref"].rpartition("/")[2]], models)
    if "examples" in schema:
        return schema["examples"][0]
    if alternatives := schema.get("oneOf") or schema.get("anyOf"):
        return None if {"type": "null"} in alternatives else example(alternatives[0], models)
    if schema.get("type") == "array":
        return [example(schema["items"], models)]
    if "properties" in schema:
        return {name: example(value, models) for name, value in schema["properties"].items()}
    raise LookupError(f"{schema.get('title', 'a value')!r} needs an example: json_schema_extra")
