"""`covey registry allowed|find|history|rounds|requests` and `notice text`: an officer's look-ups.

They ask a served registry with the access token in COVEY_REGISTRY_TOKEN, or with one that they mint in the
officer's name where the registry's key file is.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import httpx

from covey_consent.access.roles import Caller, Role
from covey_consent.access.tokens import Tokens
from covey_consent.errors import DamageError
from covey_consent.settings import Settings
from covey_consent.storage import key_file
from covey_consent.storage.csv_tables import table

SECONDS = 60.0
"""For how long the token is good that a command mints for itself; an answer may take as long."""

PAGE = 500

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

Rows = Iterator[dict[str, Any]]


class Officer:
    """Who asks, where, why, and how the answer is printed: "text", "json" (an object a line) or "csv"."""

    def __init__(
        self, url: str, name: str, reason: str, written_as: str = "text", settings: Settings | None = None
    ) -> None:
        self._url, self._name, self._reason, self._as = url, name, reason, written_as
        self._settings = settings

    def allowed(self, purpose: str, at: str | None = None) -> int:
        """Print who allowed a purpose at an ISO 8601 time (UTC where it names no zone), or now."""
        try:
            params = {} if at is None else {"at": _moment(at)}
        except ValueError as error:
            return _fail(str(error), 2)
        path = f"/v1/purposes/{quote(purpose, safe='')}/subjects"
        return self._print(ALLOWED, lambda http: _pages(http, path, params))

    def find(self, prefix: str | None, reference: str | None) -> int:
        """Print the people whose pseudonym begins so, or whom the shop knows by the reference."""
        sought = {"prefix": prefix} if prefix is not None else {"reference": reference}
        return self._print(PEOPLE, lambda http: _search(http, sought))

    def history(self, subject: str) -> int:
        """Print everything that was said by a person or for them, with the officers' reasons."""
        path = f"/v1/subjects/{quote(subject, safe='')}/events"
        return self._print(EVENTS, lambda http: _pages(http, path, {}))

    def rounds(self) -> int:
        """Print every round with its epsilon."""
        return self._print(ROUNDS, lambda http: _pages(http, "/v1/rounds", {}))

    def requests(self, *, overdue: bool, due_within: int | None) -> int:
        """Print people's requests: all, the late ones, or those that are due within so many days."""
        params = {"overdue": str(overdue).lower()}
        if due_within is not None:
            params["due_within"] = str(due_within)
        return self._print(REQUESTS, lambda http: _pages(http, "/v1/rights", params))

    def _print(self, columns: Sequence[str], ask: Callable[[httpx.Client], Rows]) -> int:
        settings = Settings() if self._settings is None else self._settings
        try:
            headers = {
                "Covey-Reason": quote(self._reason),
                "Authorization": f"Bearer {self._token(settings)}",
            }
            with httpx.Client(base_url=self._url, headers=headers, timeout=SECONDS) as http:
                self._write(columns, ask(http))
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, DamageError) as error:
            return _fail(f"{self._url}: {error}", 1)
        return 0

    def _write(self, columns: Sequence[str], rows: Rows) -> None:
        if self._as == "csv":
            sys.stdout.write(table(columns, []))
        count = 0
        for count, row in enumerate(rows, 1):  # noqa: B007  counted for the line below
            if self._as == "json":
                print(json.dumps(row))
            elif self._as == "csv":
                sys.stdout.write(table(columns, [row], header=False))
            else:
                said = {name: row[name] for name in columns if row.get(name) is not None}
                print("  ".join(f"{name}: {_shown(value)}" for name, value in said.items()))
        if self._as == "text" and not count:
            print("nothing was found")

    def _token(self, settings: Settings) -> str:
        given = os.environ.get("COVEY_REGISTRY_TOKEN")
        if given:
            return given
        if not settings.key_file.exists():
            raise ValueError(
                f"there is no key in {settings.key_file}; run this where the registry's key file is, or give "
                "an officer's access token in COVEY_REGISTRY_TOKEN"
            )
        tokens = Tokens(key_file.load_or_create(settings.key_file), settings.origin)
        return tokens.mint(Caller(Role.OFFICER, self._name), int(time.time()), int(SECONDS))


def notice_text(url: str, purpose: str, version: str, language: str, *, as_json: bool = False) -> int:
    """Print the text of any version of a notice that was ever in force, which anyone may read."""
    path = f"/v1/notices/{quote(purpose, safe='')}/versions/{quote(version, safe='')}"
    try:
        with httpx.Client(base_url=url, timeout=SECONDS) as http:
            notice = _answer(http.get(path, params={"language": language}))
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        return _fail(f"{url}: {error}", 1)
    if as_json:
        print(json.dumps(notice))
    else:
        print(f"{notice['title']} ({notice['purpose']} {notice['version']}, {notice['language']})\n")
        print(notice["text"])
    return 0


def _pages(http: httpx.Client, path: str, params: Mapping[str, str]) -> Rows:
    place: dict[str, str] = {}
    while True:
        page = _answer(http.get(path, params={"limit": str(PAGE), **params, **place}))
        yield from page["items"]
        if page["next"] is None:
            return
        place = {"cursor": page["next"]}


def _search(http: httpx.Client, sought: Mapping[str, Any]) -> Rows:
    place: dict[str, str] = {}
    while True:
        page = _answer(http.post("/v1/subjects:search", json={"limit": PAGE, **sought, **place}))
        yield from page["items"]
        if page["next"] is None:
            return
        place = {"cursor": page["next"]}


def _answer(answer: httpx.Response) -> Any:
    found = answer.json()
    if answer.is_error:
        raise ValueError(str(found.get("detail", answer.status_code)))
    return found


def _moment(text: str) -> str:
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"--at is {text!r}: {error}; 2027-01-15T08:00 was expected, for instance") from None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).isoformat()


def _shown(value: Any) -> str:
    # A person's words may hold anything: none of it moves the terminal's cursor.
    return "".join(one if one.isprintable() else " " for one in str(value))


def _fail(text: str, status: int) -> int:
    print(text, file=sys.stderr)
    return status
