"""The device's side of a round: bytes in, bytes out.

    advertise -> share -> mask -> agree -> open

Each step checks everything that the protocol lets a device check, moves to the next state and returns what
to send. A step out of order is a MisuseError; a rule that the server or a peer broke is a ServerError or a
PeerError, and the device says nothing. A state is plain data: `dump` and `resume` let a phone's operating
system stop the app between any two phases.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from covey_privacy import wire
from covey_privacy.errors import PeerError, ServerError
from covey_privacy.five_phases import masks, messages, ring, shamir, states, terms
from covey_privacy.five_phases.graph import neighbours
from covey_privacy.five_phases.messages import Survivors
from covey_privacy.five_phases.roster import Advert, sign_advert
from covey_privacy.five_phases.shamir import SECRET_LENGTH, SHARE_LENGTH
from covey_privacy.five_phases.states import (
    Advertised,
    Agreed,
    Held,
    Masked,
    Opened,
    Peer,
    Place,
    Secrets,
    Shared,
    State,
    expect,
)
from covey_privacy.five_phases.terms import Terms
from covey_privacy.machine import Machine, step
from covey_privacy.merkle import verify_inclusion
from covey_privacy.rules import Rule
from covey_privacy.signatures import SigningKey, Verify, to_sign, verify
from covey_privacy.tickets import RoundKey

Random = Callable[[int], bytes]


class Participant(Machine):
    """One device in one round.

    `verify(key, message, signature)` checks signatures; `random(n)` gives n bytes fit for keys.
    """

    def __init__(
        self, terms: Terms, round_key: RoundKey, *, verify: Verify = verify, random: Random = os.urandom
    ) -> None:
        mask, seal, seed = (random(SECRET_LENGTH) for _ in range(3))
        secrets = Secrets(round_key.secret, mask, seed)
        self._terms, self._verify, self._random = terms, verify, random
        self.state: State = Advertised(secrets, seal, _advert(terms, round_key, secrets, seal))

    @classmethod
    def resume(
        cls, terms: Terms, dumped: bytes, *, verify: Verify = verify, random: Random = os.urandom
    ) -> Participant:
        """Return the participant that `dump` put away."""
        participant = cls.__new__(cls)
        participant._terms, participant._verify, participant._random = terms, verify, random
        participant.state = states.load(dumped)
        return participant

    def dump(self) -> bytes:
        """Return the state as bytes; they hold secrets."""
        return states.dump(self.state)

    @property
    def index(self) -> int | None:
        """This device's place in the roster, None before it has seen one."""
        if isinstance(self.state, Opened):
            return self.state.index
        return None if isinstance(self.state, Advertised) else self.state.place.index

    @property
    def round_key(self) -> bytes:
        """The public key that names this device until it has its place."""
        return expect(self.state, Advertised).advert.round_key

    def advertise(self) -> bytes:
        """Return the advert."""
        return wire.encode(expect(self.state, Advertised).advert)

    @step(Advertised, after=Shared)
    def share(self, before: Advertised, view: bytes) -> tuple[Shared, bytes]:
        """Check the roster and every neighbour; return a sealed pair of shares for each of them."""
        shown = wire.decode(messages.RosterView, view)
        context, threshold = self._graph(shown, before.advert)
        pair = masks.KeyPair(before.seal)
        lines = [_line(pair, neighbour, context, shown.index) for neighbour in shown.neighbours]
        secret = before.secrets.seed + before.secrets.mask
        shares = shamir.split(secret, threshold, len(lines), self._random)
        parcels = tuple(line.parcel(share) for line, share in zip(lines, shares, strict=True))
        place = Place(shown.index, shown.size, threshold, context, tuple(line.peer for line in lines))
        return Shared(before.secrets, place), wire.encode(messages.Parcels(place.index, parcels))

    @step(Shared, after=Masked)
    def mask(self, before: Shared, inbox: bytes, vector: ring.Vector) -> tuple[Masked, bytes]:
        """Take the neighbours' shares; return `vector` (uint32, the manifest's entries) masked and packed."""
        secrets, place = before.secrets, before.place
        held = _unseal_all(place, wire.decode(messages.Parcels, inbox))
        senders = {share.owner for share in held}
        total = vector.astype(np.uint32)
        own = masks.derive(secrets.seed, terms.seed_info(place.context))
        pair, peers = masks.KeyPair(secrets.mask), [peer for peer in place.peers if peer.index in senders]
        above = [_mask(pair, place, peer) for peer in peers if peer.index > place.index]
        below = [_mask(pair, place, peer) for peer in peers if peer.index < place.index]
        masks.add_streams(total, [own, *above], below)
        packed = ring.pack(total, self._terms.manifest.bits)
        return Masked(secrets.round, place, held), wire.encode(messages.MaskedVector(place.index, packed))

    @step(Masked, after=Agreed)
    def agree(self, before: Masked, survivors: bytes) -> tuple[Agreed, bytes]:
        """Check the survivor set; return a signature over it."""
        told = wire.decode(Survivors, survivors)
        self._check_survivors(told, before.place, before.held)
        message = to_sign(messages.SURVIVORS, told.to_sign(before.place.context))
        signature = SigningKey(before.round).sign(message)
        said = wire.encode(messages.Agreement(before.place.index, signature))
        return Agreed(before.place, before.held, told), said

    @step(Agreed, after=Opened)
    def open(self, before: Agreed, agreements: bytes) -> tuple[Opened, bytes]:
        """Check that enough neighbours signed the same set; return one share for each who shared."""
        self._check_agreements(wire.decode(messages.Agreements, agreements), before)
        openings = tuple(
            messages.Opening(held.owner, held.seed if held.owner in before.survivors else held.key)
            for held in before.held
        )
        return Opened(before.place.index), wire.encode(messages.Openings(before.place.index, openings))

    def _graph(self, view: messages.RosterView, own: Advert) -> tuple[bytes, int]:
        """Check the roster and this device's place in the graph; return the round's context and threshold."""
        head = self._terms.head(view.size, view.root)
        beacon = head.beacon(view.countersignature, self._terms.registry, self._verify)
        degree, threshold = self._terms.graph(view.size)
        verify_inclusion(own.leaf, view.index, view.size, view.inclusion, view.root, Rule.ROSTER_INCLUSION)
        expected = neighbours(beacon, view.size, degree, view.index)
        if tuple(neighbour.index for neighbour in view.neighbours) != expected:
            raise ServerError(
                "the neighbours shown are not those that the beacon draws", rule=Rule.BEACON_NEIGHBOURS
            )
        if len(view.inclusions) != len(expected):
            raise ServerError(
                f"{len(view.inclusions)} inclusion proofs are shown for {len(expected)} neighbours",
                rule=Rule.ROSTER_INCLUSION,
            )
        for neighbour, inclusion in zip(view.neighbours, view.inclusions, strict=True):
            neighbour.advert.check(self._terms.digest, self._terms.issuer, self._verify)
            verify_inclusion(
                neighbour.advert.leaf, neighbour.index, view.size, inclusion, view.root, Rule.ROSTER_INCLUSION
            )
        return self._terms.context(head, beacon), threshold

    def _check_survivors(self, survivors: Survivors, place: Place, held: tuple[Held, ...]) -> None:
        needed = self._terms.manifest.least_survivors(place.size)
        near = sum(share.owner in survivors for share in held)
        if survivors.size != place.size or not survivors.fits:
            raise ServerError(
                f"the survivor set is not one of this roster of {place.size}", rule=Rule.SURVIVORS_SIZE
            )
        if place.index not in survivors:
            raise ServerError(
                "this device is not among the survivors; it has nothing to answer", rule=Rule.SURVIVORS_OWN
            )
        if survivors.count < needed:
            raise ServerError(
                f"{survivors.count} devices survived; the noise is sized for at least {needed}",
                rule=Rule.SURVIVORS_NOISE,
            )
        sharers = {share.owner for share in held}
        hollow = sum(peer.index in survivors and peer.index not in sharers for peer in place.peers)
        if hollow:
            # No mask ties these neighbours to this device: the sum could be opened without their vectors.
            raise ServerError(
                f"{hollow} neighbours are named as survivors but did not share with this device",
                rule=Rule.SURVIVORS_SHARED,
            )
        if near < place.threshold:
            raise ServerError(
                f"{near} of this device's neighbours survived; {place.threshold} are needed",
                rule=Rule.SURVIVORS_NEIGHBOURS,
            )

    def _check_agreements(self, told: messages.Agreements, before: Agreed) -> None:
        message = to_sign(messages.SURVIVORS, before.survivors.to_sign(before.place.context))
        keys = {peer.index: peer.round_key for peer in before.place.peers if peer.index in before.survivors}
        signers: set[int] = set()
        for agreement in told.agreements:
            key = keys.get(agreement.device)
            if key and self._verify(key, message, agreement.signature):
                signers.add(agreement.device)
            if len(signers) == before.place.threshold:
                return
        raise PeerError(
            f"{len(signers)} neighbours signed this survivor set; {before.place.threshold} are needed",
            rule=Rule.AGREEMENTS,
        )


