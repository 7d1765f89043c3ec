"""Planning rounds: from questions, an epsilon and a population to noise, and from those to manifests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from covey_models import Question
from covey_privacy.dp import Encoding, Skellam, calibrate_steps, fit_scale, noise_share
from covey_privacy.dp.encoding import MOST_SCALE
from covey_privacy.dp.skellam_gap import MOST_VARIANCE
from covey_privacy.errors import MisuseError
from covey_privacy.floors import FloorProfile
from covey_privacy.manifest import FIRST, Manifest, Plan, Step, Windows, model_digest
from covey_privacy.secagg import pads
from covey_privacy.tickets import IssuerKeys
from covey_server.errors import ConfigError
from covey_server.round_terms import CommitteePolicy, Durations, Population, counted, terms_for

BITS = 31
"""Of an entry of the sum; the field q has a little more. The finer the scale, the less rounding costs."""

MARGIN = 1.05
"""At a finer scale less noise is needed: the noise of a long vector's plan may come out so much smaller."""


@dataclass(frozen=True, slots=True)
class RoundPolicy:
    """What the operator chose for all rounds of a run."""

    profile: FloorProfile
    delta: float
    committees: CommitteePolicy
    durations: Durations


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


@dataclass(frozen=True, slots=True)
class Admission:
    """Whom a round takes: the issuer keys of its tickets, the slot, and how many there are."""

    issuer_keys: IssuerKeys
    slot: int
    people: Population


def fit_plan(sizes: Sequence[Size], epsilon: float, issued: int, delta: float) -> Plan:
    """Return rounds that spend `epsilon` together, each with the finest scale that the field holds.

    Args:
        issued: how many phones hold tickets.

    Raises:
        ConfigError: the field does not hold so many vectors, or no noise is enough.
    """
    shares, most = [size.share for size in sizes], counted(issued)
    try:
        finest = [_encoding(size, MOST_SCALE) for size in sizes]
        first = calibrate_steps(finest, shares, epsilon, delta)
        scales = [_scale(size, most, sigma) for size, sigma in zip(sizes, first, strict=True)]
        encodings = [_encoding(size, scale) for size, scale in zip(sizes, scales, strict=True)]
        sigmas = calibrate_steps(encodings, shares, epsilon, delta)
    except MisuseError as error:
        raise ConfigError(str(error)) from None
    return Plan(epsilon, tuple(map(_step, sizes, encodings, sigmas)))


def manifest_for(
    question: Question,
    step: Step,
    epsilon: float,
    round_id: str,
    admission: Admission,
    documents: Sequence[bytes],
    policy: RoundPolicy,
    windows: Windows,
    nonce: bytes,
    chain: Chain | None = None,
) -> Manifest:
    """Return the manifest of a round that plays `step`, which costs `epsilon`.

    Args:
        admission: no other round of these issuer keys may have its slot.
        nonce: 32 secret bytes, shown when the committee is drawn.

    Raises:
        ConfigError: the floors cannot be met, or no committee is safe and live.
    """
    profile, keys, people = policy.profile, admission.issuer_keys, admission.people
    steps = step.sigma * step.scale
    terms = terms_for(policy.committees, profile, question.purpose, people, step.length, steps, nonce)
    _require_drawable(step, terms.honest)
    floor = profile.least_cohort(question.purpose)
    return Manifest(
        round_id=round_id,
        query=question.id,
        purpose=question.purpose,
        purposes=keys.purposes,
        epoch=keys.epoch,
        profile=profile.name,
        issuer=keys.digest,
        model=model_digest(question.digest(), *documents),
        length=step.length,
        norm=step.norm,
        scale=step.scale,
        sigma=step.sigma,
        epsilon=epsilon,
        delta=policy.delta,
        bits=step.bits,
        gamma=terms.gamma,
        honest=terms.honest,
        least_issued=floor,
        least_cell=profile.least_cell,
        plan=chain.plan if chain else None,
        step=chain.step if chain else 0,
        previous=chain.previous if chain else FIRST,
        terms=terms,
        windows=windows,
        slot=admission.slot,
    )


def _require_drawable(step: Step, honest: int) -> None:
    """Raise ConfigError where a phone's share of the noise is more than it can draw."""
    try:
        Skellam(noise_share(step.sigma, step.scale, honest))
    except MisuseError as error:
        raise ConfigError(
            f"{step.query} needs more noise than {honest} phones can draw: spend more epsilon, or ask when "
            f"more people take part ({error})"
        ) from None


def _scale(size: Size, most: int, sigma: float) -> float:
    """Return the finest scale for `most` vectors; of long ones, the coarsest that bears their errors.

    Long vectors drop bits where the scale that this takes has room in the field, and leaves a variance for
    which both accountants work.
    """
    if not pads.is_long(_encoding(size, MOST_SCALE).padded):
        return fit_scale(size.norm, most, sigma, BITS)
    for drop in (pads.LEAST_DROP, 0):
        scale = 2.0 ** math.ceil(math.log2(MARGIN * pads.least_steps(most, drop) / sigma))
        fits = most * math.ceil(size.norm * scale) + 10 * sigma * scale < 2 ** (BITS - 1)
        if fits and (drop == 0 or (sigma * scale) ** 2 <= MOST_VARIANCE):
            return scale
    raise MisuseError(f"{most} vectors of {size.length} entries do not fit into {BITS} bits")


def _encoding(size: Size, scale: float) -> Encoding:
    return Encoding(size.length, size.norm, scale, BITS, bytes(32))


def _step(size: Size, encoding: Encoding, sigma: float) -> Step:
    return Step(size.query, encoding.padded, size.norm, encoding.scale, sigma, encoding.bits)
