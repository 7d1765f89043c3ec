"""The side that issues tickets: the private halves of an `IssuerKeys`, which sign whole batches blindly."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import rsa

from covey_privacy import blind_rsa
from covey_privacy.blind_rsa import Signer
from covey_privacy.errors import PeerError
from covey_privacy.protocol_rules import Rule
from covey_privacy.tickets import IssuerKeys


@dataclass(frozen=True, slots=True)
class TicketSigner:
    """Signs tickets of one purpose set and epoch under its `keys`."""

    keys: IssuerKeys
    _signers: tuple[Signer, ...]

    @classmethod
    def from_private_keys(
        cls, purposes: tuple[str, ...], epoch: int, private: Sequence[rsa.RSAPrivateKey]
    ) -> TicketSigner:
        """Return the signer with these private keys, in the order of `IssuerKeys`: two a slot."""
        signers, slots = tuple(map(Signer, private)), len(private) // 2
        public = tuple(signer.public for signer in signers)
        return cls(IssuerKeys(purposes, epoch, public[:slots], public[slots:]), signers)

    def sign(self, blinded: Sequence[bytes]) -> tuple[bytes, ...]:
        """Return the blind signatures of a batch, each under its own key.

        Raises PeerError unless there is one blinded message for each key, and each is a unit of its key.
        """
        if len(blinded) != self.keys.batch:
            raise PeerError(
                f"a batch is {self.keys.batch} tickets, one for each role and slot; {len(blinded)} were "
                "asked for",
                rule=Rule.TICKET_BATCH,
            )
        return tuple(
            signer.blind_sign(message) for signer, message in zip(self._signers, blinded, strict=True)
        )


def generate_private_keys(slots: int) -> tuple[rsa.RSAPrivateKey, ...]:
    """Return fresh RSA keys for `slots` slots of both roles, made on all cores.

    It takes some 30 ms of a core for each key. OpenSSL makes them without the GIL.
    """
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return tuple(threads.map(lambda _: blind_rsa.generate(), range(2 * slots)))
