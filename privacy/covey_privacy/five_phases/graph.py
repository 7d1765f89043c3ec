"""The communication graph: how many neighbours, how many shares open a secret, and who is whose neighbour.

Parameters follow Bell et al. 2020 ("Secure Single-Server Aggregation with (Poly)Logarithmic Overhead") as
worked out in google-parfait/federated-compute, `graph_parameter_finder.cc`: a ring on which everyone knows
the k/2 nearest on either side, permuted by the beacon. All of it runs on the standard library, because
phones recompute it.
"""

from __future__ import annotations

import functools
import hashlib
from itertools import accumulate
from math import ceil, comb, exp, floor, inf, lgamma, log

from covey_privacy.errors import MisuseError
from covey_privacy.rules import Rule

SECURITY_BITS = 40
"""sigma: a set of corrupt devices opens a secret with a chance of at most 2^-40 (halved over two events)."""
CORRECTNESS_BITS = 20
"""eta: the round fails for want of shares with a chance of at most 2^-20."""
COMPLETE_BELOW = 50


def parameters(n: int, gamma: float, delta: float, semi_malicious: bool = True) -> tuple[int, int]:
    """Return (degree k, threshold t) for n devices, a share gamma of them corrupt and delta dropping out.

    t of a device's k neighbours open its secrets. With `semi_malicious`, two disjoint halves of a
    neighbourhood cannot both reach t. Raises MisuseError when no graph is both safe and live.
    """
    if n < 1 or not (0 <= gamma < 1 and 0 <= delta < 1):
        raise MisuseError(
            f"n >= 1 and shares in 0..1 were expected, not n={n}, gamma={gamma}, delta={delta}",
            rule=Rule.ARGUMENT,
        )
    if gamma + (2 if semi_malicious else 1) * delta <= 0.9:
        found = _complete(n, gamma, delta) if n < COMPLETE_BELOW else _sparse(n, gamma, delta, semi_malicious)
        if found:
            return found
    raise MisuseError(
        f"no graph of {n} devices bears {gamma:.0%} corrupt and {delta:.0%} dropping out: ask more devices",
        rule=Rule.GRAPH,
    )


def failure(n: int) -> float:
    """Return the chance that the corrupt, as many as planned for, can open a secret of a round of n devices.

    It stands beside delta, not in it. Where everyone is everyone's neighbour, it is none.
    """
    return 0.0 if n < COMPLETE_BELOW else 2.0**-SECURITY_BITS


@functools.lru_cache(maxsize=8)
def ring(beacon: bytes, n: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the devices in ring order, by SHA-256(beacon, index), twice around; and each device's place."""
    order = sorted(range(n), key=lambda i: hashlib.sha256(beacon + i.to_bytes(4)).digest())
    places = [0] * n
    for place, index in enumerate(order):
        places[index] = place
    return tuple(order * 2), tuple(places)


@functools.lru_cache(maxsize=2**12)
def neighbours(beacon: bytes, n: int, degree: int, index: int) -> tuple[int, ...]:
    """Return the neighbours of device `index`, ascending."""
    if degree >= n - 1:
        return tuple(i for i in range(n) if i != index)
    order, places = ring(beacon, n)
    place, half = places[index], degree // 2
    return tuple(sorted(order[place + 1 : place + 1 + half] + order[n + place - half : n + place]))


def _complete(n: int, gamma: float, delta: float) -> tuple[int, int] | None:
    """Everyone knows everyone: t = floor(2n/3) + 1 as in Bonawitz et al. 2017 against an active server."""
    threshold = 2 * n // 3 + 1
    safe = 2 * threshold > n - 1 + floor(gamma * n)
    live = threshold <= n - 1 - floor(delta * n)
    return (n - 1, threshold) if safe and live else None


@functools.lru_cache(maxsize=64)
def _sparse(n: int, gamma: float, delta: float, semi_malicious: bool) -> tuple[int, int] | None:
    corrupt, alive = floor(gamma * n), ceil((1 - delta) * n)
    for k in range(2, n, 2):
        if not _connected(n, k, floor(gamma * n) + floor(delta * n)):
            continue
        bad = _most_bad(n, corrupt, k)
        least = ceil((bad + k - 1.25) / 2) if semi_malicious else bad
        if least < _fewest_alive(n, alive, k):
            return k, max(least + 1, 2)
    return None


def _connected(n: int, k: int, bad: int) -> bool:
    """Whether the ring stays in one piece: a cut takes k/2 bad devices in a row at two places."""
    if k > bad:
        return True
    log_chance = log(n) + log(n - k - 1) - log(2) if n > k + 1 else -inf
    log_chance += lgamma(bad + 1) + lgamma(n - k + 1) - lgamma(n + 1) - lgamma(bad - k + 1)
    return log_chance < -(SECURITY_BITS + 1) * log(2)


def _most_bad(n: int, corrupt: int, k: int) -> int:
    """Return the least x with Pr[corrupt neighbours > x] <= 2^-41 / n."""
    limit = 2.0 ** -(SECURITY_BITS + 1) / n
    above = list(accumulate(reversed(_hypergeometric(n, corrupt, k))))
    return k - sum(chance <= limit for chance in above)


def _fewest_alive(n: int, alive: int, k: int) -> int:
    """Return the greatest t with Pr[surviving neighbours < t] <= 2^-20 / n."""
    limit = 2.0**-CORRECTNESS_BITS / n
    return sum(chance <= limit for chance in accumulate(_hypergeometric(n, alive, k)))


def _hypergeometric(n: int, marked: int, draws: int) -> list[float]:
    """Return Pr[x marked among the draws] for x = 0..draws."""
    if n > 1000:
        return [_chance(n, marked, draws, x) for x in range(draws + 1)]
    ways = comb(n, draws)
    return [comb(marked, x) * comb(n - marked, draws - x) / ways for x in range(draws + 1)]


def _chance(n: int, marked: int, draws: int, x: int) -> float:
    if x > marked or draws - x > n - marked:
        return 0.0
    return exp(_log_comb(marked, x) + _log_comb(n - marked, draws - x) - _log_comb(n, draws))


def _log_comb(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
