"""The notices in force: what a person is shown before they decide, with the caps the operator promises.

The registry numbers them. A notice whose text, basis or caps changed is a new version, and a grant that was
made on an older version allows nothing until the person has been asked again.
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Iterable, Mapping
from importlib import resources
from string import Template

from sqlalchemy import select
from sqlalchemy.orm import Session

from covey_consent import purposes
from covey_consent.errors import UnknownError
from covey_consent.log import Log
from covey_consent.models import PublishedNotice
from covey_privacy import wire
from covey_privacy.consent import LEAF_NOTICE, Notice, NoticeText
from covey_privacy.dp.odometer import Caps

OFFERED = ("core", "personalize", "analytics", "train", "replenish", "marketing")
"""The purposes in use now. No other can be decided on, so none other can be granted."""

FIRST_VERSION = 1


def draft(caps: Caps) -> tuple[Notice, ...]:
    """Return every offered notice under these caps, not yet numbered."""
    return tuple(_draft(name, caps) for name in OFFERED)


def publish(session: Session, log: Log, drafts: Iterable[Notice]) -> tuple[Notice, ...]:
    """Return the drafts numbered: as published before where nothing changed, else as the next version."""
    return tuple(_publish(session, log, notice) for notice in drafts)


def find(notices: Mapping[str, Notice], purpose: str) -> Notice:
    """Return the notice of `purpose`. Raises UnknownError where none is in force."""
    purposes.find(purpose)
    if purpose not in notices:
        raise UnknownError(f"purpose {purpose!r} is not in use: no notice asks for it")
    return notices[purpose]


def _draft(name: str, caps: Caps) -> Notice:
    epsilon = caps.per_purpose.get(name, 0.0)
    words = {"epsilon": f"{epsilon:g}", "total": f"{caps.total:g}", "delta": f"{caps.delta:g}"}
    texts = tuple(
        NoticeText(language, text["title"], Template(text["text"]).substitute(words).strip())
        for language, text in _texts(name).items()
    )
    basis = purposes.find(name).basis
    return Notice(name, FIRST_VERSION, basis, epsilon, caps.total, caps.delta, texts)


def _texts(name: str) -> Mapping[str, Mapping[str, str]]:
    file = resources.files("covey_consent") / "notices" / f"{name}.toml"
    return tomllib.loads(file.read_text("utf-8"))


def _publish(session: Session, log: Log, draft: Notice) -> Notice:
    latest = session.scalar(
        select(PublishedNotice)
        .where(PublishedNotice.purpose == draft.purpose)
        .order_by(PublishedNotice.version.desc())
        .limit(1)
    )
    version = FIRST_VERSION
    if latest is not None:
        published = wire.decode(Notice, latest.notice)
        if dataclasses.replace(draft, version=published.version) == published:
            return published
        version = published.version + 1
    notice = dataclasses.replace(draft, version=version)
    session.add(PublishedNotice(purpose=notice.purpose, version=version, notice=wire.encode(notice)))
    log.append(session, LEAF_NOTICE, wire.encode(notice))
    return notice
