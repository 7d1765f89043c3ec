"""Volunteering phones, and organisations that offer a seat: each makes a fresh box key for one round."""

from __future__ import annotations

import os
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from covey_privacy import wire
from covey_privacy.errors import MisuseError
from covey_privacy.secagg.committee import Committees, box_key_statement, volunteer_statement
from covey_privacy.secagg.messages import Seat, VolunteerOffer
from covey_privacy.secagg.terms import Kind, RoundInfo
from covey_privacy.signatures import SigningKey
from covey_privacy.state_machine import Machine, step
from covey_privacy.tickets import Random, RoundKey


@dataclass(frozen=True, slots=True)
class DecryptorKeys:
    """A decryptor's secrets of one round: the Ed25519 key that it signs with, and its X25519 box key."""

    kind: wire.U32
    signing: wire.Bytes32
    box: wire.Bytes32

    @property
    def box_public(self) -> bytes:
        """The public half of the box key."""
        return public_box_key(self.box)


@dataclass(frozen=True, slots=True)
class Idle:
    """A phone that has not volunteered."""

    key: RoundKey


@dataclass(frozen=True, slots=True)
class Offered:
    """It volunteered, and waits for the draw."""

    keys: DecryptorKeys


@dataclass(frozen=True, slots=True)
class Drawn:
    """It is a decryptor, or not, as `number` says: 1 to m, or 0."""

    number: wire.U32


VolunteerState = Idle | Offered | Drawn


class Volunteer(Machine):
    """One phone's offer to be a decryptor in one round, under a round key of role volunteer."""

    def __init__(
        self, info: RoundInfo, state: RoundKey | VolunteerState, *, random: Random = os.urandom
    ) -> None:
        self.state: VolunteerState = Idle(state) if isinstance(state, RoundKey) else state
        self._info = info
        self._random = random

    @step(Idle, after=Offered)
    def volunteer(self, before: Idle) -> tuple[Offered, bytes]:
        """Return the message to the registry."""
        keys = DecryptorKeys(Kind.DRAWN, before.key.secret, self._random(32))
        statement = volunteer_statement(self._info.digest, keys.box_public)
        signature = SigningKey(keys.signing).sign(statement)
        message = VolunteerOffer(before.key.ticket, keys.box_public, signature)
        return Offered(keys), wire.encode(message)

    @step(Offered, after=Drawn)
    def drawn(self, before: Offered, committees: Committees) -> tuple[Drawn, DecryptorKeys | None]:
        """Return the keys of a `Decryptor` where the draw names this phone, else None: its keys are gone."""
        members = committees.of_kind(Kind.DRAWN)
        number = seat_number(members.box_keys, members.signers, before.keys)
        return Drawn(number), before.keys if number else None


def offer_seat(digest: bytes, signing: bytes, random: Random = os.urandom) -> tuple[DecryptorKeys, Seat]:
    """Return an organisation's fresh keys for the round of that manifest digest, and its signed box key.

    Args:
        signing: the secret of the Ed25519 key that apps pin.
    """
    keys = DecryptorKeys(Kind.STANDING, signing, random(32))
    statement = box_key_statement(digest, Kind.STANDING, keys.box_public)
    return keys, Seat(keys.box_public, SigningKey(signing).sign(statement))


def seat_number(box_keys: tuple[bytes, ...], signers: tuple[bytes, ...], keys: DecryptorKeys) -> int:
    """Return which member has these keys, 1 to m; 0 where none has both."""
    mine = keys.box_public, SigningKey(keys.signing).public
    seats = list(zip(box_keys, signers, strict=True))
    return seats.index(mine) + 1 if mine in seats else 0


def public_box_key(secret: bytes) -> bytes:
    """Return the public half of an X25519 key. Raises MisuseError for a secret of another length."""
    if len(secret) != 32:
        raise MisuseError(f"a box key's secret has 32 bytes; {len(secret)} were given")
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()
