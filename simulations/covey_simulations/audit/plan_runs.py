"""A run of an audit: whole plans, played in rounds, and what an auditor finds of their canaries.

Questions, encoding, noise, plan and rounds are the product's. A build that plays one plan sends and opens the
protocol's messages; one that plays many adds the vectors up. The auditor is as strong as the definition of
privacy lets it be: it knows every household's vector, and lacks only the canaries' coins and the noise.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from covey_privacy.dp import Encoding, Skellam, noise_share
from covey_privacy.dp.keystream import Random
from covey_privacy.secagg.field import Q, centred
from covey_simulations.audit import rounds
from covey_simulations.audit.builds import GREED, Build
from covey_simulations.audit.canaries import Canaries, turns
from covey_simulations.audit.one_run import lower_bound, right_guesses
from covey_simulations.audit.subjects import DELTA, SHARES, Subject

Vector = NDArray[np.float64]

SEED = 32


def play_plans(subject: Subject, build: Build, random: Random) -> float:
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
    add_up = rounds.opened_sum if build.times == 1 else rounds.plain_sum
    signals = [step.norm / step.sigma for step in steps]
    sources = [_repeating(random(SEED)) if build.reused else random for _ in subject.households]
    score = np.zeros(subject.canaries)
    for step, signal, turn in zip(steps, signals, turns(*signals), strict=True):
        question = subject.question(totals)
        encoding = Encoding(question.length, step.norm, step.scale, step.bits, random(SEED))
        known = [encoding.encode(question.contribute(facts), random) for facts in subject.households]
        law = Skellam(noise_share(build.noise * step.sigma, step.scale, SHARES * len(sources)))
        noise = [_shares(law, encoding.padded, source) for source in sources]
        clipping = replace(encoding, norm=build.clip * step.norm)
        added = [clipping.encode(GREED * vector, random) for vector in canaries.vectors(encoding, turn)]
        total = add_up([*map(np.add, known, noise), *added])
        totals.append(encoding.decode(encoding.to_ring(total)))
        unknown = centred((total - np.sum(known, axis=0)) % Q)
        score += signal * canaries.found(unknown / (step.scale * step.sigma), turn)
    return score


def _shares(law: Skellam, length: int, random: Random) -> NDArray[np.int64]:
    """Return the sum of SHARES phones' noise, int64 [length]."""
    drawn = law.sample(length * SHARES, random).reshape(length, SHARES)
    return np.asarray(drawn.sum(axis=1))


def _repeating(seed: bytes) -> Random:
    """Return a source of randomness that begins anew each time it is asked."""
    return lambda size: hashlib.shake_256(seed).digest(size)
