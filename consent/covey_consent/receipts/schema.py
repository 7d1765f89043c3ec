"""The JSON Schema (2020-12) of receipts, for readers without Covey; `--write` makes the file anew."""

from __future__ import annotations

import json
import sys
from importlib import resources
from pathlib import Path

from covey_consent.receipts.schema_27560 import Receipt

NAME = "receipt.schema.json"
SHAPES = "receipt.shacl.ttl"
EXAMPLE = "receipt.example.json"


def made() -> str:
    """Return the schema as the shape of receipts makes it."""
    schema = Receipt.model_json_schema(by_alias=True, mode="validation")
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://w3id.org/covey/receipt",
    }
    return json.dumps({**head, **schema}, indent=2, ensure_ascii=False) + "\n"


def packaged(name: str = NAME) -> str:
    """Return the schema, the SHACL shapes, or an example, as shipped."""
    return resources.files(__package__).joinpath("vocabulary", name).read_text("utf-8")


if __name__ == "__main__" and "--write" in sys.argv:
    Path(__file__).with_name("vocabulary").joinpath(NAME).write_text(made(), "utf-8")
