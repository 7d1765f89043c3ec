"""Asking a query: one round whose histogram is released."""

from __future__ import annotations

import os
from functools import partial

from covey_models import QUERIES, Question
from covey_server.conductor import Conductor, RunningRound
from covey_server.config import RequestedQuery
from covey_server.plan import Size, fitted, manifest_for
from covey_server.store import SignedRelease


def answer(asked: RequestedQuery, conductor: Conductor) -> None:
    """Run one round of a query and publish what it gave; a round that was stopped goes on.

    Raises PrivacyError when it cannot be finished.
    """
    query = QUERIES[asked.name]
    running = conductor.resume(query) or _begun(asked, query, conductor)
    publish = partial(query.release, k_min=running.manifest.least_cell)

    def sign(round_id: str, published: dict[str, object]) -> SignedRelease:
        return conductor.release(query.id, round_id, published)

    conductor.run(running, publish, sign)


def _begun(asked: RequestedQuery, query: Question, conductor: Conductor) -> RunningRound:
    policy, nonce = conductor.policy, os.urandom(32)
    admission = conductor.admission(query)
    documents = conductor.store.releases(query.builds_on)
    size = Size(query.id, query.length, query.norm)
    (step,) = fitted([size], asked.epsilon, admission.people.issued, policy.delta).steps
    windows = policy.durations.from_(int(conductor.clock.seconds()))
    manifest = manifest_for(
        query, step, asked.epsilon, conductor.round_id(query.id), admission, documents, policy, windows, nonce
    )
    return conductor.begin(query, manifest, admission, documents, nonce)
