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
from covey_consent.rounds.evidence import evidence_of
from covey_consent.rounds.manifests import manifest_of
from covey_consent.settings import Settings
from covey_consent.storage.models import Assessment, LoggedRound, PublishedCheckpoint, StandingChoice
from covey_privacy.evidence import Evidence
from covey_privacy.manifest import Manifest
from covey_privacy.registry_messages import Notice

LAW = "law"
"""The basis of purposes that need no notice to be pursued: a law asks for them."""


class RoundFacts(NamedTuple):
    """A round as the log has it; `evidence` is None until it is over, and for that of an earlier version."""

    row: LoggedRound
    manifest: Manifest
    evidence: Evidence | None


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that a document may say. `at` is in Unix seconds, `counts` people by purpose and state.

    `informed` are the recipients that the registry tells of changes, unless one is not active now.
    """

    at: int
    version: str
    origin: str
    settings: Settings
    controller: Controller
    notices: Mapping[str, Notice]
    counts: Mapping[str, Mapping[str, int]]
    rounds: tuple[RoundFacts, ...]
    informed: tuple[Recipient, ...]
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

    def round(self, name: str) -> RoundFacts:
        """Return a logged round. Raises UnknownError."""
        found = next((each for each in self.rounds if each.manifest.round_id == name), None)
        if found is None:
            raise UnknownError(f"round {name!r} has no logged manifest; nothing documents it")
        return found

    def rounds_for(self, purpose: str) -> tuple[RoundFacts, ...]:
        """Return the rounds whose purpose set has this purpose, in the log's order."""
        return tuple(each for each in self.rounds if purpose in each.manifest.purposes)


def gather_facts(session: Session, settings: Settings, controller: Controller, at: int) -> Facts:
    """Read the facts. Raises ConflictError where the database has no registry's notices in it."""
    notices = {notice.purpose: notice for notice in history.read_all(session)}
    if not notices:
        raise ConflictError(
            "the database holds no notice, so there is nothing to document; serve the registry on it first"
        )
    newest = select(PublishedCheckpoint).order_by(PublishedCheckpoint.size.desc()).limit(1)
    head = session.scalar(newest)
    logged = session.scalars(select(LoggedRound).order_by(LoggedRound.manifest_index))
    return Facts(
        at=at,
        version=version("covey"),
        origin=settings.origin,
        settings=settings,
        controller=controller,
        notices=notices,
        counts=_counts(session, at),
        rounds=tuple(RoundFacts(row, manifest_of(row), evidence_of(row)) for row in logged),
        informed=tuple(session.scalars(select(Recipient).order_by(Recipient.name))),
        assessments=tuple(assessments.listed(session, None)),
        log_size=head.size if head else 0,
        log_root=head.note.splitlines()[2] if head else "",
    )


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
