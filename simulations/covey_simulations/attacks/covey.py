"""A coordinator that lies to a phone and to decryptors of Covey's, and decryptors that lie to it.

Each attack is a function that ends in the error by which it is refused. The registry here signs whatever head
or draw the coordinator likes, and witnesses cosign its log: what is refused is refused by the phone or the
decryptor alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from covey_models import QUERIES
from covey_privacy import wire
from covey_privacy.errors import PrivacyError
from covey_privacy.floors import TEST
from covey_privacy.manifest import Manifest
from covey_privacy.protocol_rules import Rule
from covey_privacy.secagg.committee import box_key_statement, draw_of
from covey_privacy.secagg.contributor import Accepted, Contributor
from covey_privacy.secagg.decryptor import Decryptor, opening_statement
from covey_privacy.secagg.field import Elements, uniform_elements
from covey_privacy.secagg.leaves import LeafSet
from covey_privacy.secagg.messages import (
    DRAW,
    FINAL,
    INCLUDED,
    CheckRequest,
    CommitteeFile,
    DrawnCommittee,
    Opening,
    OpenRequest,
    Seat,
    SetHead,
    unpack_leaves,
)
from covey_privacy.secagg.shape import choose_shape, standing_shape
from covey_privacy.secagg.terms import Kind
from covey_privacy.secagg.volunteer import offer_seat
from covey_privacy.signatures import SigningKey, sign
from covey_privacy.tickets import IssuerKeys
from covey_sdk.manifest_check import OpenedManifest, check_manifest
from covey_server.plan import Admission, RoundPolicy, Size, fit_plan, manifest_for
from covey_server.round_terms import CommitteePolicy, Durations, Population
from covey_simulations.scenarios.in_process_round import (
    EPOCH,
    NOW,
    PURPOSES,
    Issuer,
    Players,
    Setting,
    new_issuers,
)

SEEDS = (bytes(32), b"\1\2\3\4" * 2 + bytes(24))
"""Two seeds of 256 bits; the exclusive or of the words of either is zero."""
PHONES, LENGTH = 9, 8
VOLUNTEERS, CORRUPT, LOST = 40, 2, 0.1
VICTIM = (Kind.STANDING, 4)
"""The decryptor that is lied to; the shares of the first two are not sent."""
LOW_ORDER = bytes(32)
STEPS = ("contribute", "check", "open")

STANDING = Setting(PHONES, LENGTH, standing_shape(4))
DRAWN = Setting(
    PHONES, LENGTH, drawn=choose_shape(VOLUNTEERS, CORRUPT, LOST), volunteers=VOLUNTEERS,
    issued=VOLUNTEERS, gamma=CORRUPT / VOLUNTEERS, lost=LOST,
)  # fmt: skip


@cache
def issuers() -> tuple[Issuer, Issuer]:
    """Return the issuers of the phones' tickets; every attack plays a fresh round with them."""
    return new_issuers()


class AttackedRound:
    """A round up to and without the step `until`; `told` is what the victim is told then, honestly."""

    def __init__(self, until: str, setting: Setting = STANDING) -> None:
        self.players = Players(setting, issuers())
        self.told = self.players.seat()
        if until == "contribute":
            return
        for contributor, vector in zip(self.players.contributors(), vectors(), strict=True):
            self.players.collector.add(contributor.contribute(self.told, vector))
        self.players.include()
        self.told = self.players.aggregator.check_request(*VICTIM)
        self.members = LeafSet(unpack_leaves(wire.decode(CheckRequest, self.told).leaves))
        if until == "check":
            return
        self.players.check()
        self.players.finalize()
        self.told = self.players.open_request()

    @property
    def victim(self) -> Decryptor:
        """The decryptor that is lied to."""
        return self.players.decryptors[VICTIM]

    def deal(self, file: bytes | None = None, accepted: Accepted | None = None) -> bytes:
        """Let a phone contribute, to the honest committees or to those of another file."""
        players = self.players
        contributor = Contributor(players.info, accepted or players.accepted, players.round_keys[0])
        return contributor.contribute(file or players.file, vectors()[0])

    def check(self, message: bytes | None = None, **changes: Any) -> bytes:
        """Let the victim check, on what it is told honestly, with changes, or on another message."""
        told = message or wire.encode(replace(wire.decode(CheckRequest, self.told), **changes))
        return self.victim.check(told, NOW)

    def open(self, message: bytes | None = None) -> bytes:
        """Let the victim open, on what it is told honestly or on another message."""
        return self.victim.open(self.told if message is None else message, NOW)

    def with_seats(self, change: Callable[[tuple[Seat, ...]], Iterable[Seat]]) -> bytes:
        """Return the committee file with changed seats of the organisations."""
        file = wire.decode(CommitteeFile, self.players.file)
        return wire.encode(replace(file, seats=tuple(change(file.seats))))

    def open_set(self, leaves: LeafSet, excluded: Iterable[int], key: SigningKey | None = None) -> bytes:
        """Return a request to open a set of these leaves, whose head the registry's or another key signs."""
        signed = self.signed(FINAL, leaves, self.members.root, key)
        return wire.encode(OpenRequest(signed, self.players.log.append(signed), tuple(excluded)))

    def signed(self, context: str, leaves: LeafSet, before: bytes, key: SigningKey | None = None) -> bytes:
        """Return the signed head of a set."""
        info, committees = self.players.info, self.players.aggregator.committees
        head = SetHead(info.digest, committees.context, len(leaves), leaves.root, before)
        return sign(context, head, key or self.players.registry)


