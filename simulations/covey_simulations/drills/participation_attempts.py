"""Tries: whether a phone still gets into a round or gets tickets, and how long the answer takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from covey_privacy.errors import PrivacyError
from covey_privacy.registry_messages import Issuer
from covey_privacy.tickets import Role
from covey_sdk import RegistryClient
from covey_sdk.errors import ConsentError, CoveyError, TicketError
from covey_simulations.drills.people import Person
from covey_simulations.drills.rounds import PURPOSES, DrillRound


@dataclass(frozen=True, slots=True)
class Try:
    """What came of a try after `seconds`: why it was refused, "" where it was not.

    `by_phone` says that the phone's own record of what its owner allows refused it.
    """

    seconds: float
    refusal: str = ""
    by_phone: bool = False

    @property
    def succeeded(self) -> bool:
        """Whether it was not refused."""
        return not self.refusal


@dataclass(frozen=True, slots=True)
class Tries:
    """What a person's phone is made to try: a round, tickets, tickets past its own gate, an old ticket.

    `unused` is the issuer of a purpose set for which nobody has tickets yet; `registry` is asked over a line
    of its own, as by whoever took the phone's key. No round takes tickets of `spare_slot`.
    """

    round: DrillRound
    unused: Issuer
    registry: RegistryClient
    spare_slot: int

    def join(self, person: Person) -> Try:
        """Let the phone try to take part in the round."""
        return attempt(lambda: self.round.add(person.client.contribute(self.round.files)))

    def fetch(self, person: Person) -> Try:
        """Let the phone try to fetch the epoch's tickets for rounds like this."""

        def fetch() -> None:
            if not person.fetcher.fetch(self.unused.keys.epoch, PURPOSES):
                raise ConsentError("the phone asks for no tickets: a purpose is not allowed")

        return attempt(fetch)

    def demand(self, person: Person) -> Try:
        """Ask the registry for tickets in the phone's name, whatever the phone thinks of that."""
        now = person.device.clock.now()
        return attempt(lambda: person.wallet.fetch(self.unused, self.registry, now, lambda _: True))

    def use_ticket(self, person: Person) -> Try:
        """Take a ticket of the epoch out of the phone's store, past its gate, as a changed app would."""

        def take() -> None:
            with person.device.store.transaction():
                person.wallet.take(self.round.files.issuer_keys, Role.CONTRIBUTE, self.spare_slot)

        return attempt(take)


def attempt(act: Callable[[], object]) -> Try:
    """Return what comes of the act."""
    begin = time.perf_counter()
    try:
        act()
    except (CoveyError, PrivacyError) as error:
        # A phone without a ticket may still think that its owner allows the round.
        by_phone = isinstance(error, ConsentError) and not isinstance(error, TicketError)
        return Try(time.perf_counter() - begin, str(error), by_phone)
    return Try(time.perf_counter() - begin)
