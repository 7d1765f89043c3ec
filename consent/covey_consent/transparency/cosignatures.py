"""Stored cosignatures: the last of each witness on each head, which tells when it was the newest."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Mapped, Session, mapped_column

from covey_consent.storage.models import Base
from covey_privacy.note import VerifierKey


class Cosignature(Base):
    """The signature line that a witness, by its verifier key, gave last to the head of this size."""

    __tablename__ = "cosignatures"

    size: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    witness: Mapped[str] = mapped_column(primary_key=True)
    line: Mapped[str]


def keep(session: Session, size: int, witness: VerifierKey, signature: bytes) -> None:
    """Store a witness's signature on the head of this size, in place of its last one."""
    session.merge(Cosignature(size=size, witness=witness.vkey, line=witness.line(signature)))


def lines(session: Session, size: int) -> str:
    """Return the stored signature lines of the head of this size."""
    query = select(Cosignature.line).where(Cosignature.size == size).order_by(Cosignature.witness)
    return "".join(session.scalars(query))
