"""How much noise an epsilon takes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from covey_privacy.dp.accounting import converted, cost, least
from covey_privacy.dp.encoding import Encoding
from covey_privacy.dp.mechanism import SkellamMechanism
from covey_privacy.errors import MisuseError

MOST_SIGMA = 2.0**40
TOLERANCE = 1e-6
"""Relative precision of a calibrated sigma, rounded up by as much lest a sum of floats pass the cap."""


def calibrate(encoding: Encoding, epsilon: float, delta: float) -> float:
    """Return the least sigma at which one round of this encoding costs at most `epsilon` at `delta`.

    Sigma is the standard deviation of the total noise on each coordinate of the sum, in the vector's units.
    Raises MisuseError when epsilon or delta is out of range, or too small for any noise to reach.
    """
    return calibrate_steps([encoding], [1.0], epsilon, delta)[0]


def calibrate_steps(
    encodings: Sequence[Encoding], shares: Sequence[float], epsilon: float, delta: float
) -> tuple[float, ...]:
    """Return a sigma for each round, at which all of them together cost at most `epsilon` at `delta`.

    Round i gets `shares[i]` of the budget: its sigma is that of the whole budget over sqrt(share), a norm of
    1 taken for granted. Otherwise as `calibrate`.
    """
    if not (0 < epsilon < math.inf and 0 < delta < 1):
        raise MisuseError(f"epsilon {epsilon}, delta {delta}: epsilon must be above 0, delta within (0, 1)")
    if not encodings or len(encodings) != len(shares) or min(shares) <= 0:
        raise MisuseError(f"{len(encodings)} rounds have {len(shares)} shares; each needs one above 0")

    def sigmas(whole: float) -> tuple[float, ...]:
        return tuple(whole / math.sqrt(share) for share in shares)

    def holds(whole: float) -> bool:
        each = map(SkellamMechanism.for_encoding, encodings, sigmas(whole))
        return converted(cost(each), delta).epsilon <= epsilon

    start = 1 / max(encoding.scale for encoding in encodings)
    whole = least(holds, 0.0, start, MOST_SIGMA, TOLERANCE)
    if whole == math.inf:
        raise MisuseError(f"no noise reaches epsilon {epsilon} at delta {delta}; ask for a larger one")
    return sigmas(whole * (1 + TOLERANCE))


def noise_share(sigma: float, scale: float, honest: int) -> float:
    """Return the variance, in integer steps, that each device adds when at least `honest` of them do."""
    if honest < 1:
        raise MisuseError(f"the noise is shared among {honest} honest devices; at least 1 is needed")
    return (sigma * scale) ** 2 / honest
