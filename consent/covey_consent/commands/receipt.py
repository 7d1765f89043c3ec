"""`covey registry receipt verify` and `covey certificate print`, without the network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from covey_consent.errors import RequestError, without_number
from covey_consent.receipts.page import render_certificate
from covey_consent.receipts.signed_receipts import LIMIT, verify
from covey_privacy.commands.certificate import establish_facts
from covey_privacy.errors import MisuseError
from covey_privacy.note import public_key


def check(file: Path, key: str) -> int:
    """Print in one line what the receipt in `file` shows under the key; return 1 when it fails."""
    try:
        with file.open("rb") as opened:
            print(verify(opened.read(LIMIT + 1), public_key(key)))
    except (OSError, RequestError, MisuseError) as error:
        print(f"the receipt is refused: {without_number(error)}")
        return 1
    return 0


def print_certificate(out: Path, **certificate: Any) -> None:
    """Write the page of a certificate that holds; the other options are those of `establish_facts`."""
    out.write_text(render_certificate(establish_facts(**certificate)), "utf-8")
    print(f"The page is at {out}")