@dataclass(frozen=True, slots=True)
class _Line:
    """A checked neighbour, and what seals a parcel for it."""

    peer: Peer
    outbox: bytes
    info: bytes

    def parcel(self, share: bytes) -> messages.Parcel:
        return messages.Parcel(self.peer.index, masks.seal(self.outbox, share, self.info))


def _line(pair: masks.KeyPair, neighbour: messages.Neighbour, context: bytes, own: int) -> _Line:
    """Agree with a neighbour on the keys of the parcels in either direction."""
    advert, index = neighbour.advert, neighbour.index
    secret = pair.exchange(advert.seal_key)
    info = terms.seal_info(context, own, index)
    inbox = masks.derive(secret, terms.seal_info(context, index, own))
    peer = Peer(index, advert.round_key, advert.mask_key, inbox)
    return _Line(peer, masks.derive(secret, info), info)


def _advert(terms_: Terms, round_key: RoundKey, secrets: Secrets, seal: bytes) -> Advert:
    return sign_advert(
        SigningKey(round_key.secret),
        round_key.ticket,
        terms_.digest,
        masks.KeyPair(secrets.mask).public,
        masks.KeyPair(seal).public,
        terms.seed_digest(secrets.seed),
    )


def _unseal_all(place: Place, inbox: messages.Parcels) -> tuple[Held, ...]:
    peers = {peer.index: peer for peer in place.peers}
    senders = [parcel.peer for parcel in inbox.parcels]
    if inbox.device != place.index or len({*senders} & {*peers}) < len(senders):
        raise ServerError(
            "the inbox is not this device's: it names strangers, or one neighbour twice", rule=Rule.INBOX
        )
    if len(senders) < place.threshold:
        raise ServerError(
            f"{len(senders)} neighbours shared; {place.threshold} are needed", rule=Rule.SHARERS
        )
    return tuple(_unseal(place, peers[parcel.peer], parcel.sealed) for parcel in inbox.parcels)


def _unseal(place: Place, peer: Peer, sealed: bytes) -> Held:
    info = terms.seal_info(place.context, peer.index, place.index)
    share = masks.unseal(peer.inbox, sealed, info)
    return Held(peer.index, share[:SHARE_LENGTH], share[SHARE_LENGTH:])


def _mask(pair: masks.KeyPair, place: Place, peer: Peer) -> bytes:
    info = terms.mask_info(place.context, place.index, peer.index)
    return masks.derive(pair.exchange(peer.mask_key), info)
