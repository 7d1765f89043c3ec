"""A fleet of simulated phones: it answers each phase for its devices and adds their masked vectors up.

It keeps nothing that matters. What a phone is in the middle of stands in that phone's own store, so that any
process may answer the next phase.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from flwr.app import Context

from covey_privacy import wire
from covey_privacy.errors import PrivacyError
from covey_privacy.manifest import Manifest
from covey_privacy.secagg import Directory, Participant, Roster, Sum
from covey_privacy.signatures import Signed
from covey_sdk.door import Door
from covey_sdk.errors import CoveyError
from covey_server.config import state_folder
from covey_server.fleet import (
    ADVERTISE,
    AGREE,
    MASK,
    OPEN,
    PHASES,
    SHARE,
    Admission,
    Broadcast,
    Collection,
    Invitation,
    Letters,
    Replies,
)
from covey_simulations import draw
from covey_simulations.phone import Phones
from covey_simulations.world import World

Act = Callable[[Door, Participant], bytes | None]


@contextmanager
def build(context: Context) -> Iterator[Fleet]:
    """Yield the fleet of a Flower node: its share of the households of the run's world."""
    world = World.load(state_folder(context.run_config, context.run_id))
    shard = int(context.node_config.get("partition-id", 0))
    shards = int(context.node_config.get("num-partitions", 1))
    with Phones(world, world.households[shard::shards]) as phones:
        yield Fleet(phones)


class Fleet:
    """Some phones behind one interface. `refusals` counts why phones stayed silent; nobody is told."""

    def __init__(self, phones: Phones) -> None:
        self._phones = phones
        self._answers: dict[str, Callable[[bytes], bytes]] = {
            ADVERTISE: self._advertise,
            SHARE: self._share,
            MASK: self._mask,
            AGREE: self._agree,
            OPEN: self._open,
        }
        self._joined: dict[str, list[int]] = {}
        self.refusals: Counter[str] = Counter()

    def handle(self, phase: str, body: bytes) -> bytes:
        """Answer a phase."""
        return self._answers[phase](body)

    def _advertise(self, body: bytes) -> bytes:
        invitation = wire.decode(Invitation, body)
        manifest, documents = invitation.manifest, invitation.documents
        round_id = wire.decode(Manifest, wire.decode(Signed, manifest).body).round_id
        everyone = self._phones.households
        asked = {h: self._answer(h, lambda door: door.advertise(manifest, documents)) for h in everyone}
        adverts = {household: advert for household, advert in asked.items() if advert}
        self._joined[round_id] = list(adverts)
        return wire.encode(Replies(tuple(adverts.values())))

    def _share(self, body: bytes) -> bytes:
        admission = wire.decode(Admission, body)
        roster = wire.decode(Roster, admission.roster)
        directory = Directory(roster, admission.countersignature, admission.degree)

        def share(door: Door, participant: Participant) -> bytes | None:
            index = participant.index
            if index is None:
                index = directory.index(participant.round_key)
            return None if index is None else door.share(admission.round_id, directory.view(index))

        return self._replies(SHARE, admission.round_id, share)

    def _mask(self, body: bytes) -> bytes:
        collection = wire.decode(Collection, body)
        inboxes = {letter.device: letter.body for letter in collection.letters}

        def mask(door: Door, participant: Participant) -> bytes | None:
            inbox = inboxes.get(_placed(participant))
            return door.mask(collection.round_id, inbox) if inbox else None

        total = Sum(collection.size, collection.length, collection.bits)
        for masked in self._each(MASK, collection.round_id, mask):
            total.add(masked)
        return total.message()

    def _agree(self, body: bytes) -> bytes:
        told = wire.decode(Broadcast, body)
        return self._replies(AGREE, told.round_id, lambda door, _: door.agree(told.round_id, told.body))

    def _open(self, body: bytes) -> bytes:
        letters = wire.decode(Letters, body)
        signed = {letter.device: letter.body for letter in letters.letters}

        def open_(door: Door, participant: Participant) -> bytes | None:
            agreements = signed.get(_placed(participant))
            return door.open(letters.round_id, agreements) if agreements else None

        return self._replies(OPEN, letters.round_id, open_)

    def _replies(self, phase: str, round_id: str, act: Act) -> bytes:
        return wire.encode(Replies(tuple(self._each(phase, round_id, act))))

    def _each(self, phase: str, round_id: str, act: Act) -> Iterator[bytes]:
        """Yield what the phones of a round answer, but for those that have gone dark."""

        def step(door: Door) -> bytes | None:
            participant = door.participant(round_id)
            return act(door, participant) if participant else None

        for household in self._joined.get(round_id, self._phones.households):
            if not self._dark(household, round_id, phase):
                reply = self._answer(household, step)
                if reply:
                    yield reply

    def _dark(self, household: int, round_id: str, phase: str) -> bool:
        silent_from = draw.goes_dark(self._phones.world.seed, household, round_id.rsplit("-", 2)[0])
        return silent_from in PHASES and PHASES.index(phase) >= PHASES.index(silent_from)

    def _answer(self, household: int, step: Callable[[Door], bytes | None]) -> bytes | None:
        """Return a phone's answer; a phone that refuses says nothing."""
        try:
            with self._phones.open(household) as device:
                return step(self._phones.door(device))
        except (CoveyError, PrivacyError) as error:
            self.refusals[str(error)] += 1
            return None


def _placed(participant: Participant) -> int:
    """Return the device's place in the roster, -1 where it has none."""
    return -1 if participant.index is None else participant.index
