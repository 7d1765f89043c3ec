"""`covey registry drill withdraw`: how long a withdrawal takes to have effect, and what still gets through.

People withdraw a purpose in four ways; a tenth as many withdraw nothing. Right after, each one's phone tries
to join a round and to get tickets. Registry, phones and rounds are real ones on this machine: a network's own
delay comes on top of what is measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from rich.console import Console

from covey_consent.errors import ConsentRegistryError
from covey_consent.keys import load_or_create
from covey_consent.settings import Settings
from covey_privacy.errors import PrivacyError
from covey_sdk import Registry, Trust
from covey_sdk.errors import CoveyError
from covey_server import coordinator
from covey_server.errors import CoordinatorError
from covey_server.registry import Registry as OperatorsRegistry
from covey_simulations import registry
from covey_simulations.clock import Clock
from covey_simulations.drills import crowds, effect
from covey_simulations.drills.desk import Desk
from covey_simulations.drills.invitation import PURPOSES, announce
from covey_simulations.drills.leaving import PURPOSE, Stage
from covey_simulations.drills.people import People, Person
from covey_simulations.drills.tries import Tries
from covey_simulations.drills.words import show
from covey_simulations.errors import RunError, SetupError, SimulationError
from covey_simulations.progress import Done, Progress
from covey_simulations.world import ORIGIN

__all__ = ["Asked", "SetupError", "SimulationError", "measure", "show"]

LEAST = 20
"""People: no round is for fewer."""

MORNING = datetime(2026, 1, 5, 10, tzinfo=UTC)
SLOTS = 2
"""One for each of the two rounds."""
_FAILURES = (CoordinatorError, CoveyError, PrivacyError, ConsentRegistryError, httpx.HTTPError, OSError)


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for: how many people withdraw."""

    subjects: int = 200


def measure(asked: Asked) -> dict[str, Any]:
    """Return the figures. Raises SetupError for too few people, RunError where a part of the drill fails."""
    if asked.subjects < LEAST:
        raise SetupError(f"{asked.subjects} people were asked for; a round needs at least {LEAST}")
    progress, clock = Progress(Console(stderr=True)), Clock.starting(MORNING)
    try:
        with (
            TemporaryDirectory(prefix="covey-") as folder,
            progress.showing(),
            _staged(Path(folder), clock, asked.subjects) as (people, stage),
        ):
            return _play(asked.subjects, people, stage, clock, progress)
    except _FAILURES as error:
        raise RunError(str(error)) from error


def _play(subjects: int, people: People, stage: Stage, clock: Clock, progress: Progress) -> dict[str, Any]:
    count = crowds.count(subjects)
    with progress.step("People enrol, allow counting, join a round", count) as done:
        gathered = crowds.gather(people.settle(count, lambda person: _allow(person, stage, done)), subjects)
    with progress.step("Some withdraw; all phones try", count) as done:
        groups = [crowd.play(stage, done) for crowd in gathered]
    with progress.step("Some phones stay offline for seven days", 1):
        hours_left = stage.desk.hours_left()
        offline = effect.waiting(stage.wait(gathered[-1].away, clock), hours_left)
    as_expected = all(each["as_expected"] for each in (*groups, offline))
    return {"subjects": subjects, "groups": groups, "offline": offline, "as_expected": as_expected}


@contextmanager
def _staged(folder: Path, clock: Clock, count: int) -> Iterator[tuple[People, Stage]]:
    """Yield people yet to come, and the stage with two rounds announced on it."""
    operator = coordinator.operator_key(folder)
    settings = Settings(
        database_url=f"sqlite:///{folder / 'registry.db'}", key_file=folder / "registry.key", origin=ORIGIN,
        operator=operator.public.hex(), slots=SLOTS,
    )  # fmt: skip
    trust = Trust(operator.public, load_or_create(settings.key_file).public, ORIGIN)
    with (
        registry.serve(settings, clock.seconds, durable=True) as url,
        closing(Desk(url, settings, clock.seconds)) as desk,
        closing(People(folder, url, trust, desk, clock)) as people,
        httpx.Client(base_url=url) as client,
    ):
        theirs = OperatorsRegistry(client, operator)
        issuer, unused = (theirs.issuer(purposes, theirs.epoch()) for purposes in (PURPOSES, (PURPOSE,)))
        earlier, now = (announce(theirs, operator, issuer.keys, slot, count) for slot in (1, SLOTS))
        yield people, Stage(desk, people.line, earlier, Tries(now, unused, Registry(client, trust)))


def _allow(person: Person, stage: Stage, done: Done) -> None:
    """Let a person allow what the rounds need, and their phone join the first."""
    for purpose in PURPOSES:
        person.device.grant(purpose)
    person.door.fetch_tickets(stage.tries.issuer.keys.epoch, PURPOSES)
    person.door.advertise(stage.earlier)
    done(1)
