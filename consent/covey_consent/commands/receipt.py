"""`covey registry receipt`: what a receipt shows, checked on this machine alone."""

from __future__ import annotations

from pathlib import Path

from covey_consent.errors import RequestError, without_number
from covey_consent.receipts.signed_receipts import LIMIT, verify
from covey_privacy.errors import MisuseError
from covey_privacy.note import public_key


def check(file: Path, key: str) -> int:
    """Print in one line what the receipt in `file` shows under the key; return 1 when it fails."""
    try:
        print(verify(_read(file), public_key(key)))
    except (OSError, RequestError, MisuseError) as error:
        print(f"the receipt is refused: {without_number(error)}")
        return 1
    return 0


def _read(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(LIMIT + 1)
