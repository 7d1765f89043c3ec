"""A run of an audit: whole plans, played on the ideal sum, and what an auditor finds of their canaries.

Questions, encoding, noise and plan are the product's; the secure sum is the plain sum modulo 2^bits. The
auditor is as strong as the definition of privacy lets it be: it knows every household's vector, and lacks
only the canaries' coins and the noise.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from covey_privacy.dp import Encoding, Skellam, noise_share
from covey_privacy.dp.keystream import Random
from covey_simulations.audit.builds import GREED, Build
from covey_simulations.audit.canaries import Canaries, turns
from covey_simulations.audit.one_run import lower_bound, right_guesses
from covey_simulations.audit.subjects import DELTA, Subject

Vector = NDArray[np.float64]
Ring = NDArray[np.uint32]

SEED = 32


def run(subject: Subject, build: Build, random: Random) -> float:
    """Return the lower bound on the epsilon that one person pays, guessing for half of the canaries."""
    found, took_part = [], []
    for _ in range(subject.plays):
        canaries = Canaries.drawn(subject.canaries, random)
        found.append(sum(scores(subject, build, canaries, random) for _ in range(build.times)))
        took_part.append(canaries.take_part)
    count = subject.plays * subject.canaries
    right = right_guesses(np.concatenate(found), np.concatenate(took_part), count // 2)
    return lower_bound(count, count // 2, right, DELTA)


def scores(subject: Subject, build: Build, canaries: Canaries, random: Random) -> Vector:
    """Play every step of the plan; return each canary's score, float64 [m].

    It is the log-likelihood ratio, but for constants, where noise is normal and new in every step.
    """
    steps, totals = subject.plan.steps, list[Vector]()
    signals = [step.norm / step.sigma for step in steps]
    sources = [_repeating(random(SEED)) if build.reused else random for _ in subject.households]
    score = np.zeros(subject.canaries)
    for step, signal, turn in zip(steps, signals, turns(*signals), strict=True):
        question = subject.question(totals)
        encoding = Encoding(question.length, step.norm, step.scale, step.bits, random(SEED))
        known = [encoding.encode(question.contribute(facts), random) for facts in subject.households]
        law = Skellam(noise_share(build.noise * step.sigma, step.scale, len(sources)))
        noise = [law.sample(encoding.padded, source) for source in sources]
        clipping = replace(encoding, norm=build.clip * step.norm)
        added = [clipping.encode(GREED * vector, random) for vector in canaries.vectors(encoding, turn)]
        total = _ideal_sum(encoding, [*map(np.add, known, noise), *added])
        totals.append(encoding.decode(total))
        unknown = encoding.from_ring(total - _ideal_sum(encoding, known))
        score += signal * canaries.found(unknown / (step.scale * step.sigma), turn)
    return score


def _ideal_sum(encoding: Encoding, messages: Iterable[NDArray[np.int64]]) -> Ring:
    """Return what secure aggregation opens: the sum of the ring elements, modulo 2^32 and so 2^bits."""
    return sum((encoding.to_ring(message) for message in messages), np.zeros(encoding.padded, np.uint32))


def _repeating(seed: bytes) -> Random:
    """Return a source of randomness that begins anew each time it is asked."""
    return lambda size: hashlib.shake_256(seed).digest(size)
