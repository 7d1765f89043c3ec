"""A fleet of simulated phones: it answers each phase for its devices and adds their masked vectors up.

It keeps nothing that matters. What a phone is in the middle of stands in that phone's own store, so that any
process may answer the next phase.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from flwr.app import Context

from covey_privacy import wire
from covey_privacy.errors import PrivacyError
from covey_privacy.five_phases import Blames, Directory, Roster, Sum
from covey_privacy.manifest import Manifest
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

Act = Callable[[int, Door], bytes | None]
"""What a household's phone answers in a phase, through its door; None where it says nothing."""


@contextmanager
def build(context: Context) -> Iterator[Fleet]:
    """Yield the fleet of a Flower node: its share of the households of the run's world."""
    world = World.load(state_folder(context.run_config, context.run_id))
    shard = int(context.node_config.get("partition-id", 0))
    shards = int(context.node_config.get("num-partitions", 1))
    with Phones(world, world.households[shard::shards]) as phones:
        yield Fleet(phones)


class Fleet:
    """Some phones behind one interface. Why a phone stays silent, nobody is told but the simulation."""

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
        self._places: dict[tuple[str, int], int] = {}
        self._refused: list[str] = []

    @property
    def refusals(self) -> Counter[str]:
        """Why phones stayed silent, and how often."""
        return Counter(self._refused)

    def handle(self, phase: str, body: bytes) -> bytes:
        """Answer a phase."""
        return self._answers[phase](body)

    def _advertise(self, body: bytes) -> bytes:
        invitation = wire.decode(Invitation, body)
        manifest, documents = invitation.manifest, invitation.documents
        round_id = wire.decode(Manifest, wire.decode(Signed, manifest).body).round_id
        everyone = self._phones.households
        answers = self._phones.each(
            lambda household: self._answer(household, lambda door: door.advertise(manifest, documents)),
            everyone,
        )
        adverts = {household: advert for household, advert in zip(everyone, answers, strict=True) if advert}
        self._joined[round_id] = list(adverts)
        return wire.encode(Replies(tuple(adverts.values())))

    def _share(self, body: bytes) -> bytes:
        admission = wire.decode(Admission, body)
        roster = wire.decode(Roster, admission.roster)
        directory = Directory(roster, admission.countersignature, admission.degree)

        def share(household: int, door: Door) -> bytes | None:
            index = self._place(household, door, admission.round_id, directory)
            return None if index is None else door.share(admission.round_id, directory.view(index))

        return self._replies(SHARE, admission.round_id, share)

    def _mask(self, body: bytes) -> bytes:
        collection = wire.decode(Collection, body)
        inboxes: dict[int | None, bytes] = {letter.device: letter.body for letter in collection.letters}

        def mask(household: int, door: Door) -> bytes | None:
            inbox = inboxes.get(self._place(household, door, collection.round_id))
            return door.mask(collection.round_id, inbox) if inbox else None

        sharers = {letter.device for letter in collection.letters}
        total = Sum(collection.size, collection.length, collection.bits, sharers)
        blames = Blames()
        blames.sift(self._each(MASK, collection.round_id, mask), total.add)
        self._refused.extend(f"a vector broke {blame.rule}" for blame in blames.all)
        return total.message()

    def _agree(self, body: bytes) -> bytes:
        told = wire.decode(Broadcast, body)

        def agree(household: int, door: Door) -> bytes | None:
            index = self._place(household, door, told.round_id)
            return None if index is None else door.agree(told.round_id, told.body)

        return self._replies(AGREE, told.round_id, agree)

    def _open(self, body: bytes) -> bytes:
        letters = wire.decode(Letters, body)
        signed: dict[int | None, bytes] = {letter.device: letter.body for letter in letters.letters}

        def open_(household: int, door: Door) -> bytes | None:
            agreements = signed.get(self._place(household, door, letters.round_id))
            return door.open(letters.round_id, agreements) if agreements else None

        return self._replies(OPEN, letters.round_id, open_)

    def _replies(self, phase: str, round_id: str, act: Act) -> bytes:
        return wire.encode(Replies(tuple(self._each(phase, round_id, act))))

    def _each(self, phase: str, round_id: str, act: Act) -> Iterator[bytes]:
        """Yield what the phones of a round answer, but for those that have gone dark."""
        for household in self._joined.get(round_id, self._phones.households):
            if not self._dark(household, round_id, phase):
                reply = self._answer(household, partial(act, household))
                if reply:
                    yield reply

    def _place(
        self, household: int, door: Door, round_id: str, directory: Directory | None = None
    ) -> int | None:
        """Return a phone's place in a round's roster, None where it has none; its store is read once."""
        if (round_id, household) not in self._places:
            participant = door.participant(round_id)
            index = participant.index if participant else None
            if participant and index is None and directory:
                index = directory.index(participant.round_key)
            if index is None:
                return None
            self._places[round_id, household] = index
        return self._places[round_id, household]

    def _dark(self, household: int, round_id: str, phase: str) -> bool:
        silent_from = draw.goes_dark(self._phones.world.seed, household, round_id.rsplit("-", 2)[0])
        return silent_from in PHASES and PHASES.index(phase) >= PHASES.index(silent_from)

    def _answer(self, household: int, step: Callable[[Door], bytes | None]) -> bytes | None:
        """Return a phone's answer; a phone that refuses says nothing."""
        try:
            with self._phones.open(household) as device:
                return step(self._phones.door(device))
        except (CoveyError, PrivacyError) as error:
            self._refused.append(str(error))
            return None
