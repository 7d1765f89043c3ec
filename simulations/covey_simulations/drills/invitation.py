"""Inviting phones: rounds that a real operator plans, signs and has logged, and nobody plays to the end."""

from __future__ import annotations

from covey_models import QUERIES
from covey_privacy.manifest import sign_manifest
from covey_privacy.profile import TEST
from covey_privacy.signatures import SigningKey
from covey_privacy.tickets import IssuerKeys, purpose_set
from covey_server.plan import BITS, Policy, Size, fitted, manifest_for
from covey_server.registry import Registry

QUERY = QUERIES["q20"]
PURPOSES = purpose_set(QUERY.purposes)
EPSILON, DELTA = 0.5, 1e-6


def announce(
    registry: Registry, operator: SigningKey, issuer_keys: IssuerKeys, slot: int, people: int
) -> bytes:
    """Have a round of a slot among `people` logged; return its signed manifest.

    Raises ConfigError for too few people.
    """
    (step,) = fitted([Size(QUERY.id, QUERY.length, QUERY.norm)], EPSILON, people, DELTA, BITS).steps
    policy = Policy(TEST, DELTA, gamma=0.05, dropout=0.05, turnout=1.0)
    round_id = f"{QUERY.id}-{slot}"
    manifest = manifest_for(QUERY, step, EPSILON, round_id, people, issuer_keys, slot, (), policy)
    signed = sign_manifest(manifest, operator)
    registry.log_manifest(signed)
    return signed
