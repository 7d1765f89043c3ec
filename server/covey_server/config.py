"""A run's configuration: the flat scalars of Flower's run config, checked once."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from covey_models import QUERIES, p1_steps
from covey_privacy.errors import MisuseError
from covey_privacy.profile import profile
from covey_server import plan
from covey_server.errors import ConfigError

KNOWN = (*QUERIES, p1_steps.MODEL)
"""What can be asked: queries, and the training of P1 by the name of what it releases."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A query, or a training whose next step is to be played, and the epsilon to spend on it."""

    name: str
    epsilon: float

    @property
    def purpose(self) -> str:
        """The purpose that its budget is booked under."""
        return p1_steps.PURPOSE if self.name == p1_steps.MODEL else QUERIES[self.name].purpose


@dataclass(frozen=True, slots=True)
class Config:
    """What a run of the coordinator does.

    `caps` is the epsilon that all rounds of a purpose together may spend. `catalogue` names the file of the
    shop's items, which a training needs, absolute or within `state`. `world` names what opens a registry for
    a run that is given none; `shared_operator` says whether coordinator and registry have one operator.
    """

    questions: tuple[Asked, ...]
    caps: Mapping[str, float]
    policy: plan.Policy
    state: Path
    catalogue: Path | None
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
            questions=tuple(_asked(word) for word in str(run_config["queries"]).split()),
            caps={
                "analytics": float(run_config["epsilon-cap"]),
                "train": float(run_config.get("train-epsilon-cap", 0.0)),
            },
            policy=plan.Policy(
                profile(str(run_config["profile"])),
                float(run_config["delta"]),
                float(run_config["gamma"]),
                float(run_config["dropout"]),
                float(run_config["turnout"]),
            ),
            state=state_folder(run_config, run_id),
            catalogue=_catalogue(run_config, run_id),
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
    for asked in config.questions:
        cap = config.caps[asked.purpose]
        if not cap > 0:
            raise ConfigError(
                f"{asked.name} is under an epsilon cap of {cap}; a positive number was expected"
            )
    if config.catalogue is None and any(asked.name == p1_steps.MODEL for asked in config.questions):
        raise ConfigError("a training needs the shop's items; name their file as catalogue")
    return config


def state_folder(run_config: Mapping[str, bool | int | float | str], run_id: int) -> Path:
    """Return the folder that a run keeps its state in, by its id where none is configured."""
    named = str(run_config.get("state-dir", ""))
    return Path(named) if named else Path(tempfile.gettempdir()) / f"covey-run-{run_id}"


def _catalogue(run_config: Mapping[str, bool | int | float | str], run_id: int) -> Path | None:
    named = str(run_config.get("catalogue", ""))
    return state_folder(run_config, run_id) / named if named else None


def _asked(word: str) -> Asked:
    name, _, epsilon = word.partition("=")
    if name not in KNOWN:
        raise ConfigError(f"there is no query {name!r}; choose from {', '.join(KNOWN)}")
    if not float(epsilon) > 0:
        raise ConfigError(f"query {name} is to spend epsilon {epsilon}; a positive number was expected")
    return Asked(name, float(epsilon))
