"""Recommending on the phone: placeholder until the ranking is merged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from covey_models.catalogue import Catalogue
from covey_models.p1 import Base


@dataclass(frozen=True)
class Model:
    """What the phone ranks by."""

    catalogue: Catalogue
    base: Base
    factors: NDArray[np.float64]
    mix: float
    version: int
    round_id: str
