"""Readings: what epsilon would be if it were secret who takes part. They are no guarantee.

The server sees who comes, so that nothing is credited for sampling anywhere else. An onlooker who knows no
more than what is published is a different matter: these figures are for that one, and carry LABEL wherever
they are shown.

    readings(noise=1.0, people=1000, drawn=100, rounds=100, delta=5e-4)
"""

from __future__ import annotations

from dataclasses import dataclass

from dp_accounting import NeighboringRelation, PrivacyAccountant, dp_event
from dp_accounting.pld import pld_privacy_accountant
from dp_accounting.rdp import rdp_privacy_accountant

LABEL = "only if who takes part is secret"


@dataclass(frozen=True, slots=True)
class Readings:
    """Epsilon at one delta of the same rounds: `all_known` is the guarantee, the others hold by LABEL.

    `poisson` is for each person drawn by a lot of their own, `fixed_size` for a cohort of exact size, and
    there for replacing a person by another.
    """

    all_known: float
    poisson: float
    fixed_size: float


def readings(noise: float, people: int, drawn: int, rounds: int, delta: float) -> Readings:
    """Return the readings of rounds among `drawn` of `people`, each with `noise` times the sensitivity.

    By dp-accounting, of Gaussian noise: privacy-loss distributions, or Renyi divergence where there are none.
    """
    gaussian = dp_event.GaussianDpEvent(noise)
    by_lot = dp_event.PoissonSampledDpEvent(drawn / people, gaussian)
    in_cohorts = dp_event.SampledWithoutReplacementDpEvent(people, drawn, gaussian)
    replaced = rdp_privacy_accountant.RdpAccountant(neighboring_relation=NeighboringRelation.REPLACE_ONE)
    return Readings(
        _epsilon(_distribution(), gaussian, rounds, delta),
        _epsilon(_distribution(), by_lot, rounds, delta),
        _epsilon(replaced, in_cohorts, rounds, delta),
    )


def _distribution() -> PrivacyAccountant:
    return pld_privacy_accountant.PLDAccountant(NeighboringRelation.ADD_OR_REMOVE_ONE)


def _epsilon(accountant: PrivacyAccountant, event: dp_event.DpEvent, rounds: int, delta: float) -> float:
    return float(accountant.compose(event, rounds).get_epsilon(delta))
