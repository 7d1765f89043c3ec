"""`covey registry allowed|find|history|rounds|requests`: an officer's look-ups at a registry that is served.

They have the access token in COVEY_REGISTRY_TOKEN, or one that they mint in the officer's name where the
registry's key file is. Each takes the options of `print_rows` by name.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import Any, Literal
from urllib.parse import quote

from covey_consent.commands.client import TOKEN, ask, mint_officer_token, print_error, read_pages, read_time
from covey_consent.errors import ConsentRegistryError, RequestError
from covey_consent.settings import Settings
from covey_consent.storage.csv_tables import table

ALLOWED = ("subject", "event", "notice", "allowed_at", "expires_at")
PEOPLE = ("subject", "enrolled_at", "devices")
EVENTS = ("event", "at", "purpose", "state", "actor", "method", "notice", "language", "expires_at", "reason")
ROUNDS = (
    "round_id", "query", "purpose", "purposes", "epoch", "epsilon", "epsilon_so_far", "delta", "sigma",
    "cohort", "outcome", "manifest_index", "evidence_index",
)  # fmt: skip
REQUESTS = (
    "id", "subject", "kind", "purpose", "words", "state", "received_at", "due_at", "extended", "overdue",
)  # fmt: skip


def list_allowed(purpose: str, at: str | None = None, **asked: Any) -> int:
    """Print who allowed a purpose at an ISO 8601 time (UTC where it names no zone), or now."""
    try:
        params = {} if at is None else {"at": read_time("--at", at).isoformat()}
    except RequestError as error:
        return print_error(error, 2)
    return print_rows(f"/v1/purposes/{quote(purpose, safe='')}/subjects", ALLOWED, params, **asked)


def find_people(prefix: str | None, reference: str | None, **asked: Any) -> int:
    """Print the people whose pseudonym begins so, or whom the shop knows by the reference."""
    sought = {"prefix": prefix} if prefix is not None else {"reference": reference}
    return print_rows("/v1/subjects:search", PEOPLE, sought, method="POST", **asked)


def list_history(subject: str, **asked: Any) -> int:
    """Print everything that was said by a person or for them, with the officers' reasons."""
    return print_rows(f"/v1/subjects/{quote(subject, safe='')}/events", EVENTS, {}, **asked)


def list_rounds(**asked: Any) -> int:
    """Print every round with its epsilon."""
    return print_rows("/v1/rounds", ROUNDS, {}, reason="the list of rounds", **asked)


def list_requests(overdue: bool, due_within: int | None, **asked: Any) -> int:
    """Print people's requests: all, the late ones, or those that are due within so many days."""
    params = {"overdue": str(overdue).lower()}
    if due_within is not None:
        params["due_within"] = str(due_within)
    return print_rows("/v1/rights", REQUESTS, params, **asked)


def print_rows(
    path: str,
    columns: Sequence[str],
    params: dict[str, Any],
    *,
    url: str,
    officer: str,
    reason: str,
    form: Literal["text", "json", "csv"] = "text",
    method: Literal["GET", "POST"] = "GET",
) -> int:
    """Print the rows of every page of a route and return 0; 1 where the registry does not answer.

    Args:
        path: the route.
        columns: which fields are printed; with "json" every field is.
        params: what is asked for, in the address of a GET or the body of a POST.
        url: where the registry is served.
        officer: in whose name.
        reason: why, for the access log.
        form: "json" prints an object a line.
        method: how the route is asked.
    """
    address, headers = f"{url.rstrip('/')}{path}", {"Covey-Reason": quote(reason)}
    sent_as = "json" if method == "POST" else "params"
    count = 0
    try:
        token = _token(officer)
        if form == "csv":
            sys.stdout.write(table(columns, []))
        pages = read_pages(
            lambda place: ask(method, address, token, headers, **{sent_as: {**params, **place}})
        )
        for count, row in enumerate(pages, 1):  # noqa: B007  counted for the line below
            if form == "json":
                print(json.dumps(row))
            elif form == "csv":
                sys.stdout.write(table(columns, [row], header=False))
            else:
                told = {name: row[name] for name in columns if row.get(name) is not None}
                print("  ".join(f"{name}: {_printable(value)}" for name, value in told.items()))
    except ConsentRegistryError as error:
        return print_error(f"{url}: {error}", 1)
    if form == "text" and not count:
        print("nothing was found")
    return 0


def _token(officer: str) -> str:
    given = os.environ.get(TOKEN)
    try:
        return given or mint_officer_token(Settings(), officer)
    except RequestError as error:
        raise RequestError(f"{error}, or give an officer's access token in {TOKEN}") from None


def _printable(value: Any) -> str:
    # A person's words may hold anything: none of it moves the terminal's cursor.
    return "".join(one if one.isprintable() else " " for one in str(value))
