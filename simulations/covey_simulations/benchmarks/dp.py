"""Noise measured: Covey's Skellam sampler, and a whole contribution, beside numpy's Poisson difference.

numpy's generator is not cryptographic: what it draws protects nobody. It is the pace that noise which does
protect is held against.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from covey_privacy.dp import Encoding, Skellam, calibrate, noise_share
from covey_privacy.dp.encoding import MOST_LENGTH, MOST_SCALE
from covey_simulations.benchmarks.stopwatch import Stopwatch
from covey_simulations.errors import SetupError, SimulationError
from covey_simulations.progress import Progress

__all__ = ["DpOptions", "SetupError", "SimulationError", "measure", "show"]

VARIANCES = (1.0, 1e3, 1e6)
"""Laws that are measured besides the round's own."""
BITS, HONEST, EPSILON, DELTA = 24, 800, 4.0, 1e-6
"""The round: a training's ring, the honest survivors that its noise is sized for, and what it costs."""

Call = Callable[[], object]


@dataclass(frozen=True, slots=True)
class DpOptions:
    """What `covey bench dp` was asked for: entries of a vector, and how often each call is timed."""

    length: int = 1_000_000
    repeats: int = 15


def measure(asked: DpOptions) -> dict[str, Any]:
    """Return the figures. Raises SetupError for a length or number of repeats that cannot be."""
    if not (1 <= asked.length <= MOST_LENGTH and asked.repeats >= 1):
        raise SetupError(f"1 to {MOST_LENGTH} entries and at least 1 repeat are possible")
    encoding = Encoding(asked.length, 1.0, MOST_SCALE, BITS, bytes(32))
    sigma = calibrate(encoding, EPSILON, DELTA)
    laws = {
        "round": noise_share(sigma, encoding.scale, HONEST),
        **{f"{variance:g}": variance for variance in VARIANCES},
    }
    progress = Progress(Console(stderr=True))
    with progress.showing(), progress.step("Noise, law by law", asked.repeats * len(laws)) as done:
        found = {name: _law(encoding, law, asked.repeats, done) for name, law in laws.items()}
    return {"length": asked.length, "padded": encoding.padded, "repeats": asked.repeats, "laws": found}


def _law(encoding: Encoding, variance: float, repeats: int, tell: Callable[[int], None]) -> dict[str, float]:
    """Return the median seconds of each call under one law, and their ratios to numpy's."""
    watch, law = Stopwatch(), Skellam(variance)
    with watch("table"):
        law.sample(1)
    calls = _calls(encoding, law)
    for repeat in range(repeats + 1):
        for name, call in calls.items():
            with watch(name if repeat else "warm-up"):
                call()
        tell(min(repeat, 1))
    return {"variance": variance, **_figures(watch.medians())}


def _calls(encoding: Encoding, law: Skellam) -> Mapping[str, Call]:
    """Return what is timed in turn, so that all of it meets the machine at the same pace."""
    generator, size, half = np.random.default_rng(), encoding.padded, law.variance / 2
    vector = generator.normal(size=encoding.length) / math.sqrt(encoding.length)
    return {
        "noise": lambda: law.sample(size),
        "numpy": lambda: generator.poisson(half, size) - generator.poisson(half, size),
        "contribution": lambda: encoding.to_ring(encoding.encode(vector) + law.sample(size)),
    }


def _figures(seconds: Mapping[str, float]) -> dict[str, float]:
    return {
        **{f"{name}_seconds": seconds[name] for name in ("table", "noise", "contribution", "numpy")},
        "noise_over_numpy": seconds["noise"] / seconds["numpy"],
        "contribution_over_numpy": seconds["contribution"] / seconds["numpy"],
    }


def show(found: Mapping[str, Any]) -> None:
    """Print one column for each law, the ratios last."""
    console = Console()
    console.print(
        f"{found['length']} entries, {found['padded']} encoded; medians of {found['repeats']} in seconds. "
        "A contribution is encoded, noised and reduced to the ring."
    )
    laws = found["laws"]
    table = Table("", *(f"law {name}" for name in laws))
    for name in laws["round"]:
        row = (f"{figures[name]:.4g}" for figures in laws.values())
        table.add_row(name.replace("_", " "), *row)
    console.print(table)
