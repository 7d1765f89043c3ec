"""Asks a registry that is served, over HTTP with an access token."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import httpx

from covey_consent.access.roles import Caller, Role
from covey_consent.access.tokens import Tokens
from covey_consent.errors import RequestError, UnavailableError
from covey_consent.settings import Settings
from covey_consent.storage import key_file
from covey_privacy.signatures import SigningKey

TOKEN = "COVEY_REGISTRY_TOKEN"  # noqa: S105  the variable's name
SECONDS = 60.0
"""For how long an answer is waited for, and a token is good that a command mints for itself."""

PAGE = 500


def ask(
    method: str, url: str, token: str = "", headers: dict[str, str] | None = None, **sent: Any
) -> httpx.Response:
    """Return a registry's answer, whose body is a JSON object, or empty.

    Args:
        method: GET or POST.
        url: the address of the route.
        token: the access token; without one, anyone may ask.
        headers: further headers.
        sent: what httpx sends: `json`, `content`, `params`.

    Raises:
        RequestError: the registry refuses what was asked.
        UnavailableError: no registry answers, or it fails.
    """
    named = {"Authorization": f"Bearer {token}"} if token else {}
    send = httpx.post if method == "POST" else httpx.get
    try:
        answer = send(url, headers=named | (headers or {}), timeout=SECONDS, **sent)
        body = dict(answer.json()) if answer.content else {}
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, TypeError) as error:
        raise UnavailableError(f"no registry answers at {url}: {error}") from None
    status, detail = answer.status_code, body.get("detail", "no reason given")
    if answer.is_server_error:
        raise UnavailableError(f"the registry answered {status}: {detail}")
    if not answer.is_success:
        raise RequestError(f"the registry refuses it ({status}): {detail}")
    return answer


def read_pages(ask_page: Callable[[dict[str, Any]], httpx.Response]) -> Iterator[dict[str, Any]]:
    """Yield the items of every page; `ask_page` asks for one, with the parameters that choose it."""
    place: dict[str, Any] = {"limit": PAGE}
    while True:
        page = ask_page(place).json()
        yield from page["items"]
        if page["next"] is None:
            return
        place["cursor"] = page["next"]


def require_admin_token() -> str:
    """Return the access token that the environment has. Raises RequestError without one."""
    token = os.environ.get(TOKEN, "")
    if not token:
        raise RequestError(f"{TOKEN} is not set; give it an access token of the role admin")
    return token


def read_key(settings: Settings) -> SigningKey:
    """Return the registry's key, which has to be there. Raises RequestError."""
    if not settings.key_file.exists():
        raise RequestError(
            f"there is no key in {settings.key_file}; run this where the registry's key file is"
        )
    return key_file.load_or_create(settings.key_file)


def mint_token(settings: Settings, caller: Caller, seconds: float = SECONDS) -> str:
    """Return a token under the registry's own key. Raises RequestError where the key is not here."""
    return Tokens(read_key(settings), settings.origin).mint(caller, int(time.time()), int(seconds))


def mint_officer_token(settings: Settings, officer: str) -> str:
    """Return a token in the officer's name."""
    return mint_token(settings, Caller(Role.OFFICER, officer))


def read_time(name: str, text: str) -> datetime:
    """Return the time that the option `name` gives in ISO 8601, UTC where it names no zone.

    Raises RequestError for another text.
    """
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise RequestError(
            f"{name} is {text[:40]!r}: a time in ISO 8601 was expected, such as 2027-01-15T08:00"
        ) from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def print_error(error: object, status: int) -> int:
    """Print an error and return the exit status."""
    print(error, file=sys.stderr)
    return status
