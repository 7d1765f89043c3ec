"""One round from the coordinator's seat: five phases over an exchange, whatever carries it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from covey_privacy import wire
from covey_privacy.errors import AbortError
from covey_privacy.evidence import survivors_root
from covey_privacy.five_phases import Aggregator, Blames, Roster, Terms, Total
from covey_privacy.five_phases.messages import Survivors
from covey_privacy.manifest import Manifest
from covey_privacy.rules import Rule
from covey_server import fleet
from covey_server.homes import Homes
from covey_server.registry import Registry


@dataclass
class Tally:
    """What a round counts on its way, for its evidence; `agreed` is the set that survivors were told."""

    roster: Roster | None = None
    survivors: int = 0
    agreed: Survivors | None = None
    denied: int = 0
    spent: int = 0
    blames: Blames = field(default_factory=Blames)

    @property
    def bad(self) -> int:
        """How many adverts were bad, as the registry or the coordinator found."""
        return self.denied + sum(isinstance(blame.who, bytes) for blame in self.blames.all)

    @property
    def survivors_root(self) -> bytes:
        """The root over the round keys of the set that survivors were told; that of none where none was."""
        adverts = self.roster.adverts if self.roster else ()
        told = sorted(self.agreed.devices) if self.agreed else ()
        return survivors_root(adverts[place].round_key for place in told)

    @property
    def cohort(self) -> int:
        """How many devices the countersigned roster has."""
        return len(self.roster.adverts) if self.roster else 0


def run_round(
    terms: Terms,
    invitation: fleet.Invitation,
    ask: fleet.Ask,
    registry: Registry,
    charge: Callable[[], None],
    tally: Tally,
) -> Total:
    """Play all phases and return the sum.

    `charge` is called once the survivors have agreed, before anyone is asked for a share that opens the sum.
    What a device or node says in breach of a rule is left out, and `tally` tells whom to blame. Raises
    AbortError when too few devices are left.
    """
    aggregator, round_id = Aggregator(terms, blames=tally.blames), terms.manifest.round_id

    def devices(phase: str, bodies: Mapping[int, bytes] | bytes) -> dict[int, tuple[bytes, ...]]:
        return dict(tally.blames.sift(ask(phase, bodies, round_id).items(), _replies, _name))

    adverts = devices(fleet.ADVERTISE, wire.encode(invitation))
    roster, signature = _admit(aggregator, _all(adverts), registry, tally)
    directory = aggregator.countersigned(signature)
    tally.roster, homes = roster, Homes.of(adverts, roster)

    def own(said: Mapping[int, tuple[bytes, ...]]) -> list[bytes]:
        each = [(node, message) for node, some in said.items() for message in some]
        return tally.blames.sift(each, homes.own, _name)

    admission = fleet.Admission(round_id, wire.encode(roster), signature, directory.degree)
    parcels = devices(fleet.SHARE, wire.encode(admission))
    inboxes = aggregator.deliver(own(parcels))
    partials = ask(
        fleet.MASK, _collections(terms.manifest, len(roster.adverts), inboxes, homes.devices), round_id
    )
    survivors = aggregator.survive(tally.blames.sift(partials.items(), homes.own_sum, _name))
    tally.agreed = wire.decode(Survivors, survivors)
    tally.survivors = tally.agreed.count
    agreements = devices(fleet.AGREE, wire.encode(fleet.Broadcast(round_id, survivors)))
    signed = aggregator.gather(own(agreements))
    charge()
    letters = {node: fleet.Letters(round_id, _letters(signed, some)) for node, some in homes.devices.items()}
    openings = devices(fleet.OPEN, {node: wire.encode(some) for node, some in letters.items()})
    return aggregator.total(own(openings))


def _admit(
    aggregator: Aggregator, adverts: list[bytes], registry: Registry, tally: Tally
) -> tuple[Roster, bytes]:
    """Return the roster that the registry countersigned, without the adverts that it refused."""
    refused: set[bytes] = set()
    while True:
        roster = aggregator.freeze(adverts, refused)
        answer = registry.countersign(roster)
        if answer.signature:
            return roster, answer.signature
        newly = {*answer.bad, *answer.spent} - refused
        if not newly:
            raise AbortError(
                "the registry neither countersigned the roster nor said whom it refuses",
                rule=Rule.ROSTER_ADMISSION,
            )
        refused |= newly
        tally.denied += len(answer.bad)
        tally.spent += len(answer.spent)


def _all(messages: Mapping[int, tuple[bytes, ...]]) -> list[bytes]:
    return [message for some in messages.values() for message in some]


def _name(said: tuple[int, object]) -> str:
    return f"node {said[0]}"


def _replies(said: tuple[int, bytes]) -> tuple[int, tuple[bytes, ...]]:
    node, answer = said
    return node, wire.decode(fleet.Replies, answer).messages


def _collections(
    manifest: Manifest, size: int, inboxes: Mapping[int, bytes], homes: Mapping[int, set[int]]
) -> dict[int, bytes]:
    """Return what each node is to collect."""
    round_id, length, bits = manifest.round_id, manifest.length, manifest.bits
    return {
        node: wire.encode(fleet.Collection(round_id, size, length, bits, _letters(inboxes, devices)))
        for node, devices in homes.items()
    }


def _letters(bodies: Mapping[int, bytes], devices: Iterable[int]) -> tuple[fleet.Letter, ...]:
    return tuple(fleet.Letter(device, bodies[device]) for device in sorted(devices) if device in bodies)
