"""Planning a round: from a query, an epsilon and a population to a manifest."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace

from covey_models.queries import Query
from covey_privacy.consent import Issuer
from covey_privacy.dp import Encoding, calibrate, fit_scale
from covey_privacy.dp.encoding import MOST_SCALE
from covey_privacy.errors import MisuseError
from covey_privacy.manifest import Manifest
from covey_privacy.profile import Profile
from covey_server.errors import ConfigError

BITS = 20


@dataclass(frozen=True, slots=True)
class Terms:
    """What the operator chose for all rounds of a run.

    `gamma` corrupt and `dropout` lost are shares of a roster; `turnout` is the share of the people who
    allow a purpose that is expected to come.
    """

    profile: Profile
    delta: float
    gamma: float
    dropout: float
    turnout: float


def model_digest(query: Query, release: bytes) -> bytes:
    """Return the hash of everything public that decides a device's vector: the query, what it builds on."""
    return hashlib.sha256(query.digest() + release).digest()


def manifest_for(
    query: Query, round_id: str, epsilon: float, population: int, issuer: Issuer, release: bytes, terms: Terms
) -> Manifest:
    """Return the manifest of a round that spends `epsilon` on `query` among `population` people.

    The noise is sized for n_h, the honest survivors beyond the corrupt, the dropouts and oneself. Raises
    ConfigError when the floors cannot be met.
    """
    cohort = math.floor(terms.turnout * population)
    honest = math.floor((1 - terms.dropout) * cohort) - math.floor(terms.gamma * cohort) - 1
    floor = terms.profile.least_cohort(query.purpose)
    if population < floor or honest < 1:
        raise ConfigError(
            f"{population} devices allow {' + '.join(sorted(query.purposes))}; "
            f"a round needs at least {floor}: ask again when more people take part"
        )
    encoding, sigma = _fitted(query, epsilon, population, terms.delta)
    return Manifest(
        round_id=round_id,
        query=query.id,
        purpose=query.purpose,
        purposes=issuer.key.purposes,
        epoch=issuer.key.epoch,
        profile=terms.profile.name,
        issuer=issuer.key.digest,
        model=model_digest(query, release),
        length=encoding.padded,
        norm=query.norm,
        scale=encoding.scale,
        sigma=sigma,
        epsilon=epsilon,
        delta=terms.delta,
        bits=BITS,
        gamma=terms.gamma,
        dropout=terms.dropout,
        least_cohort=floor,
        most_cohort=population,
        honest=honest,
        least_issued=floor,
        least_cell=terms.profile.least_cell,
    )


def encoding_of(manifest: Manifest, query: Query, digest: bytes) -> Encoding:
    """Return the round's encoding; its rotation is drawn by the manifest's digest."""
    return Encoding(query.length, manifest.norm, manifest.scale, manifest.bits, digest)


def _fitted(query: Query, epsilon: float, population: int, delta: float) -> tuple[Encoding, float]:
    """Return the finest encoding that the ring holds, without its rotation, and the noise it takes."""
    try:
        finest = Encoding(query.length, query.norm, MOST_SCALE, BITS, bytes(32))
        scale = fit_scale(query.norm, population, calibrate(finest, epsilon, delta), BITS)
        encoding = replace(finest, scale=scale)
        return encoding, calibrate(encoding, epsilon, delta)
    except MisuseError as error:
        raise ConfigError(str(error)) from None