def act(step: str) -> bytes:
    """Return what phone or decryptor answers an honest coordinator at a step."""
    played = AttackedRound(step)
    answers: dict[str, Callable[[], bytes]] = {
        "contribute": played.deal,
        "check": played.check,
        "open": played.open,
    }
    return answers[step]()


def vectors() -> list[Elements]:
    """Return the phones' vectors."""
    return [np.full(LENGTH, place + 1, np.int64) for place in range(PHONES)]


def refusal(attack: Callable[[], object]) -> Rule | None:
    """Return the rule by which an attack is refused, None where phone or decryptor answers."""
    try:
        attack()
    except PrivacyError as error:
        return error.rule
    return None


def in_and_out() -> None:
    """Ask for the sum of a set, and name a member of it as excluded."""
    played = AttackedRound("open")
    played.open(played.open_set(played.members, excluded=(3,)))


def set_of_its_own() -> None:
    """Ask for the sum of a set whose head the coordinator signed."""
    played = AttackedRound("open")
    played.open(played.open_set(played.members.without([3]), (3,), SigningKey(bytes(32))))


def second_opening() -> None:
    """Ask for the sum again, over a set without one member, which the registry signed as well."""
    played = AttackedRound("open")
    second = played.open_set(played.members.without([3]), (3,))
    played.open()
    played.open(second)


def open_first() -> None:
    """Ask for the sum before the set was checked."""
    AttackedRound("check").open(b"")


def contribute_again() -> None:
    """Ask a phone for its message again, as if the first was lost."""
    players = AttackedRound("contribute").players
    contributor = Contributor(players.info, players.accepted, players.round_keys[0])
    contributor.contribute(players.file, vectors()[0])
    contributor.contribute(players.file, vectors()[0])


def few_members() -> None:
    """Ask for the sum of two members, which the registry signed."""
    played = AttackedRound("open", replace(STANDING, honest=PHONES - 1))
    gone = range(2, PHONES)
    played.open(played.open_set(played.members.without(list(gone)), gone))


def small_set() -> None:
    """Ask a decryptor to check a set of two members, which the registry signed."""
    played = AttackedRound("check", replace(STANDING, honest=PHONES - 1))
    told = wire.decode(CheckRequest, played.told)
    leaves = unpack_leaves(told.leaves)[:2]
    _check_set(played, LeafSet(leaves), b"".join(leaf.pack() for leaf in leaves))


def twice_in_the_set() -> None:
    """Ask a decryptor to check a set in which one member stands twice, which the registry signed."""
    played = AttackedRound("check")
    leaves = unpack_leaves(wire.decode(CheckRequest, played.told).leaves)
    twice = [leaves[0], *leaves[:-1]]
    _check_set(played, LeafSet(leaves), b"".join(leaf.pack() for leaf in twice))


def _check_set(played: AttackedRound, signed: LeafSet, leaves: bytes) -> None:
    head = played.signed(INCLUDED, signed, bytes(32))
    played.check(head=head, logged=played.players.log.append(head), leaves=leaves)


def swapped_key() -> None:
    """Show a box key that the coordinator signed where an organisation's should be."""
    played = AttackedRound("contribute")
    _, own = offer_seat(played.players.info.digest, bytes(32))
    played.deal(played.with_seats(lambda seats: (own, *seats[1:])))


def unsigned_key() -> None:
    """Show an organisation's seat with another box key."""
    played = AttackedRound("contribute")
    other = (9).to_bytes(32, "little")
    played.deal(played.with_seats(lambda seats: (replace(seats[0], box_key=other), *seats[1:])))


def invented_organisations() -> None:
    """Name organisations of the coordinator's own in the manifest, and seat them."""
    played = AttackedRound("contribute")
    pinned = frozenset(SigningKey(bytes([number]) * 32).public for number in range(1, 5))
    played.deal(accepted=replace(played.players.accepted, organisations=pinned))


