"""Tickets measured: blind signatures a second on one core, beside the bare RSA operation under them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from rich.console import Console

from covey_privacy import blind_rsa, tickets
from covey_privacy.blind_rsa import Signer
from covey_privacy.tickets import IssuerKey, Role
from covey_simulations.benchmarks.stopwatch import Stopwatch
from covey_simulations.errors import SetupError, SimulationError
from covey_simulations.progress import Progress

__all__ = ["SetupError", "SimulationError", "TicketsOptions", "measure", "show"]

_PSS = padding.PSS(padding.MGF1(hashes.SHA384()), 48)


@dataclass(frozen=True, slots=True)
class TicketsOptions:
    """What `covey bench tickets` was asked for: how many tickets are signed."""

    tickets: int = 2000


def measure(asked: TicketsOptions) -> dict[str, Any]:
    """Return the figures. Raises SetupError for a number that cannot be."""
    if asked.tickets < 1:
        raise SetupError("at least 1 ticket is signed")
    key, watch = blind_rsa.generate(), Stopwatch()
    signer = Signer(key)
    issuers = [IssuerKey(("analytics",), 0, Role.CONTRIBUTE, 1, signer.public)]
    progress = Progress(Console(stderr=True))
    with progress.showing(), progress.step("Tickets", asked.tickets) as done:
        for _ in range(asked.tickets):
            with watch("request"):
                (pending,) = tickets.request(issuers)
            with watch("sign"):
                signature = signer.blind_sign(pending.blinded)
            with watch("receive"):
                tickets.receive(issuers, [pending], [signature])
            with watch("openssl"):
                key.sign(pending.blinded, _PSS, hashes.SHA384())
            done(1)
    seconds = watch.medians()
    return {
        "tickets": asked.tickets,
        "signatures_per_second": 1 / seconds["sign"],
        "openssl_signatures_per_second": 1 / seconds["openssl"],
        "sign_over_openssl": seconds["openssl"] / seconds["sign"],
        "request_seconds": seconds["request"],
        "receive_seconds": seconds["receive"],
    }


def show(found: Mapping[str, Any]) -> None:
    """Print what a person wants to know."""
    Console().print(
        f"{found['signatures_per_second']:,.0f} blind signatures a second on one core; OpenSSL makes "
        f"{found['openssl_signatures_per_second']:,.0f} signatures of its own (ratio "
        f"{found['sign_over_openssl']:.2f}). A phone needs {1000 * found['request_seconds']:.2f} ms to ask "
        f"for a ticket and {1000 * found['receive_seconds']:.2f} ms to take it."
    )
