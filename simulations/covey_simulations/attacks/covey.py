"""A coordinator that lies to a device of Covey's, and devices that lie to one another.

Each attack is a function that ends in the error by which it is refused. The coordinator here has the
registry's signature on whatever roster it likes: what is refused is refused by the device alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from covey_models import QUERIES
from covey_privacy import wire
from covey_privacy.errors import PrivacyError
from covey_privacy.five_phases import Advert, Aggregator, Directory, Participant, Roster, Sum, Terms, messages
from covey_privacy.five_phases.low_order import LOW_ORDER
from covey_privacy.five_phases.masks import add_streams
from covey_privacy.five_phases.messages import Survivors
from covey_privacy.five_phases.roster import sign_advert
from covey_privacy.profile import TEST
from covey_privacy.rules import Rule
from covey_privacy.signatures import SigningKey
from covey_privacy.tickets import RoundKey
from covey_sdk.invitation import Invited, check
from covey_server.plan import BITS, Policy, Size, fitted, manifest_for
from covey_simulations.benchmarks.five_phases_cohort import Cohort, enrol

SEEDS = (bytes(32), b"\1\2\3\4" * 2 + bytes(24))
"""Two seeds of 256 bits; the exclusive or of the words of either is zero."""
DEVICES, LENGTH = 9, 8
VICTIM = 0
STEPS = ("share", "mask", "agree", "open")
CLASSES: dict[str, Any] = {
    "share": messages.RosterView,
    "mask": messages.Parcels,
    "agree": messages.Survivors,
    "open": messages.Agreements,
}


@cache
def cohort() -> Cohort:
    """Return the devices' tickets; every attack plays a fresh round with them."""
    return enrol(DEVICES, LENGTH, 0.0, 0.0)


class Round:
    """A round up to and without the step `until`; `told` is what each device is told then, by place."""

    def __init__(
        self,
        until: str,
        adverts: Callable[[list[Advert]], Iterable[Advert]] = list,
        terms: Terms | None = None,
    ) -> None:
        self.terms = terms or cohort().terms
        joined = [Participant(self.terms, key) for key in cohort().keys]
        self.roster = self._roster(adverts([wire.decode(Advert, each.advertise()) for each in joined]))
        degree, _ = cohort().terms.graph(len(self.roster.adverts))
        self.directory = Directory(self.roster, self.roster.head().countersign(cohort().registry), degree)
        places = {self.directory.index(device.round_key): device for device in joined}
        self.devices = {place: device for place, device in sorted(places.items()) if place is not None}
        self.told = {place: self.directory.view(place) for place in self.devices}
        self.aggregator = Aggregator(self.terms)
        if until != "share":
            self._play(until)

    def act(self, step: str, place: int = VICTIM, message: bytes | None = None) -> bytes:
        """Let a device take a step, on what it is told honestly or on another message."""
        vector = (np.full(LENGTH, place + 1, np.uint32),) if step == "mask" else ()
        said: bytes = getattr(self.devices[place], step)(message or self.told[place], *vector)
        return said

    def lie(self, step: str, change: Callable[[Any], Any]) -> bytes:
        """Let the victim take the step on its message, changed."""
        told = wire.decode(CLASSES[step], self.told[VICTIM])
        return self.act(step, VICTIM, wire.encode(change(told)))

    def _roster(self, adverts: Iterable[Advert]) -> Roster:
        return Roster.of(self.terms.manifest.round_id, self.terms.digest, adverts)

    def _play(self, until: str) -> None:
        self.aggregator.freeze(map(wire.encode, self.roster.adverts))
        self.aggregator.countersigned(self.roster.head().countersign(cohort().registry))
        for step in STEPS[: STEPS.index(until)]:
            said = {place: self.act(step, place) for place in self.devices}
            self.told = self._answer(step, said)

    def _answer(self, step: str, said: dict[int, bytes]) -> dict[int, bytes]:
        if step == "share":
            return self.aggregator.deliver(said.values())
        if step == "agree":
            return self.aggregator.gather(said.values())
        total = Sum(len(said), LENGTH, self.terms.manifest.bits)
        for masked in said.values():
            total.add(masked)
        return dict.fromkeys(said, self.aggregator.survive([total.message()]))


def refusal(attack: Callable[[], object]) -> Rule | None:
    """Return the rule by which an attack is refused, None where the device answers."""
    try:
        attack()
    except PrivacyError as error:
        return error.rule
    return None


def split_survivors() -> None:
    """Show half of the devices a set in which the last one is dead; pass everyone's signature on."""
    played = Round("agree")
    everyone = set(played.devices)
    told = {
        place: wire.encode(Survivors.of(DEVICES, everyone - ({DEVICES - 1} if place % 2 else set())))
        for place in everyone
    }
    shown = [place for place in everyone if place != DEVICES - 1]
    signed = [wire.decode(messages.Agreement, played.act("agree", place, told[place])) for place in shown]
    played.act("open", VICTIM, wire.encode(messages.Agreements(tuple(signed))))


def second_unmask() -> None:
    """Ask to unmask again, over another set."""
    played = Round("open")
    played.act("open")
    played.act("open")


def stage_again() -> None:
    """Ask for a stage again."""
    played = Round("share")
    played.act("share")
    played.act("share")


def unmask_first() -> None:
    """Ask to unmask before the vectors were sent."""
    Round("mask").act("open")


