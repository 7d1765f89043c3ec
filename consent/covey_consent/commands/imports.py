"""`covey registry import`: bring a person's export from another registry to a running one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import httpx

from covey_consent.api.media import ZIP
from covey_consent.commands.notice import SECONDS, TOKEN
from covey_consent.errors import without_number
from covey_consent.rights.imports import LIMIT


def import_(file: Path, key: str, url: str) -> int:
    """Import the export in `file`, signed under `key` (hex), at the registry that serves `url`.

    The admin's access token is in COVEY_REGISTRY_TOKEN. Return 0 when the person is known there, 1 when the
    registry refuses or cannot be reached, 2 when there is no token or no such file.
    """
    token = os.environ.get(TOKEN, "")
    if not token:
        print(f"{TOKEN} is not set; give it an access token of the role admin")
        return 2
    try:
        with file.open("rb") as opened:
            data = opened.read(LIMIT + 1)
    except OSError as error:
        print(f"{file} cannot be read: {without_number(error)}")
        return 2
    return _post(data, key, f"{url.rstrip('/')}/v1/imports", token)


def _post(data: bytes, key: str, url: str, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": ZIP}
    try:
        answer = httpx.post(url, content=data, params={"key": key}, headers=headers, timeout=SECONDS)
        said = dict(answer.json())
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, TypeError) as error:
        print(f"no registry answers at {url}: {error}")
        return 1
    print(_told(said) if answer.is_success else f"the registry refuses it: {said.get('detail')}")
    return 0 if answer.is_success else 1


def _told(said: dict[str, Any]) -> str:
    guardian = {
        "none": "",
        "linked": ", with their guardian",
        "lost": "; their guardian is not known there: link them anew",
    }[said["guardian"]]
    return f"{said['subject']}: {said['consents']} events and {said['devices']} devices imported{guardian}"