def chosen_decryptors() -> None:
    """Draw phones of the coordinator's choice: the registry signs a draw by another nonce."""
    played = AttackedRound("contribute", DRAWN)
    drawn, players = wire.decode(CommitteeFile, played.players.file).drawn, played.players
    assert drawn is not None  # noqa: S101  # the round has such a committee
    draw = sign(DRAW, draw_of(players.info.digest, drawn.roster, bytes(32), drawn.members), players.registry)
    played.deal(wire.encode(CommitteeFile((), DrawnCommittee(drawn.roster, draw, drawn.members))))


def bad_point() -> None:
    """Let an organisation sign a box key of low order."""
    played = AttackedRound("contribute")
    players = played.players
    statement = box_key_statement(players.info.digest, Kind.STANDING, LOW_ORDER)
    bad = Seat(LOW_ORDER, players.organisations[3].sign(statement))
    played.deal(played.with_seats(lambda seats: (*seats[:3], bad)))


def low_gamma() -> None:
    """Ask for less noise: a manifest that counts no phone as corrupt, below the phone's floor."""
    manifest = plan_manifest()
    assert manifest.terms is not None  # noqa: S101  # it is of a round in one message
    terms = replace(manifest.terms, gamma=0.0, honest=manifest.terms.least_set - 1)
    altered = replace(manifest, terms=terms, gamma=0.0, honest=terms.honest)
    check_manifest(OpenedManifest(altered, bytes(32)), QUERIES["q1"], (), TEST)


def plan_manifest() -> Manifest:
    """Return a manifest among thirty people, as the coordinator plans it."""
    query = QUERIES["q1"]
    (step,) = fit_plan([Size("q1", query.length, query.norm)], 1.4, 30, 1e-6).steps
    seats = tuple(SigningKey(bytes([number]) * 32).public for number in range(1, 5))
    policy = RoundPolicy(
        TEST, 1e-6, CommitteePolicy(seats, False, 0.05, lost=0.0, turnout=1.0), Durations(0, 60, 60, 60)
    )
    contribute, volunteer = (each.key.key for each in issuers())
    keys = IssuerKeys(PURPOSES, EPOCH, (contribute,), (volunteer,))
    admission = Admission(keys, 1, Population(30, 30))
    return manifest_for(
        query, step, 1.4, "q1-1", admission, (), policy, policy.durations.windows_from(NOW), bytes(32)
    )


def truncated_share() -> None:
    """Cut the last share short."""
    played = AttackedRound("check")
    played.check(boxes=wire.decode(CheckRequest, played.told).boxes[:-4])


def redirected_share() -> None:
    """Swap the shares of two senders, and ask for the sum all the same."""
    _open_after(lambda boxes: [boxes[1], boxes[0], *boxes[2:]])


def few_shares() -> None:
    """Deliver one share, and ask for the sum all the same."""
    _open_after(lambda boxes: [boxes[0], *(bytes(len(box)) for box in boxes[1:])])


def _open_after(change: Callable[[list[bytes]], list[bytes]]) -> None:
    """Let the victim check with changed shares, and then open the whole set."""
    played = AttackedRound("check")
    boxes = wire.decode(CheckRequest, played.told).boxes
    size = len(boxes) // PHONES
    given = [boxes[at : at + size] for at in range(0, len(boxes), size)]
    played.check(boxes=b"".join(change(given)))
    played.open(played.open_set(played.members, ()))


def wrong_share() -> str:
    """Return what becomes of a sum of shares that is wrong."""
    played = AttackedRound("open")
    players = played.players
    liar = players.decryptors[VICTIM]
    keys, context = liar.state.keys, players.aggregator.committees.context  # type: ignore[union-attr]
    honest = wire.decode(Opening, liar.open(played.told, NOW))
    lie = replace(honest, sums=bytes(len(honest.sums)))
    signature = SigningKey(keys.signing).sign(opening_statement(context, lie))
    players.aggregator.opened(wire.encode(replace(lie, signature=signature)))
    for seat, decryptor in players.decryptors.items():
        if seat != VICTIM:
            players.aggregator.opened(decryptor.open(played.told, NOW))
    result = players.aggregator.conclude()
    right = np.array_equal(result.vector, sum(vectors()))
    corrected = result.corrected[Kind.STANDING]
    return f"sum right, {corrected} wrong sum of shares corrected" if right else "**sum wrong**"


def folded_seed() -> str:
    """Return whether two seeds whose 32-bit words have one exclusive or give one pad."""
    one, other = (uniform_elements(seed, 64) for seed in SEEDS)
    return "**one pad**" if np.array_equal(one, other) else "two pads"
