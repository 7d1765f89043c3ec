"""A run's configuration: the flat scalars of Flower's run config, checked once."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from covey_models import QUERIES
from covey_privacy.errors import MisuseError
from covey_privacy.profile import profile
from covey_server import plan
from covey_server.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Question:
    """A query and the epsilon to spend on it."""

    query: str
    epsilon: float


@dataclass(frozen=True, slots=True)
class Config:
    """What a run of the coordinator does.

    `cap` is the epsilon that all rounds together may spend. `world` names what opens a registry for a run
    that is given none; `shared_operator` says whether coordinator and registry have one operator.
    """

    questions: tuple[Question, ...]
    cap: float
    policy: plan.Policy
    state: Path
    registry_url: str
    registry_key: str
    world: str
    phase_timeout: float
    least_nodes: int
    shared_operator: bool


def read(run_config: Mapping[str, bool | int | float | str], run_id: int) -> Config:
    """Return the configuration of a run. Raises ConfigError in one line for what cannot be."""
    try:
        config = Config(
            questions=tuple(_question(word) for word in str(run_config["queries"]).split()),
            cap=float(run_config["epsilon-cap"]),
            policy=plan.Policy(
                profile(str(run_config["profile"])),
                float(run_config["delta"]),
                float(run_config["gamma"]),
                float(run_config["dropout"]),
                float(run_config["turnout"]),
            ),
            state=state_folder(run_config, run_id),
            registry_url=str(run_config.get("registry-url", "")),
            registry_key=str(run_config.get("registry-key", "")),
            world=str(run_config.get("world", "")),
            phase_timeout=float(run_config["phase-timeout"]),
            least_nodes=int(run_config.get("least-nodes", 1)),
            shared_operator=bool(run_config.get("shared-operator", True)),
        )
    except KeyError as error:
        raise ConfigError(f"the run's configuration lacks {error}") from None
    except (ValueError, MisuseError) as error:
        raise ConfigError(f"the run's configuration cannot be read: {error}") from None
    if not config.cap > 0:
        raise ConfigError(f"epsilon-cap is {config.cap}; a positive number was expected")
    return config


def state_folder(run_config: Mapping[str, bool | int | float | str], run_id: int) -> Path:
    """Return the folder that a run keeps its state in, by its id where none is configured."""
    named = str(run_config.get("state-dir", ""))
    return Path(named) if named else Path(tempfile.gettempdir()) / f"covey-run-{run_id}"


def _question(word: str) -> Question:
    query, _, epsilon = word.partition("=")
    if query not in QUERIES:
        raise ConfigError(f"there is no query {query!r}; choose from {', '.join(QUERIES)}")
    if not float(epsilon) > 0:
        raise ConfigError(f"query {query} is to spend epsilon {epsilon}; a positive number was expected")
    return Question(query, float(epsilon))
