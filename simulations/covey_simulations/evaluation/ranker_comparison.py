"""Rankers compared on the same households: how each does, and whether one's lead is more than chance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from covey_simulations.errors import RunError
from covey_simulations.evaluation import metrics

Ranked = NDArray[np.intp]
Relevant = NDArray[np.bool_]

_METRICS = {"recall_at_10": metrics.recall_at, "ndcg_at_10": metrics.ndcg_at}


def means(ranked: Ranked, relevant: Relevant) -> dict[str, float]:
    """Return a ranker's mean of each metric over the households that have something relevant.

    `ranked` is [households, 10], places of items, with the number of items for a place left empty;
    `relevant` is [households, items]. Raises RunError when no household has anything relevant.
    """
    return {name: float(values.mean()) for name, values in _measured(ranked, relevant).items()}


def compare(ours: str, rankers: Mapping[str, Ranked], relevant: Relevant, seed: int = 0) -> dict[str, Any]:
    """Return every ranker's means, and the 95 % paired bootstrap interval of `ours` minus each other one.

    Shapes and errors as in `means`. The households are what is resampled; whatever else was drawn, the noise
    in a model among it, stays as it is.
    """
    measured = {name: _measured(ranked, relevant) for name, ranked in rankers.items()}
    by_metric = {
        metric: {name: float(values[metric].mean()) for name, values in measured.items()}
        for metric in _METRICS
    }
    intervals = {
        name: {
            metric: list(metrics.paired_interval(measured[ours][metric], values[metric], seed))
            for metric in _METRICS
        }
        for name, values in measured.items()
        if name != ours
    }
    return {"households": int(relevant.any(axis=1).sum()), **by_metric, "interval": intervals}


def _measured(ranked: Ranked, relevant: Relevant) -> dict[str, NDArray[np.float64]]:
    """Return each metric of each household that has something relevant."""
    someone = relevant.any(axis=1)
    if not someone.any():
        raise RunError("no household bought anything that could be recommended; one at least is needed")
    hits = np.pad(relevant[someone], ((0, 0), (0, 1)))
    return {name: metric(ranked[someone], hits) for name, metric in _METRICS.items()}
