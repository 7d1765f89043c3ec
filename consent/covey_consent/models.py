"""The registry's tables.

Public keys, digests and signed bytes are raw. Times of enrolment and issuance are whole hours, so that they
cannot be lined up with what happens in a round.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, LargeBinary, MetaData, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

HOUR = 3600

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
"""Names of constraints: a migration can change only what has one, and the same one on every database."""

TEXT = String().with_variant(String(collation="C"), "postgresql")
"""Text in the order of its bytes, which is SQLite's, wherever the database was made."""


class Base(DeclarativeBase):
    """The tables' common base."""

    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map = {bytes: LargeBinary, int: BigInteger, str: TEXT}  # noqa: RUF012  SQLAlchemy's name


class Device(Base):
    """A device, known by the public key that signs what it says."""

    __tablename__ = "devices"

    key: Mapped[bytes] = mapped_column(primary_key=True)
    enrolled_hour: Mapped[int]


class SignedDecision(Base):
    """A decision as it was signed: evidence, never changed."""

    __tablename__ = "decisions"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    digest: Mapped[bytes] = mapped_column(unique=True)
    device: Mapped[bytes] = mapped_column(ForeignKey(Device.key), index=True)
    received_at: Mapped[int]
    signed: Mapped[bytes]


class StandingChoice(Base):
    """The choice that stands for one device and purpose; `at` is its decision's time in milliseconds."""

    __tablename__ = "choices"
    __table_args__ = (Index("choices_by_purpose", "purpose", "state", "notice_version"),)

    device: Mapped[bytes] = mapped_column(ForeignKey(Device.key), primary_key=True)
    purpose: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str]
    notice_version: Mapped[int]
    at: Mapped[int]


class PublishedNotice(Base):
    """Every notice that was ever in force (encoded `Notice`)."""

    __tablename__ = "notices"

    purpose: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True)
    notice: Mapped[bytes]


class IssuerSecret(Base):
    """An issuer key: encoded `IssuerKey`, its place in the log, and its private half (PKCS #8 DER).

    The private half belongs in a hardware module; here it lies in the database, and is deleted once its epoch
    has passed. Whoever steals it can make tickets for that purpose set until then.
    """

    __tablename__ = "issuer_keys"

    epoch: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    purposes: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[bytes]
    index: Mapped[int]
    secret: Mapped[bytes | None]


class Issuance(Base):
    """A device's one batch for a purpose set and epoch. Nothing here leads to the tickets."""

    __tablename__ = "issuances"

    epoch: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    purposes: Mapped[str] = mapped_column(primary_key=True)
    device: Mapped[bytes] = mapped_column(ForeignKey(Device.key), primary_key=True)
    hour: Mapped[int]
    request: Mapped[bytes]


class LoggedRound(Base):
    """A round: its signed manifest, digest and, as they come, roster head, countersignature and evidence."""

    __tablename__ = "rounds"

    round_id: Mapped[str] = mapped_column(primary_key=True)
    manifest: Mapped[bytes]
    digest: Mapped[bytes] = mapped_column(unique=True)
    manifest_index: Mapped[int]
    head: Mapped[bytes | None]
    countersignature: Mapped[bytes | None]
    issued: Mapped[int | None]
    evidence: Mapped[bytes | None]
    evidence_index: Mapped[int | None]


class SpentTicket(Base):
    """A round key that a countersigned roster has used up."""

    __tablename__ = "spent"

    round_key: Mapped[bytes] = mapped_column(primary_key=True)
    round_id: Mapped[str] = mapped_column(ForeignKey(LoggedRound.round_id), index=True)


class LogEntry(Base):
    """A leaf of the transparency log: one kind byte, then what was logged."""

    __tablename__ = "log"

    index: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    entry: Mapped[bytes]


class PublishedCheckpoint(Base):
    """Every checkpoint that was signed, as its note: what the log is held against at the next start."""

    __tablename__ = "checkpoints"

    size: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    note: Mapped[str]
