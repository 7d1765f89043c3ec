"""`covey registry breach open|list`: the breach register of a registry that is served, from its machine."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import httpx

from covey_consent.access.roles import Caller, Role
from covey_consent.access.tokens import Tokens
from covey_consent.errors import DamageError
from covey_consent.settings import Settings
from covey_consent.storage import key_file

SECONDS = 60.0
"""For how long the token is good that the command mints for itself; an answer may take as long."""

PAGE = 200


def open_(
    url: str,
    officer: str,
    nature: str,
    detected: str | None = None,
    purposes: Sequence[str] = (),
    rounds: Sequence[str] = (),
    since: str | None = None,
    until: str | None = None,
    *,
    as_json: bool = False,
    settings: Settings | None = None,
) -> int:
    """Open a breach in the officer's name, detected at an ISO 8601 time or now; print it and return 0.

    It hit records from between `since` and `until`, two such times. Returns 1 where the registry does not
    take it, 2 for a time that is none.
    """
    try:
        at, first, last = (
            _seconds(name, text)
            for name, text in (("--at", detected), ("--since", since), ("--until", until))
        )
    except ValueError as error:
        return _fail(str(error), 2)
    scope = {"purposes": purposes, "rounds": rounds, "since": first or 0, "until": last}
    said: dict[str, Any] = {"scope": scope, "account": {"nature": nature}}
    if at is not None:
        said["detected_at"] = at
    return _tell(
        lambda http: [_answer(http.post("/v1/breaches", json=said))], url, officer, settings, as_json
    )


def list_(url: str, officer: str, *, as_json: bool = False, settings: Settings | None = None) -> int:
    """Print every breach and return 0; 1 where the registry does not answer."""
    return _tell(_all, url, officer, settings, as_json)


def show(breach: dict[str, Any], now: float) -> str:
    """Return a breach as one line: its clock, state, and what is missing."""
    left = (breach["due_at"] - now) / 3600
    told = breach["authority_at"] is not None or breach["state"] == "closed"
    clock = "told" if told else f"{left:.1f} h left" if left >= 0 else f"OVERDUE by {-left:.1f} h"
    missing = ", ".join(one.partition(":")[0] for one in breach["missing"]) or "nothing"
    return f"{breach['id']}  {breach['state']}  {clock}  {breach['affected']} people  missing: {missing}"


def _all(http: httpx.Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    place: dict[str, str] = {}
    while True:
        page = _answer(http.get("/v1/breaches", params={"limit": str(PAGE)} | place))
        found += page["items"]
        if page["next"] is None:
            return found
        place = {"cursor": page["next"]}


def _tell(
    ask: Callable[[httpx.Client], list[dict[str, Any]]],
    url: str,
    officer: str,
    settings: Settings | None,
    as_json: bool,
) -> int:
    settings = Settings() if settings is None else settings
    try:
        with httpx.Client(base_url=url, headers=_token(settings, officer), timeout=SECONDS) as http:
            breaches = ask(http)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, DamageError) as error:
        return _fail(f"{url}: {error}", 1)
    lines = [json.dumps(one) if as_json else show(one, time.time()) for one in breaches]
    print("\n".join(lines) if lines else "no breach was opened")
    return 0


def _token(settings: Settings, officer: str) -> dict[str, str]:
    if not settings.key_file.exists():
        raise ValueError(f"there is no key in {settings.key_file}; run this where the registry's key file is")
    tokens = Tokens(key_file.load_or_create(settings.key_file), settings.origin)
    token = tokens.mint(Caller(Role.OFFICER, officer), int(time.time()), int(SECONDS))
    return {"Authorization": f"Bearer {token}"}


def _answer(answer: httpx.Response) -> Any:
    found = answer.json()
    if answer.is_error:
        raise ValueError(str(found.get("detail", answer.status_code)))
    return found


def _seconds(name: str, text: str | None) -> int | None:
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(
            f"{name} is {text!r}: {error}; 2027-01-15T08:00 was expected, for instance"
        ) from None
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())


def _fail(text: str, status: int) -> int:
    print(text, file=sys.stderr)
    return status
