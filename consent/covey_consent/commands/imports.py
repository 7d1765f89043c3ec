"""`covey registry import`: bring a person's export from another registry to a running one."""

from __future__ import annotations

from pathlib import Path

from covey_consent.api.media import ZIP
from covey_consent.commands.client import ask, require_admin_token
from covey_consent.errors import ConsentRegistryError, RequestError, without_number
from covey_consent.rights.imports import LIMIT

_GUARDIANS = {
    "none": "",
    "linked": ", with their guardian",
    "lost": "; their guardian is not known there: link them anew",
}


def import_(file: Path, key: str, url: str) -> int:
    """Import the export in `file`, signed under `key` (hex), at the registry that serves `url`.

    The admin's access token is in COVEY_REGISTRY_TOKEN. Return 0 when the person is known there, 1 when the
    registry refuses or cannot be reached, 2 when there is no token or no such file.
    """
    try:
        token = require_admin_token()
        with file.open("rb") as opened:
            data = opened.read(LIMIT + 1)
    except RequestError as error:
        print(error)
        return 2
    except OSError as error:
        print(f"{file} cannot be read: {without_number(error)}")
        return 2
    path, headers = f"{url.rstrip('/')}/v1/imports", {"Content-Type": ZIP}
    try:
        found = ask("POST", path, token, headers, content=data, params={"key": key}).json()
    except ConsentRegistryError as error:
        print(error)
        return 1
    guardian = _GUARDIANS[found["guardian"]]
    print(f"{found['subject']}: {found['consents']} events and {found['devices']} devices imported{guardian}")
    return 0
