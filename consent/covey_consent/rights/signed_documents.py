"""The signature (JWS, RFC 7515) and the labels of exports and certificates of erasure.

The labels are in `labels.toml`, in English and Chinese.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from importlib import resources
from string import Template

from joserfc import jws

from covey_consent.access.tokens import ALGORITHM, jwk
from covey_privacy.signatures import SigningKey

Paragraphs = str | list[str]


def sign_document(key: SigningKey, media_type: str, payload: bytes) -> str:
    """Return the payload as a compact JWS; its `kid` is the public key in hex."""
    header = {"alg": ALGORITHM, "typ": media_type, "kid": key.public.hex()}
    return jws.serialize_compact(header, payload, jwk(key), [ALGORITHM])


def fill_labels(document: str, **facts: object) -> dict[str, dict[str, Paragraphs]]:
    """Return a document's paragraphs by language and name, with the facts in their placeholders."""

    def fill(text: Paragraphs) -> Paragraphs:
        if isinstance(text, list):
            return [Template(one).substitute(facts) for one in text]
        return Template(text).substitute(facts)

    return {
        language: {name: fill(text) for name, text in documents[document].items()}
        for language, documents in _load().items()
    }


@functools.cache
def _load() -> Mapping[str, Mapping[str, Mapping[str, Paragraphs]]]:
    return tomllib.loads(resources.files(__package__).joinpath("labels.toml").read_text("utf-8"))
