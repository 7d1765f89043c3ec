"""The publisher: puts notices in force, logged and numbered; nothing that was published is ever changed.

At a start, files that are new are published, and the facts of today are filled into what is in force. A file
that was published before and followed by another changes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from sqlalchemy import delete
from sqlalchemy.orm import Session

from covey_consent.access.roles import same_person
from covey_consent.errors import ConflictError
from covey_consent.notices import history
from covey_consent.notices.drafts import draft, terms
from covey_consent.notices.facts import Facts
from covey_consent.notices.files import NoticeFile
from covey_consent.notices.in_force import InForce
from covey_consent.notices.lint import require_complete
from covey_consent.notices.versions import Edition, number, numbered
from covey_consent.policy import assessments, purposes
from covey_consent.policy.purposes import HIGH
from covey_consent.storage.models import NoticeProposal, PublishedNotice
from covey_consent.tickets.epoch_calendar import Calendar
from covey_consent.transparency.log import Log
from covey_privacy import wire
from covey_privacy.registry_messages import LEAF_NOTICE, Notice


class Publisher:
    """Publishes under the facts of a controller, and shows what is in force."""

    def __init__(self, log: Log, shown: InForce, facts: Facts, calendar: Calendar) -> None:
        self._log, self._shown, self._facts, self._calendar = log, shown, facts, calendar

    async def open(self, files: Mapping[str, NoticeFile]) -> None:
        """Show what is in force, after publishing what is new. What is of high risk is not opened here."""
        await self._log.write(self._open, files)

    async def publish(self, file: NoticeFile) -> Notice:
        """Put a notice in force and return it numbered; the one in force again is no error.

        Raises RequestError when it is incomplete or misnumbered, and ConflictError without the assessment
        that it needs, or when it was replaced before.
        """
        return await self._log.write(self.enact, file)

    def _open(self, session: Session, files: Mapping[str, NoticeFile]) -> None:
        latest = history.latest(session)
        self._shown.replace(session, history.everything(session))
        for name in sorted({*files, *latest}):
            if purposes.find(name).risk != HIGH:
                self._publish(session, self._at_start(session, name, files, latest))

    def _at_start(
        self,
        session: Session,
        name: str,
        files: Mapping[str, NoticeFile],
        latest: Mapping[str, PublishedNotice],
    ) -> NoticeFile:
        """Return the file if it is new, else the one in force."""
        file = files[name].completed if name in files else None
        if file is None or file.source in history.sources(session, name):
            return NoticeFile.model_validate_json(latest[name].source)
        return file

    def enact(self, session: Session, file: NoticeFile) -> Notice:
        """Do as `publish`, in the caller's `Log.write`."""
        file = file.completed
        self._require_new(session, file)
        return self._publish(session, file)

    def _require_new(self, session: Session, file: NoticeFile) -> None:
        """Raise ConflictError for a completed file that was published before and replaced since."""
        sources = history.sources(session, file.purpose)
        if file.source in sources and file.source != sources[-1]:
            raise ConflictError(
                f"this notice for {file.purpose!r} was published before, and replaced since; to have its "
                "words back, declare a greater version"
            )

    def propose(self, session: Session, file: NoticeFile, author: str) -> Notice | None:
        """Put a notice in force that another person proposed before; else keep that `author` proposes it.

        Returns the notice in force, or None where it waits for another person. Raises as `publish` does, also
        for what would be refused once it is put in force.
        """
        file = file.completed
        self._require_new(session, file)
        before, after = self._weigh(session, file)
        if before is not None and before.says_the_same(after):
            return before.notice
        number(after, before)
        key = (file.purpose, hashlib.sha256(file.source.encode()).digest())
        kept = session.get(NoticeProposal, key)
        if kept is None:
            row = NoticeProposal(purpose=key[0], digest=key[1], author=author, at=self._calendar.now)
            session.add(row)
            return None
        if same_person(kept.author, author):
            return None
        session.execute(delete(NoticeProposal).filter_by(purpose=file.purpose))
        return self._publish(session, file)

    def _publish(self, session: Session, file: NoticeFile) -> Notice:
        """Publish a completed file, unless what is in force says the same."""
        before, new = self._weigh(session, file)
        if before is not None and before.says_the_same(new):
            return before.notice
        notice = numbered(new.notice, number(new, before))
        self._keep(session, notice, file, new.terms)
        return notice

    def _weigh(self, session: Session, file: NoticeFile) -> tuple[Edition | None, Edition]:
        """Return the edition in force, if there is one, and the file's. Raises where it is not to be one."""
        purpose = purposes.find(file.purpose)
        require_complete(file, self._facts)
        if purpose.risk == HIGH:
            assessments.require(session, purpose.id, self._calendar.now)
        return history.newest(session, purpose.id), Edition(draft(file, self._facts), terms(purpose))

    def _keep(self, session: Session, notice: Notice, file: NoticeFile, agreed: str) -> None:
        row = PublishedNotice(
            purpose=notice.purpose, version=notice.version, minor=notice.minor, patch=notice.patch,
            notice=wire.encode(notice), source=file.source, terms=agreed, published_at=self._calendar.now,
        )  # fmt: skip
        session.add(row)
        self._log.append(session, LEAF_NOTICE, wire.encode(notice))
        self._shown.replace(session, [notice])
