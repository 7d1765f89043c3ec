"""The tables of data subjects' requests, rectifications and erasures. Times are Unix seconds."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, Integer
from sqlalchemy.orm import Mapped, mapped_column

from covey_consent.storage.models import ROW, Base, Subject


class RightsRequest(Base):
    """A person's request, as it stands. `id` is random; `version` counts its steps.

    `entered_role` and `entered_by` say who entered it: the person, or an officer for them.
    """

    __tablename__ = "rights_requests"
    __table_args__ = (Index("rights_requests_by_due", "state", "due_at"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(ForeignKey(Subject.subject), index=True)
    kind: Mapped[str]
    purpose: Mapped[str | None]
    words: Mapped[str]
    changes: Mapped[str | None]
    state: Mapped[str]
    received_at: Mapped[int] = mapped_column(index=True)
    due_at: Mapped[int]
    extended: Mapped[bool]
    version: Mapped[int] = mapped_column(Integer)
    entered_role: Mapped[str]
    entered_by: Mapped[str]


class RightsStep(Base):
    """One step of a request: what was done, by whom, how and why. Never changed."""

    __tablename__ = "rights_steps"

    request: Mapped[str] = mapped_column(ForeignKey(RightsRequest.id), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    subject: Mapped[str] = mapped_column(ForeignKey(Subject.subject), index=True)
    step: Mapped[str]
    state: Mapped[str]
    role: Mapped[str]
    name: Mapped[str]
    method: Mapped[str]
    reason: Mapped[str]
    at: Mapped[int]


class AttributeChange(Base):
    """A rectified attribute of a person: what it was and is, who changed it and why. Never changed."""

    __tablename__ = "attribute_changes"

    id: Mapped[int] = mapped_column(ROW, primary_key=True, autoincrement=True)
    subject: Mapped[str] = mapped_column(ForeignKey(Subject.subject), index=True)
    attribute: Mapped[str]
    before: Mapped[str]
    after: Mapped[str]
    role: Mapped[str]
    name: Mapped[str]
    reason: Mapped[str]
    at: Mapped[int]


class Tombstone(Base):
    """What is kept of an erasure: that it was done, and its certificate. Neither names the person.

    GDPR Art. 5(2) wants it shown that the request was answered. `id` is the request's, which only the person
    still holds. `purged` says whether the database's files were rebuilt since.
    """

    __tablename__ = "tombstones"

    id: Mapped[str] = mapped_column(primary_key=True)
    hour: Mapped[int]
    certificate: Mapped[str]
    purged: Mapped[bool]


class ErasureStep(Base):
    """One step of a request that ended in an erasure, without the person whom it was about.

    `erasure` is the request's id, as in `Tombstone`. It is kept as long as the access log.
    """

    __tablename__ = "erasure_steps"

    erasure: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    step: Mapped[str]
    role: Mapped[str]
    name: Mapped[str]
    method: Mapped[str]
    reason: Mapped[str]
    at: Mapped[int] = mapped_column(index=True)
