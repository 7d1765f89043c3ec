"""Leads: by how much one ranker does better than another, and whether that is more than chance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

METRICS = ("recall_at_10", "ndcg_at_10")


@dataclass(frozen=True, slots=True)
class Lead:
    """The run's own ranking minus that of `rival`, as a share, and the interval that chance leaves it."""

    rival: str
    metric: str
    gap: float
    low: float
    high: float

    @property
    def verdict(self) -> Literal["ahead", "behind", "even"]:
        """Whether the lead is beyond chance; even when the interval holds 0."""
        return "ahead" if self.low > 0 else "behind" if self.high < 0 else "even"


def leads_by_rival(task: Mapping[str, Any]) -> dict[str, dict[str, Lead]]:
    """Return the leads of the report's `new` or `again`, by rival and metric."""
    return {
        rival: {
            metric: Lead(rival, metric, task[metric]["federated"] - task[metric][rival], *ends)
            for metric, ends in intervals.items()
        }
        for rival, intervals in task["interval"].items()
    }
