"""`covey registry clock show|confirm`: the clock of a registry that is being served."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from typing import Any

import httpx

from covey_consent.commands.notice import SECONDS, TOKEN
from covey_consent.errors import ConsentRegistryError, RequestError, UnavailableError

__all__ = ["ConsentRegistryError", "confirm", "show"]


def show(url: str) -> int:
    """Print what the registry at `url` says of its clock: 0 while it trusts it, 3 while it does not.

    Raises UnavailableError where no registry answers.
    """
    clock = _asked("GET", f"{url.rstrip('/')}/readyz").get("clock")
    if not isinstance(clock, dict):
        raise UnavailableError(f"the registry at {url} is not ready; /readyz says why")
    print(clock.get("reason") or "the clock is trusted")
    return 3 if clock.get("reason") else 0


def confirm(url: str, stated: str) -> int:
    """Confirm that it is now the `stated` time (ISO 8601) at the registry at `url`; print so and return 0.

    The administrator's access token is in COVEY_REGISTRY_TOKEN. Raises RequestError for another text, without
    a token and where the registry refuses, UnavailableError where none answers.
    """
    token = os.environ.get(TOKEN, "")
    if not token:
        raise RequestError(f"{TOKEN} is not set; give it an access token of the role admin")
    headers = {"Authorization": f"Bearer {token}"}
    _asked("POST", f"{url.rstrip('/')}/v1/clock/confirmations", headers, {"now": _seconds(stated)})
    print("the clock is confirmed: what time makes due is done again")
    return 0


def _asked(method: str, url: str, headers: dict[str, str] | None = None, said: Any = None) -> dict[str, Any]:
    try:
        answer = httpx.request(method, url, headers=headers, json=said, timeout=SECONDS)
        found = dict(answer.json()) if answer.content else {}
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, TypeError) as error:
        raise UnavailableError(f"no registry answers at {url}: {error}") from None
    if answer.is_error:
        kind = RequestError if answer.status_code < 500 else UnavailableError
        raise kind(f"the registry answered {answer.status_code}: {found.get('detail', 'no reason given')}")
    return found


def _seconds(text: str) -> int:
    try:
        at = datetime.fromisoformat(text)
        return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        example = datetime.fromtimestamp(time.time(), UTC).strftime("%Y-%m-%dT%H:%MZ")
        raise RequestError(
            f"--time is {text[:40]!r}; the time by another clock was expected, in ISO 8601, such as {example}"
        ) from None
