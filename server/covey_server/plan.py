"""Planning rounds: from questions, an epsilon and a population to terms, and from those to manifests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from covey_models import Question
from covey_privacy.dp import Encoding, calibrate_steps, fit_scale
from covey_privacy.dp.encoding import MOST_SCALE
from covey_privacy.errors import MisuseError
from covey_privacy.manifest import FIRST, Manifest, Plan, Step, honest_survivors, model_digest
from covey_privacy.profile import Profile
from covey_privacy.tickets import IssuerKeys
from covey_server.errors import ConfigError

BITS = 24
"""Of a ring entry. A coarse scale costs noise twice over: rounding lengthens vectors, and Skellam noise of a
small variance is far from Gaussian. Four bits more an entry pay for a scale sixteen times as fine."""


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


@dataclass(frozen=True, slots=True)
class Size:
    """How large a round's vector is: its length, its greatest L2 norm, its share of the budget."""

    query: str
    length: int
    norm: float
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class Chain:
    """A round's place in a training: the plan, the step's number, the digest of the manifest before."""

    plan: Plan
    step: int = 0
    previous: bytes = FIRST


def fitted(sizes: Sequence[Size], epsilon: float, population: int, delta: float, bits: int) -> Plan:
    """Return rounds that spend `epsilon` together, each with the finest scale that its ring holds.

    Raises ConfigError when the ring does not hold them, or no noise is enough.
    """
    shares = [size.share for size in sizes]
    try:
        finest = [_encoding(size, MOST_SCALE, bits) for size in sizes]
        first = calibrate_steps(finest, shares, epsilon, delta)
        scales = [
            fit_scale(size.norm, population, sigma, bits) for size, sigma in zip(sizes, first, strict=True)
        ]
        encodings = [_encoding(size, scale, bits) for size, scale in zip(sizes, scales, strict=True)]
        sigmas = calibrate_steps(encodings, shares, epsilon, delta)
    except MisuseError as error:
        raise ConfigError(str(error)) from None
    return Plan(epsilon, tuple(map(_step, sizes, encodings, sigmas)))


def manifest_for(
    question: Question,
    step: Step,
    epsilon: float,
    round_id: str,
    population: int,
    issuer_keys: IssuerKeys,
    slot: int,
    documents: Sequence[bytes],
    policy: Policy,
    chain: Chain | None = None,
) -> Manifest:
    """Return the manifest of a round that plays `step`, which costs `epsilon`, among `population` people.

    The round takes tickets of `slot` under the issuer keys; no other round of theirs may have it.
    The noise is sized for n_h, the honest survivors beyond the corrupt, the dropouts and oneself. Raises
    ConfigError when the floors cannot be met.
    """
    for name, most in policy.profile.ceilings().items():
        if not getattr(policy, name) <= most:
            raise ConfigError(
                f"{name} is {getattr(policy, name)}; phones of profile {policy.profile.name} take part for "
                f"{most} at most"
            )
    floor = policy.profile.least_cohort(question.purpose)
    cohort = math.floor(policy.turnout * population)
    # No roster is smaller than the floor, and rounding may leave a larger one with one honest phone less.
    honest = max(honest_survivors(size, policy.gamma, policy.dropout) for size in (cohort, floor))
    if population < floor or honest < 1:
        raise ConfigError(
            f"{population} devices allow {' + '.join(sorted(question.purposes))}; "
            f"a round needs at least {floor}: ask again when more people take part"
        )
    return Manifest(
        round_id=round_id,
        query=question.id,
        purpose=question.purpose,
        purposes=issuer_keys.purposes,
        epoch=issuer_keys.epoch,
        profile=policy.profile.name,
        issuer=issuer_keys.digest,
        model=model_digest(question.digest(), *documents),
        length=step.length,
        norm=step.norm,
        scale=step.scale,
        sigma=step.sigma,
        epsilon=epsilon,
        delta=policy.delta,
        bits=step.bits,
        gamma=policy.gamma,
        dropout=policy.dropout,
        least_cohort=floor,
        most_cohort=min(population, _room(step)),
        honest=honest,
        least_issued=floor,
        least_cell=policy.profile.least_cell,
        plan=chain.plan if chain else None,
        step=chain.step if chain else 0,
        previous=chain.previous if chain else FIRST,
        slot=slot,
    )


def _room(step: Step) -> int:
    """Return how many vectors the ring holds beside ten standard deviations of the noise."""
    return int((2 ** (step.bits - 1) - 10 * step.sigma * step.scale) / math.ceil(step.norm * step.scale))


def _encoding(size: Size, scale: float, bits: int) -> Encoding:
    return Encoding(size.length, size.norm, scale, bits, bytes(32))


def _step(size: Size, encoding: Encoding, sigma: float) -> Step:
    return Step(size.query, encoding.padded, size.norm, encoding.scale, sigma, encoding.bits)
