"""The facts that documents are made of, read from the registry's database at one moment."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import NamedTuple

from sqlalchemy import case, func, or_, select
from sqlalchemy.orm import Session

from covey_consent.decisions.states import EXPIRED
from covey_consent.errors import ConflictError, UnknownError
from covey_consent.notices import history
from covey_consent.policy import assessments, purposes
from covey_consent.policy.controller import Controller
from covey_consent.policy.purposes import Purpose
from covey_consent.recipients.register import Recipient
from covey_consent.settings import Settings
from covey_consent.storage.models import Assessment, LoggedRound, PublishedCheckpoint, StandingChoice
from covey_consent.tickets import rounds
from covey_privacy.evidence import Evidence
from covey_privacy.manifest import Manifest
from covey_privacy.registry_messages import Notice

LAW = "law"
"""The basis of purposes that need no notice to be pursued: a law asks for them."""


@dataclass(frozen=True, slots=True)
class Round:
    """A round as the log has it; `digest` is its signed manifest's, `evidence` None until it is over."""

    manifest: Manifest
    digest: bytes
    manifest_index: int
    evidence: Evidence | None
    evidence_index: int | None


class Told(NamedTuple):
    """A recipient that the registry tells of changes, unless it is not `active` now."""

    name: str
    purposes: tuple[str, ...]
    active: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that a document may say. `at` is in Unix seconds, `counts` people by purpose and state."""

    at: int
    version: str
    origin: str
    settings: Settings
    controller: Controller
    notices: Mapping[str, Notice]
    counts: Mapping[str, Mapping[str, int]]
    rounds: tuple[Round, ...]
    told: tuple[Told, ...]
    assessments: tuple[Assessment, ...]
    log_size: int
    log_root: str

    @property
    def made_at(self) -> str:
        """The moment of the facts, ISO 8601 in UTC."""
        return datetime.datetime.fromtimestamp(self.at, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    @property
    def purposes(self) -> tuple[Purpose, ...]:
        """The purposes that are pursued: those with a notice in force, and those that a law asks for."""
        known = purposes.load().values()
        return tuple(each for each in known if each.id in self.notices or each.basis == LAW)

    def round(self, name: str) -> Round:
        """Return a logged round. Raises UnknownError."""
        found = next((each for each in self.rounds if each.manifest.round_id == name), None)
        if found is None:
            raise UnknownError(f"round {name!r} has no logged manifest; nothing documents it")
        return found

    def rounds_for(self, purpose: str) -> tuple[Round, ...]:
        """Return the rounds whose purpose set has this purpose, in the log's order."""
        return tuple(each for each in self.rounds if purpose in each.manifest.purposes)


def gather(session: Session, settings: Settings, controller: Controller, at: int) -> Facts:
    """Read the facts. Raises ConflictError where the database has no registry's notices in it."""
    notices = _notices(session)
    if not notices:
        raise ConflictError(
            "the database holds no notice, so there is nothing to document; serve the registry on it first"
        )
    size, root = _head(session)
    return Facts(
        at,
        version("covey"),
        settings.origin,
        settings,
        controller,
        notices,
        _counts(session, at),
        tuple(map(_round, session.scalars(select(LoggedRound).order_by(LoggedRound.manifest_index)))),
        tuple(map(_told, session.scalars(select(Recipient).order_by(Recipient.name)))),
        tuple(assessments.listed(session, None)),
        size,
        root,
    )


def _notices(session: Session) -> Mapping[str, Notice]:
    """Return the newest notice of each purpose."""
    return {notice.purpose: notice for notice in history.everything(session)}


def _counts(session: Session, at: int) -> Mapping[str, Mapping[str, int]]:
    """Return how many people's choice for a purpose stands at each state; what is over is expired."""
    choice = StandingChoice
    holds = or_(choice.expires_at == 0, choice.expires_at > 1000 * at)
    stands = case((holds, choice.state), else_=EXPIRED).label("stands")
    query = select(choice.purpose, stands, func.count()).group_by(choice.purpose, "stands")
    counts: dict[str, dict[str, int]] = {}
    for purpose, state, count in session.execute(query):
        counts.setdefault(purpose, {})[state] = count
    return counts


def _head(session: Session) -> tuple[int, str]:
    """Return the size and root (base64) of the newest checkpoint."""
    newest = select(PublishedCheckpoint).order_by(PublishedCheckpoint.size.desc()).limit(1)
    row = session.scalar(newest)
    return (0, "") if row is None else (row.size, row.note.splitlines()[2])


def _told(row: Recipient) -> Told:
    return Told(row.name, tuple(row.purposes.split("+")), row.active)


def _round(row: LoggedRound) -> Round:
    return Round(
        manifest=rounds.manifest_of(row),
        digest=row.digest,
        manifest_index=row.manifest_index,
        evidence=rounds.evidence_of(row),
        evidence_index=row.evidence_index,
    )
