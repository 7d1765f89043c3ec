"""Asking a query: one round whose histogram is released."""

from __future__ import annotations

from functools import partial

from covey_models import QUERIES
from covey_server.conductor import Conductor
from covey_server.config import Asked
from covey_server.fleet import Ask
from covey_server.plan import BITS, Size, fitted, manifest_for


def answer(asked: Asked, conductor: Conductor, ask: Ask) -> None:
    """Play one round of a query and publish what it gave. Raises PrivacyError when it cannot be finished."""
    query, policy = QUERIES[asked.name], conductor.config.policy
    issuer_keys, population = conductor.issuer_keys(query)
    slot = conductor.next_slot(issuer_keys)
    documents = conductor.store.releases(query.builds_on)
    size = Size(query.id, query.length, query.norm)
    (step,) = fitted([size], asked.epsilon, population, policy.delta, BITS).steps
    round_id = conductor.round_id(query.id)
    manifest = manifest_for(
        query, step, asked.epsilon, round_id, population, issuer_keys, slot, documents, policy
    )
    planned = conductor.planned(query, manifest, issuer_keys, documents)
    publish = partial(query.release, k_min=manifest.least_cell)
    conductor.play(planned, ask, publish, partial(conductor.release, query.id, round_id))
