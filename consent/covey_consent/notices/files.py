"""Notice files: what an author writes, as TOML in a file or as JSON in a request.

Free text first; then the items that the law asks for, a line each (GDPR Art. 13 and 14, PIPL Art. 17 and what
it refers to). Words are templates (`string.Template`) for the facts in `drafts`; a dollar sign is written
"$$". Items that a file leaves out are those of `standing.toml`.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from string import Template
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from covey_consent.errors import RequestError, without_number
from covey_consent.policy import purposes
from covey_consent.policy.purposes import Purpose
from covey_privacy.semver import PATTERN, Semver

MOST_TEXT = 8000
MOST_ITEM = 1000
STANDING = "standing.toml"

_PACKAGED = resources.files("covey_consent") / "notices"


@dataclass(frozen=True, slots=True)
class Item:
    """One item: the articles that ask for it, of which purposes, and the fact that its words have to give."""

    name: str
    articles: str
    fact: str | None = None
    asked_of: Callable[[Purpose], bool] = lambda _: True


ITEMS = (
    Item("controller", "GDPR 13(1)(a), PIPL 17(1)", "name"),
    Item("contact", "GDPR 13(1)(b), PIPL 17(1)", "contact"),
    Item("purpose", "GDPR 13(1)(c), PIPL 17(2)"),
    Item("data", "GDPR 14(1)(d), PIPL 17(2)"),
    Item("method", "PIPL 17(2)"),
    Item("source", "GDPR 14(2)(f)"),
    Item("recipients", "GDPR 13(1)(e), PIPL 23", "recipients"),
    Item("transfers", "GDPR 13(1)(f), PIPL 39", "transfers"),
    Item("retention", "GDPR 13(2)(a), PIPL 17(2)"),
    Item("automated", "GDPR 13(2)(f), PIPL 24"),
    Item("necessity", "GDPR 9(2)(a), PIPL 30", asked_of=lambda purpose: purpose.sensitive),
    Item("obligation", "GDPR 13(2)(e), PIPL 16"),
    Item("rights", "GDPR 13(2)(b), PIPL 17(3)", "rights_url"),
    Item("withdrawal", "GDPR 13(2)(c), PIPL 15", asked_of=lambda purpose: purpose.needs_consent),
    Item("complaint", "GDPR 13(2)(d), PIPL 65", "authority"),
)
"""In the order in which a notice states them."""

NAMES = frozenset(item.name for item in ITEMS)


def items_of(purpose: Purpose) -> tuple[Item, ...]:
    """Return the items that a notice for `purpose` has to state."""
    return tuple(item for item in ITEMS if item.asked_of(purpose))


def _known(item: str) -> str:
    if item not in NAMES:
        raise ValueError(f"there is no item {item!r}; there are {', '.join(sorted(NAMES))}")
    return item


Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{1,8}){0,3}$")]
"""A BCP 47 tag: a language, or that of one region."""

Title = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]
Prose = Annotated[str, StringConstraints(min_length=1, max_length=MOST_TEXT, strip_whitespace=True)]
Line = Annotated[str, StringConstraints(max_length=MOST_ITEM, strip_whitespace=True, pattern=r"^[^\n]*$")]
Items = Annotated[dict[Annotated[str, AfterValidator(_known)], Line], Field(max_length=len(NAMES))]


class NoticeWords(BaseModel):
    """A notice's words in one language."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: Title
    text: Prose
    items: Items = {}


class NoticeFile(BaseModel):
    """A notice as its author wrote it; `version` is the one that they declare, as "1.0.0"."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "purpose": "celebrate",
                    "version": "1.0.0",
                    "texts": {
                        "en": {
                            "title": "Greet you on your birthday",
                            "text": "This is off until you switch it on.",
                            "items": {"method": "How: on this phone only.", "automated": "None."},
                        }
                    },
                }
            ]
        },
    )

    purpose: Annotated[str, StringConstraints(pattern="^[a-z_]{1,64}$")]
    version: Annotated[str, StringConstraints(pattern=PATTERN)]
    texts: Annotated[dict[Language, NoticeWords], Field(min_length=1, max_length=16)]

    @property
    def declared(self) -> Semver:
        """The version that the author declares."""
        return Semver.parse(self.version)

    @property
    def completed(self) -> NoticeFile:
        """The file with the standing words for every item that its purpose asks for and it leaves out.

        Raises UnknownError or RequestError for a purpose that is never offered.
        """
        asked = {item.name for item in items_of(purposes.find(self.purpose))}
        texts = {}
        for language, words in self.texts.items():
            standing = {name: line for name, line in _standing(language).items() if name in asked}
            texts[language] = words.model_copy(update={"items": {**standing, **words.items}})
        return self.model_copy(update={"texts": texts})

    @property
    def source(self) -> str:
        """The file as JSON, the same for the same words."""
        return self.model_dump_json()


def parse(toml: str) -> NoticeFile:
    """Return the notice in a TOML file's text. Raises RequestError naming what is wrong."""
    try:
        return NoticeFile.model_validate(tomllib.loads(toml))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise RequestError(f"{where}: {first['msg']}") from None
    except ValueError as error:
        raise RequestError(f"it is no TOML: {error}") from None


def read_file(path: Path) -> NoticeFile:
    """Return the notice in a file, named for its purpose. Raises RequestError."""
    if path.name == STANDING:
        raise RequestError(
            f"{path} is no notice, and standing words are Covey's own: write a line of yours into "
            "[texts.<language>.items] of each notice, and take this file away"
        )
    try:
        file = parse(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, RequestError) as error:
        raise RequestError(f"the notice {path} cannot be used: {without_number(error)}") from None
    if path.stem != file.purpose:
        raise RequestError(f"{path} is the notice for {file.purpose!r}; name it {file.purpose}.toml")
    return file


def load_files(folder: Path | None) -> dict[str, NoticeFile]:
    """Return the packaged notices by purpose, with those of `folder` added or in their place."""
    if folder is None:
        return dict(packaged())
    if not folder.is_dir():
        raise RequestError(f"there is no folder {folder} to read notices from")
    own = map(read_file, sorted(folder.glob("*.toml")))
    return {**packaged(), **{file.purpose: file for file in own}}


def find_source(purpose: str) -> str:
    """Return the packaged file of a purpose as TOML, or one to fill in, which is incomplete until it is.

    Raises UnknownError or RequestError for a purpose that is never offered.
    """
    found = purposes.find(purpose)
    if purpose in packaged():
        return (_PACKAGED / "texts" / f"{purpose}.toml").read_text("utf-8")
    blank = Template((_PACKAGED / "template.toml").read_text("utf-8"))
    return blank.safe_substitute(purpose=found.id, en=found.en, zh=found.zh)


@functools.cache
def packaged() -> Mapping[str, NoticeFile]:
    """Return the notices that come with Covey, by purpose."""
    texts = (entry for entry in (_PACKAGED / "texts").iterdir() if entry.name.endswith(".toml"))
    files = [parse(entry.read_text("utf-8")) for entry in texts]
    return {file.purpose: file for file in sorted(files, key=lambda file: file.purpose)}


@functools.cache
def _standing(language: str) -> Mapping[str, str]:
    table = tomllib.loads((_PACKAGED / STANDING).read_text("utf-8"))
    words: Mapping[str, str] = table.get(language.partition("-")[0], {})
    return words
