"""Primitives that phones and decryptors spend their time in, timed in the same run: the machine's pace."""

from __future__ import annotations

import os
from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from covey_privacy import blind_rsa
from covey_privacy.secagg.keys import verify
from covey_privacy.signatures import SigningKey
from covey_privacy.tickets import Role
from covey_simulations.benchmarks.secagg_plan import QuickIssuer
from covey_simulations.benchmarks.stopwatch import Stopwatch

REPEATS, CALLS = 9, 40
"""How often some calls are timed together: reading the clock costs as much as the quickest of them."""


def primitives() -> dict[str, float]:
    """Return the median seconds of one call of each."""
    watch, calls = Stopwatch(), _calls()
    for _ in range(REPEATS):
        for name, call in calls.items():
            with watch(name):
                for _ in range(CALLS):
                    call()
    return {name: seconds / CALLS for name, seconds in watch.medians().items()}


def _calls() -> dict[str, Callable[[], object]]:
    issuer, message = QuickIssuer(Role.CONTRIBUTE), bytes(64)
    (certified,) = issuer.round_keys(1)
    ticket, key = certified.ticket, SigningKey(certified.secret)
    prepared, signature = ticket.prefix + ticket.round_key, key.sign(message)
    secret, public = X25519PrivateKey.generate(), os.urandom(31) + b"\0"
    return {
        "rsa_verify": lambda: blind_rsa.verify(issuer.key.key, prepared, ticket.signature),
        "ed25519_verify": lambda: verify(key.public, message, signature),
        "ed25519_sign": lambda: key.sign(message),
        "x25519": lambda: secret.exchange(X25519PublicKey.from_public_bytes(public)),
    }
