"""The notices in force: one for each purpose in use, and the download that everyone receives."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy.orm import Session

from covey_consent.errors import UnknownError
from covey_consent.policy import purposes
from covey_consent.storage.writer import after_commit
from covey_privacy import wire
from covey_privacy.registry_messages import NOTICE, Notice, Notices
from covey_privacy.signatures import SigningKey, sign


@dataclass(frozen=True, slots=True)
class _View:
    """`editions` are by purpose, language and the digest of what was shown."""

    notices: dict[str, Notice]
    editions: dict[tuple[str, str, bytes], Notice]
    download: bytes
    digest: bytes


class InForce(Mapping[str, Notice]):
    """The notice in force of every purpose that has one: no other can be decided on.

    Every thread reads one view; the writer's replaces it once a publication is committed.
    """

    def __init__(self, key: SigningKey) -> None:
        self._key = key
        self._view = _View({}, {}, b"", b"")
        self._take(())

    @property
    def download(self) -> bytes:
        """The encoded `Notices`, the same for everyone."""
        return self._view.download

    @property
    def digest(self) -> bytes:
        """SHA-256 of the download, by which phones know that they have it."""
        return self._view.digest

    def edition(self, purpose: str, language: str, text: bytes) -> Notice | None:
        """Return the notice that a text is from, None unless what is in force asks for the same."""
        found = self._view.editions.get((purpose, language, text))
        current = self._view.notices.get(purpose)
        return found if found and current and found.version == current.version else None

    def replace(self, session: Session, notices: Sequence[Notice]) -> None:
        """Show these notices, older ones first, once the session is committed."""
        after_commit(session, partial(self._take, tuple(notices)))

    def _take(self, notices: Sequence[Notice]) -> None:
        newest = {notice.purpose: notice for notice in notices}
        shown = dict(sorted((self._view.notices | newest).items()))
        editions = {
            (notice.purpose, text.language, text.digest): notice
            for notice in notices
            for text in notice.texts
        }
        download = wire.encode(Notices(tuple(sign(NOTICE, notice, self._key) for notice in shown.values())))
        digest = hashlib.sha256(download).digest()
        self._view = _View(shown, self._view.editions | editions, download, digest)

    def __getitem__(self, purpose: str) -> Notice:
        return self._view.notices[purpose]

    def __iter__(self) -> Iterator[str]:
        return iter(self._view.notices)

    def __len__(self) -> int:
        return len(self._view.notices)


def find(notices: Mapping[str, Notice], purpose: str) -> Notice:
    """Return the notice of `purpose`. Raises UnknownError where none is in force."""
    purposes.find(purpose)
    if purpose not in notices:
        raise UnknownError(f"purpose {purpose!r} is not in use: no notice asks for it")
    return notices[purpose]
