"""What an operator configures, by environment variables that begin with COVEY_REGISTRY_."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, StringConstraints
from pydantic_settings import BaseSettings, SettingsConfigDict

from covey_privacy.dp.odometer import Caps

Epsilon = Annotated[float, Field(ge=0, le=100)]


class Settings(BaseSettings):
    """The registry's settings.

    `operator` is the hex public key that signs manifests; without it rounds are refused. `epsilon` caps each
    purpose and `epsilon_total` all together, a person and year at `delta`; the signed notices promise them.
    Dictionaries are given as JSON: COVEY_REGISTRY_EPSILON='{"analytics": 1}'.
    """

    model_config = SettingsConfigDict(env_prefix="COVEY_REGISTRY_", frozen=True, extra="forbid")

    database_url: str = "sqlite:///registry.db"
    key_file: Path = Path("registry.key")
    origin: Annotated[str, StringConstraints(pattern=r"^[^\s+]{1,200}$")] = "covey.example/log"
    operator: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = None
    epoch_seconds: Annotated[int, Field(ge=60, le=7 * 86400)] = 86400
    batch: Annotated[int, Field(ge=1, le=64)] = 4
    tolerance_seconds: Annotated[int, Field(ge=0, le=3600)] = 300
    epsilon: dict[str, Epsilon] = {"analytics": 2.0, "train": 2.0}
    epsilon_total: Epsilon = 4.0
    delta: Annotated[float, Field(ge=1e-12, le=1e-2)] = 1e-6

    @property
    def caps(self) -> Caps:
        """The caps that the notices promise."""
        return Caps(self.epsilon, self.epsilon_total, self.delta)

    @property
    def operator_key(self) -> bytes | None:
        """The operator's 32 raw bytes."""
        return None if self.operator is None else bytes.fromhex(self.operator)
