"""Sums of rounds as signed integers."""

import numpy as np

from covey_privacy.secagg.field import centred


def integers(packed: bytes) -> np.ndarray:
    """Residues modulo q, 32 bits each, as signed integers."""
    return centred(np.frombuffer(packed, "<u4").astype(np.int64))


def opened_sum(played: dict) -> np.ndarray:
    """The sum that a round's result has."""
    return integers(bytes.fromhex(played["sum"]))
