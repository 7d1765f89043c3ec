"""`covey registry drill withdraw`: how long a withdrawal takes to have effect, and what still gets through.

All phones contribute to a round. Then people withdraw a purpose in four ways; a fifth as many withdraw
nothing. Right after, each one's phone tries to contribute to another round, to get tickets and to use an old
one. At last the registry signs the set of the first round. Registry, phones and rounds are real ones on this
machine: a network's own delay comes on top of what is measured.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from rich.console import Console

from covey_consent.app import create_app
from covey_consent.errors import ConsentRegistryError
from covey_consent.settings import Settings
from covey_consent.storage.key_file import load_or_create
from covey_privacy.errors import PrivacyError
from covey_privacy.signatures import SigningKey
from covey_sdk import RegistryClient, Trust
from covey_sdk.errors import CoveyError
from covey_server import coordinator
from covey_server.errors import CoordinatorError
from covey_server.plan import Admission
from covey_server.registry_client import RegistryClient as OperatorsRegistry
from covey_server.round_terms import Population
from covey_simulations.drills import withdrawal_effect, withdrawal_groups
from covey_simulations.drills.participation_attempts import Tries
from covey_simulations.drills.people import People, Person
from covey_simulations.drills.registry_staff import RegistryStaff
from covey_simulations.drills.rounds import EPSILON, PURPOSES, announce
from covey_simulations.drills.withdrawal_attempts import PURPOSE, Stage
from covey_simulations.drills.withdrawal_summary import show
from covey_simulations.errors import RunError, SetupError, SimulationError
from covey_simulations.progress import Done, Progress
from covey_simulations.scenarios import loopback
from covey_simulations.scenarios.clock import Clock
from covey_simulations.scenarios.shared_settings import ORIGIN

__all__ = ["SetupError", "SimulationError", "WithdrawOptions", "measure", "show"]

LEAST = 20
"""People: no round is for fewer."""

MORNING = datetime(2026, 1, 5, 10, tzinfo=UTC)
SLOTS = 3
"""One for each of the two rounds, and a spare one."""
SEATS = 4
"""Of the rounds' standing committee."""
_FAILURES = (CoordinatorError, CoveyError, PrivacyError, ConsentRegistryError, httpx.HTTPError, OSError)


@dataclass(frozen=True, slots=True)
class WithdrawOptions:
    """What was asked for: how many people withdraw."""

    subjects: int = 200


def measure(asked: WithdrawOptions) -> dict[str, Any]:
    """Return the figures. Raises SetupError for too few people, RunError where a part of the drill fails."""
    if asked.subjects < LEAST:
        raise SetupError(f"{asked.subjects} people were asked for; a round needs at least {LEAST}")
    progress = Progress(Console(stderr=True))
    try:
        with TemporaryDirectory(prefix="covey-") as folder, progress.showing():
            clock = Clock.starting(Path(folder), MORNING)
            with _staged(Path(folder), clock, asked.subjects) as (people, stage, operator):
                return _play(asked.subjects, people, stage, operator, clock, progress)
    except _FAILURES as error:
        raise RunError(str(error)) from error


def _play(
    subjects: int,
    people: People,
    stage: Stage,
    operator: OperatorsRegistry,
    clock: Clock,
    progress: Progress,
) -> dict[str, Any]:
    count, _ = withdrawal_groups.count(subjects)
    with progress.step("People enrol, allow counting, contribute to a round", count) as done:
        gathered = withdrawal_groups.gather(
            people.settle(count, lambda person: _allow(person, stage, done)), subjects
        )
    with progress.step("Some withdraw; all phones try", count) as done:
        lived = [crowd.play(stage, done) for crowd in gathered]
    hours_left = stage.desk.hours_left()
    with progress.step("The registry signs the set of the round", 1):
        clock.wait_until(stage.earlier.windows.contribute)
        in_set = stage.earlier.signed_set(operator)
    groups = [
        withdrawal_effect.withdrawal_figures(crowd.group, left, stayed, in_set)
        for crowd, (left, stayed) in zip(gathered, lived, strict=True)
    ]
    with progress.step("Some phones stay offline for seven days", 1):
        offline = withdrawal_effect.waiting_seconds(stage.wait(gathered[-1].away, clock), hours_left)
    as_expected = all(each["as_expected"] for each in (*groups, offline))
    return {"subjects": subjects, "groups": groups, "offline": offline, "as_expected": as_expected}


@contextmanager
def _staged(folder: Path, clock: Clock, subjects: int) -> Iterator[tuple[People, Stage, OperatorsRegistry]]:
    """Yield people yet to come, the stage with two rounds announced on it, and the operator's registry."""
    operator = coordinator.operator_key(folder)
    settings = Settings(
        database_url=f"sqlite:///{folder / 'registry.db'}", key_file=folder / "registry.key", origin=ORIGIN,
        operator=operator.public.hex(), slots=SLOTS, epsilon={"analytics": 2 * EPSILON},
    )  # fmt: skip
    seats = [SigningKey(os.urandom(32)) for _ in range(SEATS)]
    registry_key = load_or_create(settings.key_file).public
    trust = Trust(operator.public, registry_key, ORIGIN, organisations=frozenset(key.public for key in seats))
    with (
        loopback.serve_in_thread(create_app(settings, clock=clock.seconds), "registry") as url,
        closing(RegistryStaff(url, settings, clock.seconds)) as desk,
        closing(People(folder, url, trust, desk, clock)) as people,
        httpx.Client(base_url=url) as client,
    ):
        theirs = OperatorsRegistry(client, operator)
        issuer, unused = (theirs.issuer(purposes, theirs.epoch()) for purposes in (PURPOSES, (PURPOSE,)))
        everyone, staying = withdrawal_groups.count(subjects)
        earlier, now = (
            announce(
                theirs, operator, registry_key, seats,
                Admission(issuer.keys, slot, Population(issued=everyone, willing=staying)), clock.seconds,
            )
            for slot in (1, 2)
        )  # fmt: skip
        tries = Tries(now, unused, RegistryClient(client, trust), spare_slot=SLOTS)
        yield people, Stage(desk, people.line, earlier, tries), theirs


def _allow(person: Person, stage: Stage, done: Done) -> None:
    """Let a person allow what the rounds need, and their phone contribute to the first."""
    for purpose in PURPOSES:
        person.device.grant(purpose)
    person.fetcher.fetch(stage.tries.unused.keys.epoch, PURPOSES)
    stage.contribute_earlier(person)
    done(1)