def set_without_the_device() -> None:
    """Show a survivor set in which the device itself is dead."""
    Round("agree").lie("agree", lambda told: Survivors.of(told.size, told.devices - {VICTIM}))


def few_survivors() -> None:
    """Name two survivors, far below the threshold."""
    Round("agree").lie("agree", lambda told: Survivors.of(told.size, {0, 1}))


def _neighbour(change: Callable[[Advert], Advert]) -> None:
    """Show the victim a changed advert of its first neighbour."""

    def show(view: messages.RosterView) -> messages.RosterView:
        first, *rest = view.neighbours
        return replace(view, neighbours=(replace(first, advert=change(first.advert)), *rest))

    Round("share").lie("share", show)


def unsigned_key() -> None:
    """Show a neighbour's advert with another mask key."""
    _neighbour(lambda advert: replace(advert, mask_key=(9).to_bytes(32, "little")))


def _signed(key: RoundKey, mask_key: bytes, seal_key: bytes) -> Advert:
    """An advert that the round key's holder signs, with these keys."""
    secret = SigningKey(key.secret)
    return sign_advert(secret, key.ticket, cohort().terms.digest, mask_key, seal_key, bytes(32))


def swapped_key() -> None:
    """Show keys that another ticket signed, the coordinator's own, where a neighbour's should be."""
    base = (9).to_bytes(32, "little")
    _neighbour(lambda _: _signed(cohort().keys[0], base, base))


def invented_peers() -> None:
    """All neighbours are the coordinator's own, with tickets that it signed itself."""

    def invent(adverts: list[Advert]) -> list[Advert]:
        made = [replace(each.ticket, signature=os.urandom(256)) for each in adverts[1:]]
        return [adverts[0], *(replace(each, ticket=t) for each, t in zip(adverts[1:], made, strict=True))]

    _view_of(invent)


def bad_point() -> None:
    """Let a peer advertise a point of low order, which it signs."""
    point = sorted(LOW_ORDER)[3]
    _view_of(lambda adverts: [*adverts[:-1], _signed(cohort().keys[-1], point, adverts[-1].seal_key)])


def _view_of(adverts: Callable[[list[Advert]], Iterable[Advert]]) -> None:
    """Let the first phone see a roster of these adverts."""
    played = Round("share", adverts)
    place = played.directory.index(cohort().keys[0].ticket.round_key)
    assert place is not None  # noqa: S101  # its own advert stands in every roster here
    played.act("share", place)


def chosen_neighbours() -> None:
    """Show the device three of its neighbours."""
    Round("share").lie("share", lambda view: replace(view, neighbours=view.neighbours[:3]))


def low_threshold() -> None:
    """Ask for a lower gamma: a threshold follows from the manifest, and the phone has a floor for it."""
    issuer_keys = cohort().terms.issuer_keys
    (step,) = fitted([Size("q1", LENGTH, 1.0)], 1.4, 30, 1e-6, BITS).steps
    policy = Policy(TEST, 1e-6, 0.05, 0.05, 1.0)
    manifest = manifest_for(QUERIES["q1"], step, 1.4, "q1-1", 30, issuer_keys, 1, (), policy)
    check(Invited(replace(manifest, gamma=0.0), bytes(32)), QUERIES["q1"], (), TEST)


def tiny_cohort() -> None:
    """The manifest promises twenty devices; the roster has nine."""
    terms = cohort().terms
    promised = replace(terms, manifest=replace(terms.manifest, least_cohort=20, most_cohort=30))
    Round("share", terms=promised).act("share")


def _inbox(change: Callable[[tuple[messages.Parcel, ...]], tuple[messages.Parcel, ...]]) -> None:
    Round("mask").lie("mask", lambda told: replace(told, parcels=change(told.parcels)))


def truncated_share() -> None:
    """Cut the inbox short."""
    played = Round("mask")
    played.act("mask", VICTIM, played.told[VICTIM][:-4])


def duplicated_share() -> None:
    """Deliver one share twice."""
    _inbox(lambda parcels: (parcels[0], *parcels))


def redirected_share() -> None:
    """Swap the shares of two senders."""

    def swap(parcels: tuple[messages.Parcel, ...]) -> tuple[messages.Parcel, ...]:
        first, second, *rest = parcels
        return (replace(first, sealed=second.sealed), replace(second, sealed=first.sealed), *rest)

    _inbox(swap)


def few_shares() -> None:
    """Deliver one share."""
    _inbox(lambda parcels: parcels[:1])


def wrong_share() -> str:
    """Return what becomes of a device that opens shares that are none."""
    played = Round("open")
    said = {place: played.act("open", place) for place in played.devices}
    last = wire.decode(messages.Openings, said[DEVICES - 1])
    lies = tuple(replace(each, share=bytes(64)) for each in last.openings)
    said[DEVICES - 1] = wire.encode(replace(last, openings=lies))
    total = played.aggregator.total(said.values())
    right = np.full(LENGTH, sum(range(1, DEVICES + 1)), np.uint32)
    (blame,) = total.blamed
    return (
        f"sum right, liar blamed: `{blame.rule}`" if np.array_equal(total.vector, right) else "**sum wrong**"
    )


def folded_seed() -> str:
    """Return whether two seeds whose 32-bit words have one exclusive or give one mask."""
    one, other = np.zeros(64, np.uint32), np.zeros(64, np.uint32)
    add_streams(one, [SEEDS[0]])
    add_streams(other, [SEEDS[1]])
    return "**one mask**" if np.array_equal(one, other) else "two masks"
