"""Rounds to be measured: committees, noise and rounding for a number of phones, and tickets made quickly."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from math import floor, sqrt

import numpy as np
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from numpy.typing import NDArray

from covey_privacy import blind_rsa
from covey_privacy.dp import Encoding, Skellam, noise_share
from covey_privacy.dp.encoding import MOST_LENGTH
from covey_privacy.errors import MisuseError
from covey_privacy.secagg import pads
from covey_privacy.secagg.shape import (
    LEAST_PACKING,
    MOST_DRAWN,
    Shape,
    answer_bound,
    choose_shape,
    corrupt_bound,
    corrupt_phones,
    standing_shape,
)
from covey_privacy.secagg.terms import MOST_MEMBERS
from covey_privacy.signatures import SigningKey
from covey_privacy.tickets import IssuerKey, Random, Role, RoundKey, Ticket
from covey_simulations.errors import SetupError
from covey_simulations.scenarios.in_process_round import EPOCH, PURPOSES, Issuer, Setting

GAMMA = 0.05
"""Share of the phones that may be corrupt."""
VOLUNTEERS = 0.9
"""Share of the phones that volunteer."""
SIGMA, SCALE = 4.0, 64.0
"""The whole noise in units of the norm, and steps of a unit where the error of long sums asks for no more."""
BITS = 31
DROP = 7
"""Low bits of a long vector's entries that are not sent."""

STANDING, DRAWN, BOTH = "standing", "drawn", "both"


@dataclass(frozen=True, slots=True)
class RoundPlan:
    """A round that can be played: what its terms say, and how phones encode their vectors."""

    setting: Setting
    encoding: Encoding

    @property
    def noise(self) -> Skellam:
        """The law of one phone's share of the noise."""
        return Skellam(noise_share(SIGMA, self.encoding.scale, self.setting.honest))

    def vector(self, seed: int) -> NDArray[np.float64]:
        """Return a made-up vector of norm 1, as a query would answer."""
        drawn = np.random.default_rng(seed).normal(size=self.encoding.length)
        unit: NDArray[np.float64] = drawn / sqrt(np.einsum("i,i", drawn, drawn))
        return unit


def plan_round(clients: int, length: int, committee: str, lost: float, members: int | None) -> RoundPlan:
    """Return the plan of a round of `clients` phones.

    Args:
        length: entries of a vector before it is encoded; the round sends `encoding.padded` of them.
        committee: STANDING, DRAWN or BOTH.
        lost: share of the drawn decryptors that may not answer.
        members: size of the drawn committee, where it is not to be the least that is safe.

    Raises:
        SetupError: a number is out of its bounds, or no committee is safe.
    """
    if not (2 <= clients <= MOST_MEMBERS and 1 <= length <= MOST_LENGTH):
        raise SetupError(f"2 to {MOST_MEMBERS} clients and 1 to {MOST_LENGTH} entries are possible")
    if committee == STANDING and members is not None:
        raise SetupError("--members sizes a drawn committee; a standing one has 4")
    corrupt = corrupt_phones(GAMMA, clients)
    volunteers = floor(VOLUNTEERS * clients)
    drawn = None
    if committee != STANDING:
        try:
            drawn, lost = _drawn_shape(volunteers, corrupt, lost, members)
        except MisuseError as error:
            raise SetupError(str(error)) from None
    scale = _scale(clients, length)
    encoding = Encoding(length, 1.0, scale, BITS, bytes(32))
    setting = Setting(
        phones=clients,
        length=encoding.padded,
        standing=standing_shape() if committee != DRAWN else None,
        drawn=drawn,
        volunteers=volunteers if drawn else 0,
        honest=clients - corrupt - 1,
        issued=clients,
        gamma=GAMMA,
        lost=lost if drawn else 0.0,
        drop=DROP if pads.is_long(encoding.padded) else 0,
        steps=SIGMA * scale,
    )
    return RoundPlan(setting, encoding)


def shape_of_size(volunteers: int, corrupt: int, lost: float, members: int) -> tuple[Shape, float]:
    """Return the strongest shape of so many members, and for how many losses it is live.

    T is the greatest that leaves it live at `lost`; where not even the least safe T does, `lost` is lowered
    by hundredths until it does. Raises MisuseError where no loss at all can be borne.
    """
    least = corrupt_bound(volunteers, corrupt, members) + 1
    corrects = -(-min(corrupt, volunteers) * members // volunteers)
    hundredths = round(100 * lost)
    for borne in (lost, *(percent / 100 for percent in range(hundredths - 1, -1, -1))):
        spare = answer_bound(volunteers, borne, members) - max(2 * corrects, 1) - LEAST_PACKING
        if spare >= least:
            return Shape(members, spare, LEAST_PACKING, corrects), borne
    raise MisuseError(
        f"{members} of {volunteers} volunteers are no committee: T is {least} at least, and too few answers "
        "are left to open a sum even when none is lost"
    )


class QuickIssuer(Issuer):
    """An issuer that signs round keys as they are, unblinded: several times as fast, the same tickets."""

    def __init__(self, role: Role) -> None:
        self._private = blind_rsa.generate()
        self._made: tuple[RoundKey, ...] = ()
        self.key = IssuerKey(PURPOSES, EPOCH, role, 1, blind_rsa.Signer(self._private).public)

    def round_keys(self, count: int, random: Random = os.urandom) -> tuple[RoundKey, ...]:
        """See `Issuer`."""
        self._made += tuple(self._certified(random) for _ in range(count - len(self._made)))
        return self._made[:count]

    @cached_property
    def _pss(self) -> padding.PSS:
        return padding.PSS(padding.MGF1(hashes.SHA384()), blind_rsa.SALT_LENGTH)

    def _certified(self, random: Random) -> RoundKey:
        secret = random(32)
        public = SigningKey(secret).public
        prepared = blind_rsa.prepare(public, random)
        signature = self._private.sign(prepared, self._pss, hashes.SHA384())
        return RoundKey(secret, Ticket(public, prepared[: blind_rsa.PREFIX_LENGTH], signature))


def quick_issuers() -> tuple[Issuer, Issuer]:
    """Return quick issuers of the two roles: to contribute, and to volunteer."""
    return QuickIssuer(Role.CONTRIBUTE), QuickIssuer(Role.VOLUNTEER)


def _drawn_shape(volunteers: int, corrupt: int, lost: float, members: int | None) -> tuple[Shape, float]:
    if not 0 <= lost <= 0.9:
        raise SetupError(f"--lost is {lost}; a share from 0 to 0.9 was expected")
    if members is None:
        return choose_shape(volunteers, corrupt, lost), lost
    most = min(volunteers, MOST_DRAWN)
    if not LEAST_PACKING + 2 <= members <= most:
        raise SetupError(f"--members is {members}; {LEAST_PACKING + 2} to {most} was expected")
    return shape_of_size(volunteers, corrupt, lost, members)


def _scale(clients: int, length: int) -> float:
    """Return the steps of a unit: so many that the noise dwarfs the error of a long sum."""
    scale = SCALE
    while not _bears(clients, length, SIGMA * scale):
        scale *= 2
    return scale


def _bears(clients: int, length: int, steps: float) -> bool:
    """Say whether noise of so many steps bears the rounding of long vectors."""
    try:
        return not pads.is_long(length) or pads.choose_drop(length, clients, steps) >= DROP
    except MisuseError:
        return False
