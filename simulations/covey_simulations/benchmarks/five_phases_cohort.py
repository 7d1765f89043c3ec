"""A cohort of devices with real tickets, for benchmarks of rounds."""

from __future__ import annotations

import os
from dataclasses import dataclass

from covey_privacy import tickets
from covey_privacy.five_phases import Terms
from covey_privacy.manifest import Manifest
from covey_privacy.signatures import SigningKey
from covey_privacy.ticket_signer import TicketSigner, generate_private_keys
from covey_privacy.tickets import IssuerKeys, Role, RoundKey

PURPOSES = ("analytics", "personalize")
EPOCH = 20_000
BITS = 20


class FullGraph(Terms):
    """Terms under which every device is every other's neighbour, as in Bonawitz et al. 2017."""

    __slots__ = ()

    def graph(self, size: int) -> tuple[int, int]:
        """Return (degree, threshold) of the complete graph."""
        return size - 1, 2 * size // 3 + 1


@dataclass(frozen=True, slots=True)
class Cohort:
    """A round's terms, the registry's key that countersigns it, and each device's round key."""

    terms: Terms
    registry: SigningKey
    keys: tuple[RoundKey, ...]


def enrol(clients: int, length: int, gamma: float, delta: float, full: bool = False) -> Cohort:
    """Return a cohort whose tickets are blind-signed by a fresh issuer."""
    signer = TicketSigner.of(PURPOSES, EPOCH, generate_private_keys(slots=1))
    issuer, registry = signer.keys.of(Role.CONTRIBUTE, 1), SigningKey(os.urandom(32))
    pending = tickets.request([issuer] * clients)
    signatures = [signer.sign_one(issuer, each.blinded) for each in pending]
    keys = tickets.receive([issuer] * clients, pending, signatures)
    manifest = _manifest(signer.keys, clients, length, gamma, delta)
    terms = (FullGraph if full else Terms)(manifest, os.urandom(32), signer.keys, registry.public)
    return Cohort(terms, registry, keys)


def _manifest(issuer_keys: IssuerKeys, clients: int, length: int, gamma: float, delta: float) -> Manifest:
    return Manifest(
        round_id="bench", query="bench", purpose="analytics", purposes=PURPOSES, epoch=EPOCH,
        profile="bench", issuer=issuer_keys.digest, model=bytes(32), length=length, norm=1.0, scale=64.0,
        sigma=4.0, epsilon=1.0, delta=1e-6, bits=BITS, gamma=gamma, dropout=delta, least_cohort=2,
        most_cohort=clients, honest=1, least_issued=0, least_cell=50,
    )  # fmt: skip
