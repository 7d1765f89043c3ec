"""Signed receipts: JWS (RFC 7515) in compact form, Ed25519 (RFC 8037), over the canonical JSON-LD (RFC 8785).

The key is the registry's own, which also signs its log and notices. What is signed there begins with the
log's name and a newline, or with "covey/1/"; a JWS is base64url throughout: none can stand for another.
"""

from __future__ import annotations

from typing import Any

import rfc8785
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from joserfc.jws import JWSRegistry
from joserfc.util import urlsafe_b64encode
from pydantic import ValidationError

from covey_consent.errors import RequestError
from covey_consent.receipts.schema_27560 import Receipt
from covey_privacy.signatures import SigningKey

ALGORITHM = "Ed25519"
TYPE = "covey-receipt+jwt"
LIMIT = 2**22
"""A signed receipt's bytes at most: 64 records with their texts and proofs."""


class _Registry(JWSRegistry):
    max_payload_length = LIMIT


_REGISTRY = _Registry(algorithms=[ALGORITHM])


def canonical(receipt: Receipt) -> bytes:
    """Return the receipt as canonical JSON-LD."""
    return rfc8785.dumps(receipt.model_dump(mode="json", by_alias=True, exclude_none=True))


def sign(receipt: Receipt, key: SigningKey) -> bytes:
    """Return the receipt signed; `kid` is the key's thumbprint (RFC 7638)."""
    pair = _jwk(key.public, key.secret)
    header = {"alg": ALGORITHM, "kid": pair.thumbprint(), "typ": TYPE}
    return jws.serialize_compact(header, canonical(receipt), pair, registry=_REGISTRY).encode()


def public_jwk(key: bytes) -> dict[str, Any]:
    """Return the JWK by which others verify receipts (RFC 7517)."""
    pair = _jwk(key)
    return {**pair.as_dict(private=False), "kid": pair.thumbprint(), "alg": ALGORITHM, "use": "sig"}


def open_(signed: bytes, key: bytes) -> Receipt:
    """Return the receipt in a JWS of the public `key` (32 bytes). Raises RequestError when it is not one."""
    if len(signed) > LIMIT:
        raise RequestError(f"a signed receipt has at most {LIMIT} bytes; {len(signed)} arrived")
    pair = _jwk(key)
    try:
        opened = jws.deserialize_compact(signed, pair, registry=_REGISTRY)
    except (JoseError, ValueError) as error:
        why = str(error).rstrip(": ")
        raise RequestError(f"the receipt is not signed by the registry's key: {why}") from None
    if opened.headers() != {"alg": ALGORITHM, "kid": pair.thumbprint(), "typ": TYPE}:
        raise RequestError(
            f"the signature's header is not a receipt's: alg {ALGORITHM}, typ {TYPE} and the kid"
        )
    return _read(opened.payload)


def _read(payload: bytes) -> Receipt:
    try:
        receipt = Receipt.model_validate_json(payload, by_alias=True, by_name=False)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise RequestError(f"the receipt is not of its schema: {where}: {first['msg']}") from None
    if canonical(receipt) != payload:
        raise RequestError("the receipt is not canonical JSON (RFC 8785), so that two readers could read two")
    return receipt


def _jwk(public: bytes, secret: bytes | None = None) -> OKPKey:
    key: dict[str, str | list[str]] = {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": urlsafe_b64encode(public).decode(),
    }
    return OKPKey.import_key(key if secret is None else {**key, "d": urlsafe_b64encode(secret).decode()})
