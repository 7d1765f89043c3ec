"""The operator, who proves a request with the key that signs manifests."""

from __future__ import annotations

from typing import Annotated

from fastapi import Header

from covey_consent.access.signed_messages import require_signature
from covey_consent.errors import DeniedError
from covey_consent.registry import Registry

Signature = Annotated[str, Header(alias="Covey-Signature", pattern="^[0-9a-f]{128}$")]
"""The operator's signature, in hex."""


def key(here: Registry) -> bytes:
    """Return the operator's public key. Raises DeniedError where none is configured."""
    if here.operator is None:
        raise DeniedError("no operator key is configured (COVEY_REGISTRY_OPERATOR): every round is refused")
    return here.operator


def require(here: Registry, message: bytes, signature: str, what: str) -> None:
    """Raise DeniedError unless the operator signed the message."""
    require_signature(key(here), message, bytes.fromhex(signature), what)
