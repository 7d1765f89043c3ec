"""What everyone knows of a round before it starts, and the context that binds every key to it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from covey_privacy.errors import MisuseError, ServerError
from covey_privacy.five_phases.graph import parameters
from covey_privacy.five_phases.roster import RosterHead
from covey_privacy.manifest import Manifest
from covey_privacy.rules import Rule
from covey_privacy.tickets import IssuerKey, IssuerKeys, Role


@dataclass(frozen=True, slots=True)
class Terms:
    """A manifest with its digest, the issuer keys that it names and the registry's public key."""

    manifest: Manifest
    digest: bytes
    issuer_keys: IssuerKeys
    registry: bytes

    def __post_init__(self) -> None:
        self.manifest.issuer_key(self.issuer_keys, Role.CONTRIBUTE)

    @property
    def issuer(self) -> IssuerKey:
        """The key of the tickets that the round takes."""
        return self.issuer_keys.of(Role.CONTRIBUTE, self.manifest.slot)

    def head(self, size: int, root: bytes) -> RosterHead:
        """Return the roster head of this round for a roster of that size and root."""
        return RosterHead(self.manifest.round_id, self.digest, size, root)

    def graph(self, size: int) -> tuple[int, int]:
        """Return (degree, threshold) for a roster of `size`.

        Raises ServerError outside the manifest, or where no graph bears the shares that it plans for.
        """
        if not self.manifest.least_cohort <= size <= self.manifest.most_cohort:
            allowed = f"{self.manifest.least_cohort}..{self.manifest.most_cohort}"
            raise ServerError(
                f"the roster has {size} devices; the manifest allows {allowed}", rule=Rule.ROSTER_SIZE
            )
        try:
            return parameters(size, self.manifest.gamma, self.manifest.dropout)
        except MisuseError as error:
            raise ServerError(str(error), rule=Rule.GRAPH) from None

    def context(self, head: RosterHead, beacon: bytes) -> bytes:
        """Return 32 bytes that differ as soon as two devices see different rounds."""
        fields = (
            self.manifest.round_id.encode(),
            self.digest,
            self.manifest.model,
            "+".join(self.manifest.purposes).encode(),
            head.size.to_bytes(4),
            head.root,
            beacon,
        )
        return hashlib.sha256(b"".join(len(field).to_bytes(4) + field for field in fields)).digest()


def mask_info(context: bytes, a: int, b: int) -> bytes:
    """Return the HKDF info of the mask between devices a and b, the same from either side."""
    return b"covey/1/mask" + context + min(a, b).to_bytes(4) + max(a, b).to_bytes(4)


def seal_info(context: bytes, sender: int, recipient: int) -> bytes:
    """Return the HKDF info, and associated data, of the parcel from sender to recipient."""
    return b"covey/1/seal" + context + sender.to_bytes(4) + recipient.to_bytes(4)


def seed_info(context: bytes) -> bytes:
    """Return the HKDF info of a self-mask."""
    return b"covey/1/self" + context


def seed_digest(seed: bytes) -> bytes:
    """Return the hash of a self-mask seed, as adverts carry it."""
    return hashlib.sha256(b"covey/1/seed" + seed).digest()
