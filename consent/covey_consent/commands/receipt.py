"""`covey registry receipt`: what a receipt shows, checked on this machine alone."""

from __future__ import annotations

from pathlib import Path

from covey_consent.errors import RequestError
from covey_consent.receipts.signing import LIMIT
from covey_consent.receipts.verification import verify


def check(file: Path, key: str) -> int:
    """Print in one line what the signed receipt in `file` shows under `key` (hex); return 1 when it fails."""
    try:
        print(verify(_read(file), _public(key)))
    except (OSError, RequestError) as error:
        print(f"the receipt is refused: {error}")
        return 1
    return 0


def _read(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(LIMIT + 1)


def _public(key: str) -> bytes:
    try:
        public = bytes.fromhex(key)
    except ValueError:
        public = b""
    if len(public) != 32:
        raise RequestError("--key is not the registry's public key: 64 hex digits were expected")
    return public
