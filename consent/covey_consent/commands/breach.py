"""`covey registry breach open|list`: the breach register of a registry that is served, from its machine."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from covey_consent.commands.client import ask, mint_officer_token, print_error, read_pages, read_time
from covey_consent.errors import ConsentRegistryError, RequestError
from covey_consent.settings import Settings


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
            None if text is None else int(read_time(name, text).timestamp())
            for name, text in (("--at", detected), ("--since", since), ("--until", until))
        )
    except RequestError as error:
        return print_error(error, 2)
    scope = {"purposes": purposes, "rounds": rounds, "since": first or 0, "until": last}
    breach: dict[str, Any] = {"scope": scope, "account": {"nature": nature}}
    if at is not None:
        breach["detected_at"] = at
    return _print(
        lambda path, token: [ask("POST", path, token, json=breach).json()], url, officer, settings, as_json
    )


def list_(url: str, officer: str, *, as_json: bool = False, settings: Settings | None = None) -> int:
    """Print every breach and return 0; 1 where the registry does not answer."""
    return _print(
        lambda path, token: read_pages(lambda place: ask("GET", path, token, params=place)),
        url, officer, settings, as_json,
    )  # fmt: skip


def describe(breach: dict[str, Any], now: float) -> str:
    """Return a breach as one line: its clock, state, and what is missing."""
    left = (breach["due_at"] - now) / 3600
    is_notified = breach["authority_at"] is not None or breach["state"] == "closed"
    clock = "told" if is_notified else f"{left:.1f} h left" if left >= 0 else f"OVERDUE by {-left:.1f} h"
    missing = ", ".join(one.partition(":")[0] for one in breach["missing"]) or "nothing"
    return f"{breach['id']}  {breach['state']}  {clock}  {breach['affected']} people  missing: {missing}"


def _print(
    ask_breaches: Callable[[str, str], Iterable[dict[str, Any]]],
    url: str,
    officer: str,
    settings: Settings | None,
    as_json: bool,
) -> int:
    settings = Settings() if settings is None else settings
    try:
        token = mint_officer_token(settings, officer)
        breaches = [*ask_breaches(f"{url.rstrip('/')}/v1/breaches", token)]
    except ConsentRegistryError as error:
        return print_error(f"{url}: {error}", 1)
    for breach in breaches:
        print(json.dumps(breach) if as_json else describe(breach, time.time()))
    if not breaches:
        print("no breach was opened")
    return 0
