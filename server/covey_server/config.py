"""A run's configuration: the flat scalars of Flower's run config, checked once."""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from covey_models import QUERIES
from covey_models.recommender import steps
from covey_privacy.errors import MisuseError
from covey_privacy.floors import FloorProfile, profile
from covey_server.errors import ConfigError
from covey_server.plan import RoundPolicy
from covey_server.round_terms import CommitteePolicy, Durations

RunConfig = Mapping[str, bool | int | float | str]

KNOWN = (*QUERIES, steps.MODEL)
"""What can be asked: queries, and the training of P1 by the name of what it releases."""


@dataclass(frozen=True, slots=True)
class RequestedQuery:
    """A query, or a training whose next step is to be run, and the epsilon to spend on it."""

    name: str
    epsilon: float

    @property
    def purpose(self) -> str:
        """The purpose that its budget is booked under."""
        return steps.PURPOSE if self.name == steps.MODEL else QUERIES[self.name].purpose


@dataclass(frozen=True, slots=True)
class Committees:
    """Which committees rounds have, and what the operator expects of phones (see `CommitteePolicy`)."""

    standing: bool
    drawn: bool
    gamma: float
    lost: float
    turnout: float
    privacy: int


@dataclass(frozen=True, slots=True)
class Config:
    """What a run of the coordinator does.

    `caps` is the epsilon that all rounds of a purpose together may spend. `catalogue` names the file of the
    shop's items, which a training needs, absolute or within `state`. `site` is the file of the signed site
    document, which has the registry and the organisations; `world` names what opens a site for a run that is
    given none, `clock` what opens another clock than the machine's. `shared_operator` says whether
    coordinator and registry have one operator.
    """

    questions: tuple[RequestedQuery, ...]
    caps: Mapping[str, float]
    profile: FloorProfile
    delta: float
    committees: Committees
    durations: Durations
    state: Path
    catalogue: Path | None
    site: Path | None
    world: str
    clock: str
    phase_timeout: float
    least_nodes: int
    shared_operator: bool

    def policy(self, organisations: tuple[bytes, ...]) -> RoundPolicy:
        """Return the policy of rounds whose standing committees have the seats of these keys."""
        chosen, seats = self.committees, organisations if self.committees.standing else ()
        committees = CommitteePolicy(
            seats, chosen.drawn, chosen.gamma, chosen.lost, chosen.turnout, chosen.privacy
        )
        return RoundPolicy(self.profile, self.delta, committees, self.durations)


def read_config(run_config: RunConfig, run_id: int) -> Config:
    """Return the configuration of a run. Raises ConfigError in one line for what cannot be."""
    try:
        config = Config(
            questions=tuple(_requested(word) for word in str(run_config["queries"]).split()),
            caps={
                "analytics": float(run_config["epsilon-cap"]),
                "train": float(run_config.get("train-epsilon-cap", 0.0)),
            },
            profile=profile(str(run_config["profile"])),
            delta=float(run_config["delta"]),
            committees=_committees(run_config),
            durations=Durations(
                *(int(run_config[f"{name}-seconds"]) for name in ("volunteer", "contribute", "check", "open"))
            ),
            state=state_folder(run_config, run_id),
            catalogue=_within_state(run_config, run_id, "catalogue"),
            site=_within_state(run_config, run_id, "site"),
            world=str(run_config.get("world", "")),
            clock=str(run_config.get("clock", "")),
            phase_timeout=float(run_config["phase-timeout"]),
            least_nodes=int(run_config.get("least-nodes", 1)),
            shared_operator=bool(run_config.get("shared-operator", True)),
        )
    except KeyError as error:
        raise ConfigError(f"the run's configuration lacks {error}") from None
    except (ValueError, MisuseError) as error:
        raise ConfigError(f"the run's configuration cannot be read: {error}") from None
    if not config.site and not config.world:
        raise ConfigError("a run needs a site: name the file of the signed site document (covey site sign)")
    for requested in config.questions:
        cap = config.caps[requested.purpose]
        if not cap > 0:
            raise ConfigError(
                f"{requested.name} is under an epsilon cap of {cap}; a positive number was expected"
            )
    if config.catalogue is None and any(requested.name == steps.MODEL for requested in config.questions):
        raise ConfigError("a training needs the shop's items; name their file as catalogue")
    return config


def load_object(name: str) -> Any:
    """Return the object that "package.module:attribute" names. Raises ConfigError when there is none."""
    module, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"{name!r} cannot be loaded as module:name ({error})") from None


def state_folder(run_config: RunConfig, run_id: int) -> Path:
    """Return the folder that a run keeps its state in, by its id where none is configured."""
    named = str(run_config.get("state-dir", ""))
    return Path(named) if named else Path(tempfile.gettempdir()) / f"covey-run-{run_id}"


def _within_state(run_config: RunConfig, run_id: int, name: str) -> Path | None:
    named = str(run_config.get(name, ""))
    return state_folder(run_config, run_id) / named if named else None


def _committees(run_config: RunConfig) -> Committees:
    kinds = str(run_config["committees"]).split("+")
    if not kinds or set(kinds) - {"standing", "drawn"} or len(set(kinds)) < len(kinds):
        raise ConfigError(
            f"committees is {run_config['committees']!r}; standing, drawn or standing+drawn was expected"
        )
    shares = {name: float(run_config[name]) for name in ("gamma", "lost", "turnout")}
    for name, share in shares.items():
        if not 0 <= share <= 1:
            raise ConfigError(f"{name} is {share}; a share from 0 to 1 was expected")
    return Committees("standing" in kinds, "drawn" in kinds, **shares, privacy=int(run_config["privacy"]))


def _requested(word: str) -> RequestedQuery:
    name, _, epsilon = word.partition("=")
    if name not in KNOWN:
        raise ConfigError(f"there is no query {name!r}; choose from {', '.join(KNOWN)}")
    if not float(epsilon) > 0:
        raise ConfigError(f"query {name} is to spend epsilon {epsilon}; a positive number was expected")
    return RequestedQuery(name, float(epsilon))
