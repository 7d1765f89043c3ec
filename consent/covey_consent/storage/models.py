"""The registry's tables.

Public keys, digests and signed bytes are raw. Times of enrolment and issuance are whole hours, so that they
cannot be correlated with a round.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, ForeignKey, Integer, LargeBinary, MetaData, String, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

HOUR = 3600

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
"""Names of constraints, equal on every database, so that migrations can change them."""

TEXT = String().with_variant(String(collation="C"), "postgresql")
"""Text in the order of its bytes, which is SQLite's, wherever the database was made."""


class Base(DeclarativeBase):
    """The common base of all tables."""

    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map = {bytes: LargeBinary, int: BigInteger, str: TEXT}  # noqa: RUF012  SQLAlchemy's name


ROW = BigInteger().with_variant(Integer, "sqlite")
"""A row's number: with this type, SQLite's own row id, which costs no index."""

KEYED = {"sqlite_with_rowid": False}
"""For small rows that are found by their key alone: SQLite keeps the row in the key's own tree."""


class Subject(Base):
    """A person, known by a random pseudonym of 32 hex digits. `country` is "" where it is unknown."""

    __tablename__ = "subjects"
    __table_args__ = KEYED

    subject: Mapped[str] = mapped_column(primary_key=True)
    enrolled_hour: Mapped[int]
    country: Mapped[str]
    birth_year: Mapped[int | None]
    guardian: Mapped[str | None] = mapped_column(ForeignKey("subjects.subject"))


class SubjectKey(Base):
    """The key that seals a person's events, itself sealed. Erasure deletes it."""

    __tablename__ = "subject_keys"
    __table_args__ = KEYED

    subject: Mapped[str] = mapped_column(ForeignKey(Subject.subject), primary_key=True)
    wrapped: Mapped[bytes]


class Device(Base):
    """A device, known by its public signing key."""

    __tablename__ = "devices"
    __table_args__ = KEYED

    key: Mapped[bytes] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(ForeignKey(Subject.subject), index=True)
    enrolled_hour: Mapped[int]


class SubjectReference(Base):
    """The shop's reference for a person, as a keyed hash."""

    __tablename__ = "subject_references"

    subject: Mapped[str] = mapped_column(ForeignKey(Subject.subject), primary_key=True)
    digest: Mapped[bytes] = mapped_column(unique=True)


class DetachedDevice(Base):
    """A device that was detached from its person, as a lost one is."""

    __tablename__ = "detached_devices"

    key: Mapped[bytes] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(ForeignKey(Subject.subject), index=True)
    detached_hour: Mapped[int]


class Event(Base):
    """An event of a person's consent. Never changed.

    `sealed` holds the commitment's salt and the bytes that a device signed. `digest` is of those signed
    bytes, so that they are recorded once; it is null where nothing was signed. `version` is the major of the
    semantic version `notice`. Times are Unix milliseconds: `at` is when the event was dated, `counts_at` its
    place among the person's other events after the correction of clocks. `expires_at` is 0 where the event
    holds until another. `source` is the hex public key of the registry that an import came from, or "".
    """

    __tablename__ = "events"

    id: Mapped[int] = mapped_column(ROW, primary_key=True, autoincrement=True)
    event: Mapped[str] = mapped_column(unique=True)
    subject: Mapped[str] = mapped_column(ForeignKey(Subject.subject), index=True)
    purpose: Mapped[str]
    state: Mapped[str]
    actor: Mapped[str]
    method: Mapped[str]
    notice: Mapped[str]
    version: Mapped[int]
    language: Mapped[str]
    text_digest: Mapped[bytes]
    at: Mapped[int]
    counts_at: Mapped[int]
    received_at: Mapped[int]
    expires_at: Mapped[int]
    source: Mapped[str]
    digest: Mapped[bytes | None] = mapped_column(unique=True)
    sealed: Mapped[bytes]
    commitment: Mapped[bytes]


class EventReason(Base):
    """An officer's name and reason for recording an event on a person's behalf. Never changed."""

    __tablename__ = "event_reasons"

    event: Mapped[str] = mapped_column(ForeignKey(Event.event), primary_key=True)
    subject: Mapped[str] = mapped_column(ForeignKey(Subject.subject), index=True)
    name: Mapped[str]
    reason: Mapped[str]


class StandingChoice(Base):
    """The choice that stands for one person and purpose; `at` is its event's `counts_at`.

    There is no index by purpose, which each decision would write; counting grants for a round reads all rows.
    """

    __tablename__ = "choices"
    __table_args__ = KEYED

    subject: Mapped[str] = mapped_column(ForeignKey(Subject.subject), primary_key=True)
    purpose: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str]
    notice_version: Mapped[int]
    at: Mapped[int]
    expires_at: Mapped[int]


