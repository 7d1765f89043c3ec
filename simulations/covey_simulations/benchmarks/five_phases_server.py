"""The server's part of a round under measurement: the coordinator's steps, and what its nodes do for it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from covey_privacy.five_phases import Aggregator, Sum, graph, masks
from covey_privacy.five_phases.aggregator import Total
from covey_privacy.five_phases.node import Directory
from covey_privacy.five_phases.roster import Roster
from covey_simulations.benchmarks.five_phases_cohort import Cohort
from covey_simulations.benchmarks.stopwatch import Stopwatch

Messages = Mapping[int, bytes]


class Server:
    """One round, every step of which `watch` times. What an earlier round left at hand is forgotten."""

    def __init__(self, cohort: Cohort, watch: Stopwatch) -> None:
        self._cohort, self._watch = cohort, watch
        self._aggregator = Aggregator(cohort.terms)
        for remembered in (graph.ring, graph.neighbours, masks.public_key):
            remembered.cache_clear()

    def freeze(self, adverts: Messages) -> Roster:
        """Freeze the roster of these adverts."""
        with self._watch("freeze"):
            return self._aggregator.freeze(adverts.values())

    def draw(self, roster: Roster) -> Directory:
        """Have the roster countersigned, and draw the graph by it."""
        signature = roster.head().countersign(self._cohort.registry)
        with self._watch("graph"):
            return self._aggregator.countersigned(signature)

    def show(self, directory: Directory, devices: Collection[int]) -> Messages:
        """Show each device its part of the roster."""
        with self._watch("views"):
            return {device: directory.view(device) for device in devices}

    def deliver(self, parcels: Messages) -> Messages:
        """Sort the parcels."""
        with self._watch("deliver"):
            return self._aggregator.deliver(parcels.values())

    def add(self, masked: Messages) -> bytes:
        """Add the masked vectors up; return the survivor set."""
        manifest = self._cohort.terms.manifest
        with self._watch("add"):
            total = Sum(len(self._cohort.keys), manifest.length, manifest.bits)
            for message in masked.values():
                total.add(message)
            return self._aggregator.survive([total.message()])

    def gather(self, agreed: Messages) -> Messages:
        """Hand everyone its neighbours' signatures."""
        with self._watch("gather"):
            return self._aggregator.gather(agreed.values())

    def unmask(self, opened: Messages) -> Total:
        """Take the masks away."""
        with self._watch("unmask"):
            return self._aggregator.total(opened.values())
