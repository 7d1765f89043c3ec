"""Planning a round: from a query, an epsilon and a population to a manifest."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from covey_models.queries import Query
from covey_privacy.consent import Issuer
from covey_privacy.dp import Encoding, calibrate, fit_scale
from covey_privacy.dp.encoding import MOST_SCALE
from covey_privacy.errors import MisuseError
from covey_privacy.manifest import Manifest, model_digest
from covey_privacy.profile import Profile
from covey_server.errors import ConfigError

BITS = 20


@dataclass(frozen=True, slots=True)
class Policy:
    """What the operator chose for all rounds of a run.

    `gamma` corrupt and `dropout` lost are shares of a roster; `turnout` is the share of the people who
    allow a purpose that is expected to come.
    """

    profile: Profile
    delta: float
    gamma: float
    dropout: float
    turnout: float


def manifest_for(
    query: Query,
    round_id: str,
    epsilon: float,
    population: int,
    issuer: Issuer,
    release: bytes,
    policy: Policy,
) -> Manifest:
    """Return the manifest of a round that spends `epsilon` on `query` among `population` people.

    The noise is sized for n_h, the honest survivors beyond the corrupt, the dropouts and oneself. Raises
    ConfigError when the floors cannot be met.
    """
    cohort = math.floor(policy.turnout * population)
    honest = math.floor((1 - policy.dropout) * cohort) - math.floor(policy.gamma * cohort) - 1
    floor = policy.profile.least_cohort(query.purpose)
    if population < floor or honest < 1:
        raise ConfigError(
            f"{population} devices allow {' + '.join(sorted(query.purposes))}; "
            f"a round needs at least {floor}: ask again when more people take part"
        )
    encoding, sigma = _fitted(query, epsilon, population, policy.delta)
    return Manifest(
        round_id=round_id,
        query=query.id,
        purpose=query.purpose,
        purposes=issuer.key.purposes,
        epoch=issuer.key.epoch,
        profile=policy.profile.name,
        issuer=issuer.key.digest,
        model=model_digest(query.digest(), release),
        length=encoding.padded,
        norm=query.norm,
        scale=encoding.scale,
        sigma=sigma,
        epsilon=epsilon,
        delta=policy.delta,
        bits=BITS,
        gamma=policy.gamma,
        dropout=policy.dropout,
        least_cohort=floor,
        most_cohort=population,
        honest=honest,
        least_issued=floor,
        least_cell=policy.profile.least_cell,
    )


def _fitted(query: Query, epsilon: float, population: int, delta: float) -> tuple[Encoding, float]:
    """Return the finest encoding that the ring holds, without its rotation, and the noise it takes."""
    try:
        finest = Encoding(query.length, query.norm, MOST_SCALE, BITS, bytes(32))
        scale = fit_scale(query.norm, population, calibrate(finest, epsilon, delta), BITS)
        encoding = replace(finest, scale=scale)
        return encoding, calibrate(encoding, epsilon, delta)
    except MisuseError as error:
        raise ConfigError(str(error)) from None
