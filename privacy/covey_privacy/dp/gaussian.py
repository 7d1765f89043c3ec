"""The Gaussian mechanism, exactly: its delta at any epsilon, in closed form.

Balle and Wang 2018, "Improving the Gaussian Mechanism for Differential Privacy", theorem 8:

    delta(epsilon) = Phi(m/2 - epsilon/m) - e^epsilon Phi(-m/2 - epsilon/m)

with m the sensitivity in standard deviations. Gaussian mechanisms compose to one whose m^2 is the sum of
theirs (Dong, Roth, Su 2022, "Gaussian Differential Privacy", corollary 3.3), so this is their privacy-loss
distribution in full, and not a bound on it. As e^epsilon phi(far) = phi(near), no e^epsilon is computed.
"""

from __future__ import annotations

import math

FAR = 25.0
"""Beyond it Mills' ratio is taken from Birnbaum's bound, which is below it by less than one in 10^5."""


def delta(shift: float, epsilon: float) -> float:
    """Return the least delta at `epsilon` of a Gaussian of standard deviation 1 that moves by `shift` > 0."""
    near, far = epsilon / shift - shift / 2, epsilon / shift + shift / 2
    return max(0.0, math.erfc(near / math.sqrt(2)) / 2 - _density(near) * _mills(far))


def _density(x: float) -> float:
    return math.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def _mills(x: float) -> float:
    """Return Mills' ratio Phi(-x) / phi(x) for x > 0, or a little less, which makes delta greater."""
    if x > FAR:
        return 2 / (x + math.hypot(x, 2))
    return math.erfc(x / math.sqrt(2)) / 2 / _density(x)
