"""When the registry takes a step of a round in one message: conditions beside the notary's own.

The registry's clock decides. Each window of the manifest closes one step and opens the next:

| step | from | until |
|---|---|---|
| volunteer | | `volunteer` |
| roster, draw | after `volunteer` | `contribute` and the clocks' tolerance |
| included | after `contribute` | `check` and the tolerance |
| dispute, final | after `contribute` | `open` and the tolerance |
| retraction | | `open` and the tolerance |

Volunteers have no tolerance: the roster holds all of them, so none is taken once it may be signed. Nothing is
taken when the epoch has been over for longer than the tolerance, or once the round has its evidence.
"""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from covey_consent.errors import ConflictError
from covey_consent.policy.epoch_calendar import Calendar
from covey_consent.rounds.tables import RoundVolunteer, SignedEntry
from covey_consent.storage.models import LoggedRound
from covey_consent.tickets import issuers, tickets
from covey_consent.tickets.tickets import YEAR_SECONDS
from covey_privacy.manifest import Manifest, Windows
from covey_privacy.secagg.messages import DISPUTE, DRAW, FINAL, INCLUDED, RETRACTION, ROSTER, VOLUNTEER

MOST_ABANDONED_DRAWS = 1024
"""Of an operator within a year: each signed roster that no included set followed is one more try to have a
committee drawn."""

SPENDS_TICKETS = frozenset({VOLUNTEER, ROSTER, DRAW, INCLUDED})
"""Steps that are refused where the epoch was ended before its time: its tickets are worth nothing."""

CLOSED_BY = {VOLUNTEER: ROSTER, DISPUTE: FINAL}
"""Steps that are no longer taken once another one is signed."""


def require_step(session: Session, round_id: str, manifest: Manifest, step: str, calendar: Calendar) -> None:
    """Raise ConflictError unless the round is at a step, by its windows, its epoch and what was signed."""
    assert manifest.windows is not None  # noqa: S101  # a round in one message has them
    opens, closes = _window(manifest.windows, step)
    closes += calendar.tolerance_seconds if step != VOLUNTEER else 0
    now = calendar.now
    if now <= opens:
        raise ConflictError(f"{step} is signed once the window before it has closed, in {opens - now + 1} s")
    if now > closes:
        raise ConflictError(f"the window for {step} closed {now - closes} seconds ago")
    if now > calendar.end_of(manifest.epoch) + calendar.tolerance_seconds:
        raise ConflictError(f"epoch {manifest.epoch} has ended, and its tickets with it")
    if session.scalar(select(LoggedRound.evidence_index).filter_by(round_id=round_id)) is not None:
        raise ConflictError(f"round {round_id!r} is over: its evidence is logged")
    if step in SPENDS_TICKETS:
        issuers.require_running(session, manifest.epoch)
    if (later := CLOSED_BY.get(step)) is not None:
        query = select(SignedEntry.name).filter_by(round_id=round_id, context=later).limit(1)
        if session.scalar(query) is not None:
            raise ConflictError(f"round {round_id!r} is past this step: {later} is signed")


def require_issued(session: Session, manifest: Manifest) -> None:
    """Raise ConflictError unless as many batches were issued as the manifest counts with, and no more."""
    issued = tickets.issued(session, manifest.purposes, manifest.epoch)
    if issued < manifest.least_issued:
        raise ConflictError(f"{issued} batches were issued; the manifest asks for {manifest.least_issued}")
    require_headroom(issued, manifest)


def require_headroom(issued: int, manifest: Manifest) -> None:
    """Raise ConflictError where more batches were issued than corrupt phones were counted of."""
    assert manifest.terms is not None  # noqa: S101  # as above
    if issued > manifest.terms.issued:
        raise ConflictError(
            f"{issued} batches were issued; the terms count corrupt phones among {manifest.terms.issued}. "
            "Log another round whose terms leave room for phones that still fetch tickets"
        )


def require_all_volunteers(session: Session, round_id: str, count: int) -> None:
    """Raise ConflictError unless the roster that is to be signed holds every volunteer that was taken."""
    held = session.scalar(select(func.count()).select_from(RoundVolunteer).filter_by(round_id=round_id))
    if held != count:
        raise ConflictError(f"{held} phones volunteered, {count} when this was asked; ask again")


def require_few_abandoned(session: Session, now: int) -> None:
    """Raise ConflictError where too many rosters were signed within a year and not used."""
    later = aliased(SignedEntry)
    included = select(later.name).where(later.round_id == SignedEntry.round_id, later.context == INCLUDED)
    rosters = select(func.count()).select_from(SignedEntry).filter_by(context=ROSTER)
    recent = rosters.where(SignedEntry.signed_at > now - YEAR_SECONDS, ~included.exists())
    abandoned = session.scalar(recent) or 0
    if abandoned >= MOST_ABANDONED_DRAWS:
        raise ConflictError(
            f"{abandoned} rosters were signed within a year that no included set followed; "
            f"{MOST_ABANDONED_DRAWS} are the most. Finish a round, or wait until the oldest is a year old"
        )


def _window(windows: Windows, step: str) -> tuple[int, int]:
    """Return the second after which a step is taken, and the last one (Unix seconds)."""
    return {
        VOLUNTEER: (-1, windows.volunteer),
        ROSTER: (windows.volunteer, windows.contribute),
        DRAW: (windows.volunteer, windows.contribute),
        INCLUDED: (windows.contribute, windows.check),
        DISPUTE: (windows.contribute, windows.open),
        FINAL: (windows.contribute, windows.open),
        RETRACTION: (-1, windows.open),
    }[step]
