"""What a manifest says about a round's secure aggregation, and what everyone knows of the round before it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated

from covey_privacy import wire
from covey_privacy.errors import MisuseError, ServerError
from covey_privacy.protocol_rules import Rule
from covey_privacy.secagg import pads
from covey_privacy.secagg.shape import Band, Shape, corrupt_phones, require_shape, require_standing, shape_for
from covey_privacy.tickets import IssuerKey, Role

MOST_MEMBERS = 10_000
MOST_DECRYPTORS = 1024
MOST_ORGANISATIONS = 9
EVERYONE = 2**64 - 1
"""The sampling limit that leaves nobody out."""
LEAST_POOL = 400
"""Production refuses a drawn committee alone from a smaller roster of volunteers."""


class Kind(IntEnum):
    """Of a committee: organisations named beforehand, or phones drawn from volunteers."""

    STANDING = 1
    DRAWN = 2

    @property
    def label(self) -> bytes:
        """One byte that stands in every derived key, challenge and signature."""
        return bytes([self])


DecryptorId = tuple[Kind, int]
"""A decryptor: its committee's kind and its number, 1 to m."""


@dataclass(frozen=True, slots=True)
class RoundTerms:
    """A round's secure aggregation, as the manifest states it.

    `length` entries are padded, of which `drop` low bits are not sent; `steps` is the whole noise's standard
    deviation in integer steps. `honest` is n_h: how many noise shares make the whole noise. `issued` counts
    the phones that were issued tickets, of which the share `gamma` may be corrupt; `lost` of the drawn
    decryptors may never answer. `organisations` are the keys of a standing committee, in the order of its
    seats; `bands` the shapes of a drawn one, by the size of the roster. `sample` is the limit that a round
    key's sampling number may not pass.
    """

    length: Annotated[int, wire.Range(1, 2**24)]
    drop: Annotated[int, wire.Range(0, pads.MOST_DROP)]
    steps: Annotated[float, wire.Range(0, 2**40)]
    honest: Annotated[int, wire.Range(1, 2**32 - 1)]
    issued: wire.U32
    gamma: Annotated[float, wire.Range(0, 0.5)]
    lost: Annotated[float, wire.Range(0, 0.9)]
    most: Annotated[int, wire.Range(1, MOST_MEMBERS)]
    organisations: Annotated[tuple[wire.Bytes32, ...], wire.Records(0, MOST_ORGANISATIONS)]
    standing: Shape | None
    bands: Annotated[tuple[Band, ...], wire.Size(0, 16)]
    nonce_hash: wire.Bytes32
    sample: wire.U64 = EVERYONE

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds of the round's committees, one or both."""
        named = ((Kind.STANDING, self.standing), (Kind.DRAWN, self.bands))
        return tuple(kind for kind, present in named if present)

    @property
    def corrupt(self) -> int:
        """K: how many corrupt phones a set may hold."""
        return corrupt_phones(self.gamma, self.issued, (self.sample + 1) / 2**64)

    @property
    def least_set(self) -> int:
        """The members that a set needs for `honest` noise shares, without the corrupt and oneself."""
        return self.honest + self.corrupt + 1

    def require_sound(self) -> None:
        """Raise ServerError unless the terms fit together: kinds, standing committee, rounding."""
        if not self.kinds or (self.standing is not None) != bool(self.organisations):
            raise ServerError(
                "the terms name no committee, or organisations without a shape", rule=Rule.COMMITTEE_KIND
            )
        if self.standing is not None:
            require_standing(self.standing)
            if not len(self.organisations) == len(set(self.organisations)) == self.standing.members:
                raise ServerError(
                    f"{len(self.organisations)} organisations are named for a committee of "
                    f"{self.standing.members}",
                    rule=Rule.COMMITTEE_MEMBERS,
                )
        try:
            drop = pads.choose_drop(self.length, self.most, self.steps)
        except MisuseError as error:
            raise ServerError(str(error), rule=Rule.ROUNDING) from None
        if self.drop and not pads.LEAST_DROP <= self.drop <= drop:
            raise ServerError(
                f"the terms drop {self.drop} bits of each entry; the noise bears {drop} at most",
                rule=Rule.ROUNDING,
            )

    def drawn_shape(self, volunteers: int) -> Shape:
        """Return the shape for a roster of that size. Raises ServerError where the rule forbids it."""
        shape = shape_for(self.bands, volunteers)
        require_shape(shape, volunteers, self.corrupt, self.lost)
        return shape


@dataclass(frozen=True, slots=True)
class RoundInfo:
    """What everyone knows of a round: its terms, the digest of its manifest, and whose signatures count.

    `contribute` and `volunteer` are the issuer keys of the two roles' tickets; `volunteer` is None where no
    committee is drawn.
    """

    terms: RoundTerms
    digest: bytes
    registry: bytes
    contribute: IssuerKey
    volunteer: IssuerKey | None = None

    def __post_init__(self) -> None:
        self.terms.require_sound()
        if self.contribute.role != Role.CONTRIBUTE:
            raise MisuseError("contributions need an issuer key of role contribute")
        if Kind.DRAWN not in self.terms.kinds:
            return
        if self.volunteer is None or self.volunteer.role != Role.VOLUNTEER:
            raise MisuseError(
                "a drawn committee needs an issuer key of role volunteer for volunteers' tickets"
            )
        if self.volunteer.key == self.contribute.key:
            raise MisuseError("volunteers' tickets need another issuer key than contributors'")


def digest_of_fields(*fields: bytes) -> bytes:
    """Return SHA-256 of the fields, each behind its length in 4 bytes."""
    return hashlib.sha256(b"".join([len(field).to_bytes(4) + field for field in fields])).digest()
