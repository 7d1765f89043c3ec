"""Secure aggregation measured: one round of many devices, the seconds and bytes of each phase.

Devices play one after the other in this process. Some are measured: they check every signature themselves.
The others remember what was found good, which shortens the run and is in no figure of a client; where all are
measured, the run is what a round costs in full. The server's part is done some times over on what they said,
and its figures are medians as well.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np

from covey_privacy.five_phases import Participant
from covey_privacy.five_phases.aggregator import Total
from covey_privacy.signatures import verify
from covey_simulations.benchmarks.five_phases_cohort import Cohort
from covey_simulations.benchmarks.five_phases_primitives import Primitives
from covey_simulations.benchmarks.five_phases_server import Messages, Server
from covey_simulations.benchmarks.stopwatch import Stopwatch
from covey_simulations.errors import RunError
from covey_simulations.phone import Remembering

MEASURED = 20
"""Devices that are measured unless more are asked for; the figures are their medians."""
PASSES = 3
"""How often the server does its part."""

Act = Callable[[Participant, bytes], bytes]


@dataclass
class Round:
    """A round under measurement, of its first `measuring` devices.

    `sampling` times the primitives between them; `tell(n)` hears of every n devices that finished a phase.
    """

    cohort: Cohort
    dropout: float
    tell: Callable[[int], None] = lambda _: None
    measuring: int = MEASURED
    sampling: bool = True
    passes: int = PASSES
    client: Stopwatch = field(default_factory=Stopwatch)
    server: Stopwatch = field(default_factory=Stopwatch)
    up: dict[str, float] = field(default_factory=dict)
    down: dict[str, float] = field(default_factory=dict)
    degree: int = 0
    said: dict[str, Messages] = field(default_factory=dict)
    devices: dict[int, Participant] = field(default_factory=dict)
    measured: set[int] = field(default_factory=set)
    sampled: set[int] = field(default_factory=set)

    def play(self) -> None:
        """Play all phases. Raises RunError when the sum opened is not that of the vectors."""
        server, manifest = Server(self.cohort, self.server), self.cohort.terms.manifest
        directory = server.draw(server.freeze(self._advertise()))
        self.degree = directory.degree
        self.primitives = Primitives(self.cohort, self.degree)
        self._seat(directory.index)
        shared = self._phase("share", Participant.share, server.show(directory, self.devices))
        vector = np.arange(manifest.length, dtype=np.uint32)
        self._drop_out()
        masked = self._phase("mask", lambda device, inbox: device.mask(inbox, vector), server.deliver(shared))
        agreed = self._phase("agree", Participant.agree, dict.fromkeys(self.devices, server.add(masked)))
        opened = self._phase("open", Participant.open, server.gather(agreed))
        totals = [server.unmask(opened)]
        totals += [self._again() for _ in range(1, self.passes)]
        ring = np.uint32(2**manifest.bits - 1)
        expected = vector * np.uint32(len(self.devices)) & ring
        if not all(np.array_equal(total.vector, expected) for total in totals):
            raise RunError("the sum that was opened is not that of the vectors; no figure of it counts")

    def _again(self) -> Total:
        """Let a server that remembers nothing do its part anew, on what the devices said."""
        server, said = Server(self.cohort, self.server), self.said
        server.show(server.draw(server.freeze(said["advertise"])), said["share"])
        server.deliver(said["share"])
        server.add(said["mask"])
        server.gather(said["agree"])
        return server.unmask(said["open"])

    def _advertise(self) -> Messages:
        remember = Remembering()
        adverts = {}
        for number, key in enumerate(self.cohort.keys):
            with self.client("advertise") if number < self.measuring else nullcontext():
                check = verify if number < self.measuring else remember
                self.devices[number] = Participant(self.cohort.terms, key, verify=check)
                adverts[number] = self.devices[number].advertise()
            self.tell(1)
        self.up["advertise"] = median(map(len, adverts.values()))
        self.said["advertise"] = adverts
        return adverts

    def _seat(self, place: Callable[[bytes], int | None]) -> None:
        """Name the devices by their places in the roster from now on."""
        seated = {place(device.round_key) or 0: number for number, device in self.devices.items()}
        self.measured = {seat for seat, number in seated.items() if number < self.measuring}
        self.sampled = {seat for seat, number in seated.items() if self.sampling and number < MEASURED}
        self.devices = {seat: self.devices[number] for seat, number in seated.items()}

    def _drop_out(self) -> None:
        """Let a share of the devices fall silent, the measured ones last."""
        falling = sorted(self.devices, key=self.measured.__contains__)
        for seat in falling[: round(self.dropout * len(self.devices))]:
            del self.devices[seat]

    def _phase(self, name: str, act: Act, told: Messages) -> Messages:
        said = {}
        for seat, device in self.devices.items():
            with self.client(name) if seat in self.measured else nullcontext():
                said[seat] = act(device, told[seat])
            if seat in self.sampled:
                self.primitives.sample()
            self.tell(1)
        self.said[name] = said
        self.up[name] = self._size(said)
        self.down[name] = self._size(told)
        return said

    def _size(self, messages: Messages) -> float:
        return median(len(messages[seat]) for seat in self.measured & messages.keys())


def figures(played: Round) -> dict[str, Any]:
    """Return what a round cost: seconds by phase, bytes by phase, and the primitives' own cost if sampled."""
    client, server = played.client.medians(), played.server.medians()
    total = sum(client.values())
    found = {
        "degree": played.degree,
        "threshold": played.cohort.terms.graph(len(played.cohort.keys))[1],
        "client_seconds": {**client, "total": total},
        "server_seconds": {**server, "total": sum(server.values())},
        "bytes_up": {**played.up, "total": sum(played.up.values())},
        "bytes_down": {**played.down, "total": sum(played.down.values())},
    }
    return {**found, **_primitives(played.primitives, total)} if played.sampling else found


def _primitives(primitives: Primitives, client: float) -> dict[str, Any]:
    own = primitives.client()
    total = sum(own.values())
    return {
        "primitives_seconds": {**own, "total": total},
        "client_over_primitives": client / total,
        **primitives.masking(),
    }
