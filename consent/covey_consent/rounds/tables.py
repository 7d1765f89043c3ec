"""Tables of rounds in one message: what was signed, who volunteered, which sets were signed.

What was signed is in the log; `SignedEntry` says under which name and where. Volunteers have no time and no
order but that of their round keys.
"""

from __future__ import annotations

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from covey_consent.storage.models import KEYED, Base, LogEntry, LoggedRound


class SignedEntry(Base):
    """A log entry that the registry signed in a round, once for each `name` (see `notary.Records`).

    `context` is that of the signature, `signed_at` in Unix seconds.
    """

    __tablename__ = "round_entries"

    name: Mapped[bytes] = mapped_column(primary_key=True)
    round_id: Mapped[str] = mapped_column(ForeignKey(LoggedRound.round_id), index=True)
    context: Mapped[str]
    index: Mapped[int] = mapped_column(ForeignKey(LogEntry.index))
    signed_at: Mapped[int]


class RoundVolunteer(Base):
    """A phone's offer to be a decryptor: its encoded `VolunteerOffer`. A box key comes once in a round."""

    __tablename__ = "round_volunteers"
    __table_args__ = (UniqueConstraint("round_id", "box_key"), KEYED)

    round_key: Mapped[bytes] = mapped_column(primary_key=True)
    round_id: Mapped[str] = mapped_column(ForeignKey(LoggedRound.round_id))
    box_key: Mapped[bytes]
    offer: Mapped[bytes]


class IncludedSet(Base):
    """A round's included set: the encoded `CommitteeFile`, and the leaves end to end."""

    __tablename__ = "included_sets"

    round_id: Mapped[str] = mapped_column(ForeignKey(LoggedRound.round_id), primary_key=True)
    committees: Mapped[bytes]
    leaves: Mapped[bytes]


class PublishedSet(Base):
    """A signed included or final set, by the Merkle root of its leaves: those of the round's included set
    without the members at the `excluded` places (`pack_places`).

    A final set that leaves nobody out has the root of its included set, and no row of its own.
    """

    __tablename__ = "published_sets"

    root: Mapped[bytes] = mapped_column(primary_key=True)
    round_id: Mapped[str] = mapped_column(ForeignKey(IncludedSet.round_id))
    excluded: Mapped[bytes]