class PublishedNotice(Base):
    """Every notice that was ever in force (encoded `Notice`), never changed.

    `source` is the file that it was made of, `terms` the purpose's data, gates and retention, both JSON.
    """

    __tablename__ = "notices"

    purpose: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    minor: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    patch: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    notice: Mapped[bytes]
    source: Mapped[str]
    terms: Mapped[str]
    published_at: Mapped[int]


class NoticeProposal(Base):
    """A notice that one person proposed; another puts it in force by sending the same. `at` in Unix seconds.

    `digest` is of the file, as `PublishedNotice.source` would keep it.
    """

    __tablename__ = "notice_proposals"

    purpose: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[bytes] = mapped_column(primary_key=True)
    author: Mapped[str]
    at: Mapped[int]


class ServedNotice(Base):
    """A person was shown a text of a notice; `at` in milliseconds, `version` with minor and patch."""

    __tablename__ = "served"
    __table_args__ = (UniqueConstraint("subject", "text_digest", "place", "at"),)

    id: Mapped[int] = mapped_column(ROW, primary_key=True, autoincrement=True)
    subject: Mapped[str] = mapped_column(ForeignKey(Subject.subject))
    purpose: Mapped[str]
    version: Mapped[str]
    language: Mapped[str]
    text_digest: Mapped[bytes]
    place: Mapped[str]
    at: Mapped[int]


class Assessment(Base):
    """An impact assessment of a purpose: the hash of its document, who wrote it, and who approved it."""

    __tablename__ = "assessments"

    id: Mapped[str] = mapped_column(primary_key=True)
    purpose: Mapped[str] = mapped_column(index=True)
    kind: Mapped[str]
    document: Mapped[bytes]
    author: Mapped[str]
    written_at: Mapped[int]
    valid_until: Mapped[int]
    approved_by: Mapped[str | None]
    approved_at: Mapped[int | None]


class IssuerSecret(Base):
    """The issuer keys of a set and epoch: encoded `IssuerKeys`, their place in the log, the private halves.

    The private halves (PKCS #8 DER) belong in a hardware module. Here they lie in the database, sealed
    together under a key that is derived from the registry's, bound to their row, and are deleted once their
    epoch has passed. With a stolen database and key file, tickets of that set can be forged until then.
    """

    __tablename__ = "issuer_keys"

    epoch: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    purposes: Mapped[str] = mapped_column(primary_key=True)
    keys: Mapped[bytes]
    index: Mapped[int]
    secret: Mapped[bytes | None]


class EndedEpoch(Base):
    """An epoch that was ended before its time, and where the log says so."""

    __tablename__ = "ended_epochs"

    epoch: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    reason: Mapped[str]
    index: Mapped[int]


class Issuance(Base):
    """A person's one batch for a purpose set and epoch. Nothing here leads to the tickets."""

    __tablename__ = "issuances"

    epoch: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    purposes: Mapped[str] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(ForeignKey(Subject.subject), primary_key=True, index=True)
    hour: Mapped[int]
    request: Mapped[bytes]


class LoggedRound(Base):
    """A round: its signed manifest with its digest and, once it is over, its signed evidence."""

    __tablename__ = "rounds"

    round_id: Mapped[str] = mapped_column(primary_key=True)
    manifest: Mapped[bytes]
    digest: Mapped[bytes] = mapped_column(unique=True)
    manifest_index: Mapped[int]
    evidence: Mapped[bytes | None]
    evidence_index: Mapped[int | None]


class SpentTicket(Base):
    """A round key that was used up: by a volunteer, a retraction or an included set.

    `claim` identifies the use, so that a repetition is no second one. Rows of earlier versions have none.
    """

    __tablename__ = "spent"

    round_key: Mapped[bytes] = mapped_column(primary_key=True)
    round_id: Mapped[str] = mapped_column(ForeignKey(LoggedRound.round_id), index=True)
    claim: Mapped[bytes | None]


class LogEntry(Base):
    """An entry of the transparency log, one kind byte and a body; `leaf`, its leaf hash, was added later."""

    __tablename__ = "log"

    index: Mapped[int] = mapped_column(ROW, primary_key=True, autoincrement=False)
    entry: Mapped[bytes]
    leaf: Mapped[bytes | None] = mapped_column(index=True)


class PublishedCheckpoint(Base):
    """Every signed checkpoint, as its note: the next start checks the log against the last one."""

    __tablename__ = "checkpoints"

    size: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    note: Mapped[str]
