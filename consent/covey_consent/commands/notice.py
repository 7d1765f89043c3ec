"""`covey registry notice`: show, lint and publish notice files, and print the text of a version."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from covey_consent.commands.client import ask, print_error, require_admin_token
from covey_consent.errors import ConsentRegistryError, require_folder
from covey_consent.notices import files
from covey_consent.notices.drafts import NoticeFacts
from covey_consent.notices.files import NoticeFile
from covey_consent.notices.lint import lint as findings
from covey_consent.policy import controller
from covey_consent.settings import Settings

ACCEPTED = 202
"""The answer to the first of the two people who put a notice in force."""


def lint(path: str) -> int:
    """Print what the notices in a file or folder, or the packaged one of that name, lack.

    The facts are those that the settings name. Return 0 when nothing is missing, 1 when something is, 2 when
    a file cannot be read.
    """
    settings = Settings()
    try:
        facts = NoticeFacts(controller.load(settings.controller), settings.caps)
        found = [(file, findings(file.completed, facts)) for file in _read(path)]
    except ConsentRegistryError as error:
        print(error)
        return 2
    if not found:
        print(f"there is no notice in {path}; a notice file's name ends with .toml")
        return 2
    for file, missing in found:
        print(f"{file.purpose} {file.version}: {'complete' if not missing else ''}".rstrip())
        for one in missing:
            print(f"  {one}")
    return 1 if any(missing for _, missing in found) else 0


def show(purpose: str, out: Path | None) -> int:
    """Print the packaged notice of a purpose, or one to fill in, or write it to `out`; 2 where there is none.

    A file is not overwritten.
    """
    try:
        if out is not None:
            require_folder(out)
        text = files.find_source(purpose)
        if out is None:
            print(text, end="")
        else:
            with out.open("x", encoding="utf-8") as file:
                file.write(text)
    except ConsentRegistryError as error:
        print(error)
        return 2
    except FileExistsError:
        print(f"{out} exists; name another file")
        return 2
    return 0


def publish(path: str, url: str) -> int:
    """Publish a notice file, or the packaged one of that name, at the registry that serves `url`.

    The admin's access token is in COVEY_REGISTRY_TOKEN; it takes two people, each with a token of their own.
    Return 0 when it is in force or waits for the other person, 1 when the registry
    refuses it or cannot be reached, 2 when the file cannot be read or there is no token.
    """
    try:
        token = require_admin_token()
        (file,) = _read(path, many=False)
    except ConsentRegistryError as error:
        print(error)
        return 2
    headers, data = {"Content-Type": "application/json"}, file.model_dump_json()
    try:
        answer = ask("POST", f"{url.rstrip('/')}/v1/notices", token, headers, content=data)
    except ConsentRegistryError as error:
        print(error)
        return 1
    if answer.status_code == ACCEPTED:
        print(f"{file.purpose} waits: another person publishes the same file under a name of their own")
    else:
        print(f"{file.purpose} {answer.json().get('version')} is in force")
    return 0


def show_text(purpose: str, version: str, language: str, url: str, *, as_json: bool = False) -> int:
    """Print the text of any version of a notice that was ever in force, which anyone may read."""
    path = f"{url.rstrip('/')}/v1/notices/{quote(purpose, safe='')}/versions/{quote(version, safe='')}"
    try:
        notice = ask("GET", path, params={"language": language}).json()
    except ConsentRegistryError as error:
        return print_error(f"{url}: {error}", 1)
    if as_json:
        print(json.dumps(notice))
    else:
        print(f"{notice['title']} ({notice['purpose']} {notice['version']}, {notice['language']})\n")
        print(notice["text"])
    return 0


def _read(path: str, *, many: bool = True) -> Iterator[NoticeFile]:
    if path in files.packaged():
        yield files.packaged()[path]
    elif many and Path(path).is_dir():
        yield from map(files.read_file, sorted(Path(path).glob("*.toml")))
    else:
        yield files.read_file(Path(path))
