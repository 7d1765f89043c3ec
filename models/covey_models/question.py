"""Questions: what a round asks of every device, to be answered with one vector."""

from __future__ import annotations

import hashlib
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from covey_models.errors import ModelError
from covey_models.histogram import Fact

_BEYOND_CHANCE = 7.0
"""Standard deviations that no entry's noise passes, be there ten thousand entries."""


@dataclass(frozen=True)
class Question(ABC):
    """One vector, asked of each device for one purpose.

    `purposes` is everything a device's owner must allow, `purpose` the one its budget is booked under;
    `english` and `chinese` say to that owner what their phone adds. `builds_on` names the public documents
    that decide the vector, `entries` the least and the greatest number that may stand in it.
    """

    purpose: ClassVar[str]
    entries: ClassVar[tuple[float, float]]

    id: str
    purposes: frozenset[str]
    english: str
    chinese: str
    builds_on: tuple[str, ...] = field(default=(), kw_only=True)

    @property
    @abstractmethod
    def length(self) -> int:
        """The number of entries of a contribution."""

    @property
    @abstractmethod
    def norm(self) -> float:
        """The largest L2 norm of a contribution."""

    @property
    @abstractmethod
    def parameters(self) -> Mapping[str, Any]:
        """Whatever else decides the vector, as JSON values."""

    @abstractmethod
    def contribute(self, facts: Mapping[str, Fact]) -> NDArray[np.float64]:
        """Return what a device with these facts adds, float64 [length]; zeros where it has nothing to say."""

    def digest(self) -> bytes:
        """Return SHA-256 of the question's public parameters and words, as JSON with sorted keys."""
        named = {
            "id": self.id,
            "purpose": self.purpose,
            "purposes": sorted(self.purposes),
            "builds_on": self.builds_on,
            "length": self.length,
            "norm": self.norm,
            "text": {"en": self.english, "zh": self.chinese},
            **self.parameters,
        }
        return hashlib.sha256(json.dumps(named, sort_keys=True, separators=(",", ":")).encode()).digest()

    def require_sane(self, total: NDArray[np.float64], people: int, sd: float) -> None:
        """Raise ModelError unless `people` honest vectors and noise of deviation `sd` can come to `total`.

        What lies outside has wrapped around the ring, or was poisoned; it is not to be released.
        """
        if total.shape != (self.length,) or not np.isfinite(total).all():
            raise ModelError(f"a total of shape {total.shape} came; {self.id} takes finite ({self.length},)")
        low, high = (people * entry for entry in self.entries)
        spare = _BEYOND_CHANCE * sd
        if float(total.min()) < low - spare or float(total.max()) > high + spare:
            raise ModelError(
                f"an entry of {self.id} lies outside what {people} devices can add; nothing is released"
            )
        longest = people * self.norm + sd * (math.sqrt(self.length) + _BEYOND_CHANCE)
        if float(np.linalg.norm(total)) > longest:
            raise ModelError(f"{self.id} is longer than {people} devices can make it; nothing is released")
