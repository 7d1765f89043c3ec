"""A certificate of a person's own part as one A4 page in English and Chinese: no script, nothing fetched."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

LANGUAGES = ("en", "zh")


def render(facts: Mapping[str, Any]) -> str:
    """Return the page.

    Args:
        facts: what a verified certificate proves, as `covey certificate verify --json` prints it.
    """
    words = {language: _words()[language] for language in LANGUAGES}
    shown = {name: ", ".join(value) if isinstance(value, list) else value for name, value in facts.items()}
    statements = {each: words[each][facts["kind"]]["statement"].format(**shown) for each in LANGUAGES}
    return _environment().get_template("certificate.html.j2").render(
        facts=facts, languages=LANGUAGES, words=words, statements=statements
    )  # fmt: skip


@functools.cache
def _words() -> Mapping[str, Any]:
    return tomllib.loads(resources.files(__package__).joinpath("certificate.toml").read_text("utf-8"))


@functools.cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("covey_consent.receipts", "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
