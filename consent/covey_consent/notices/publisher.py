"""The publisher: puts notices in force, logged and numbered; nothing that was published is ever changed.

A new major asks everyone anew, a minor or patch informs. The author declares which; a change of what people
agreed to has to be a major, and a change that nobody numbered is taken for one. At a start, new files are
published, and the facts of today are filled into what is in force. A file that was published before and
followed by another changes nothing.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import delete
from sqlalchemy.orm import Session

from covey_consent.access.roles import same_person
from covey_consent.errors import ConflictError, RequestError
from covey_consent.notices import history
from covey_consent.notices.drafts import NoticeFacts, draft, terms_of
from covey_consent.notices.files import NoticeFile
from covey_consent.notices.in_force import InForce
from covey_consent.notices.lint import require_complete
from covey_consent.policy import assessments, purposes
from covey_consent.policy.epoch_calendar import Calendar
from covey_consent.policy.purposes import HIGH
from covey_consent.storage.models import NoticeProposal, PublishedNotice
from covey_consent.transparency.log import Log
from covey_privacy import wire
from covey_privacy.registry_messages import LEAF_NOTICE, Notice
from covey_privacy.semver import Semver


@dataclass(frozen=True, slots=True)
class Edition:
    """A notice, with the purpose's data, gates and retention at the time (`drafts.terms_of`)."""

    notice: Notice
    terms: str

    def numbered(self, version: Semver) -> Edition:
        """Return the edition under this version."""
        notice = dataclasses.replace(
            self.notice, version=version.major, minor=version.minor, patch=version.patch
        )
        return Edition(notice, self.terms)

    def says_the_same(self, other: Edition) -> bool:
        """Say whether only the number differs."""
        return self == other.numbered(self.notice.number)


def number_edition(draft: Edition, latest: Edition | None) -> Edition:
    """Return a draft that differs from the latest under its version: the declared one, or the next major.

    Raises RequestError where it is declared a minor or patch and changes what people agreed to.
    """
    declared = draft.notice.number
    if latest is None:
        return draft
    before = latest.notice.number
    if declared <= before:
        return draft.numbered(before.next_major)
    if declared.major == before.major and (changes := find_material_changes(draft, latest)):
        raise RequestError(
            f"the notice for {draft.notice.purpose!r} is declared {declared} after {before}, and changes "
            f"{', '.join(changes)}: people have to be asked again; declare {before.next_major}"
        )
    return draft


def find_material_changes(draft: Edition, latest: Edition) -> tuple[str, ...]:
    """Return what changed that no minor may change (GDPR Art. 7, PIPL Art. 14)."""
    new, old = draft.notice, latest.notice
    changes = {
        "the legal basis": new.basis != old.basis,
        "its cap, raised": new.epsilon > old.epsilon,
        "the cap of all purposes, raised": new.epsilon_total > old.epsilon_total,
        "delta, raised": new.delta > old.delta,
        "data, retention or what it is used for": draft.terms != latest.terms,
    }
    return tuple(what for what, changed in changes.items() if changed)


class NoticePublisher:
    """Publishes under the facts of a controller, and shows what is in force."""

    def __init__(self, log: Log, shown: InForce, facts: NoticeFacts, calendar: Calendar) -> None:
        self._log, self._shown, self._facts, self._calendar = log, shown, facts, calendar

    async def open(self, files: Mapping[str, NoticeFile]) -> None:
        """Show what is in force, after publishing what is new. What is of high risk is not opened here."""
        await self._log.write(self._open, files)

    def propose(self, session: Session, file: NoticeFile, author: str) -> Notice | None:
        """Put a notice in force that another person proposed before; else keep that `author` proposes it.

        Returns the notice in force, or None where it waits for another person. To be called in `Log.write`.

        Raises:
            RequestError: the notice is incomplete or misnumbered.
            ConflictError: it lacks the assessment that it needs, or was replaced before.
        """
        file = file.completed
        sources = [row.source for row in history.read_versions(session, file.purpose)]
        if file.source in sources and file.source != sources[-1]:
            raise ConflictError(
                f"this notice for {file.purpose!r} was published before, and replaced since; to have its "
                "words back, declare a greater version"
            )
        edition, is_new = self._edition(session, file)
        if not is_new:
            return edition.notice
        digest = hashlib.sha256(file.source.encode()).digest()
        proposal = session.get(NoticeProposal, (file.purpose, digest))
        if proposal is None:
            session.add(
                NoticeProposal(purpose=file.purpose, digest=digest, author=author, at=self._calendar.now)
            )
            return None
        if same_person(proposal.author, author):
            return None
        session.execute(delete(NoticeProposal).filter_by(purpose=file.purpose))
        self._publish(session, edition, file)
        return edition.notice

    def _open(self, session: Session, files: Mapping[str, NoticeFile]) -> None:
        latest = history.read_latest(session)
        self._shown.replace(session, history.read_all(session))
        for name in sorted({*files, *latest}):
            if purposes.find(name).risk == HIGH:
                continue
            file = files[name].completed if name in files else None
            published = [row.source for row in history.read_versions(session, name)]
            if file is None or file.source in published:
                file = NoticeFile.model_validate_json(latest[name].source)
            edition, is_new = self._edition(session, file)
            if is_new:
                self._publish(session, edition, file)

    def _edition(self, session: Session, file: NoticeFile) -> tuple[Edition, bool]:
        """Return a completed file's edition, numbered, and True; or the one in force, if it says the same."""
        purpose = purposes.find(file.purpose)
        require_complete(file, self._facts)
        if purpose.risk == HIGH:
            assessments.require(session, purpose.id, self._calendar.now)
        rows = history.read_versions(session, purpose.id)
        latest = Edition(history.read_notice(rows[-1]), rows[-1].terms) if rows else None
        edition = Edition(draft(file, self._facts), terms_of(purpose))
        if latest is not None and latest.says_the_same(edition):
            return latest, False
        return number_edition(edition, latest), True

    def _publish(self, session: Session, edition: Edition, file: NoticeFile) -> None:
        notice = edition.notice
        row = PublishedNotice(
            purpose=notice.purpose, version=notice.version, minor=notice.minor, patch=notice.patch,
            notice=wire.encode(notice), source=file.source, terms=edition.terms,
            published_at=self._calendar.now,
        )  # fmt: skip
        session.add(row)
        self._log.append(session, LEAF_NOTICE, wire.encode(notice))
        self._shown.replace(session, [notice])
