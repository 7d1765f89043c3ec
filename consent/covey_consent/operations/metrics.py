"""Metrics for Prometheus: sums over everyone, never a person, device or address."""

from __future__ import annotations

from collections.abc import Sized
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.registry import Collector

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The metrics of one registry."""

    def __init__(self, log: Sized) -> None:
        self._all = CollectorRegistry()
        labels = ("method", "route", "status")
        self._seconds = Histogram(
            "covey_registry_request_seconds",
            "Time to answer, by the route's template and the answer's status",
            labels,
            buckets=SECONDS,
            registry=self._all,
        )
        self._answers = cache(self._seconds.labels)
        decisions = Counter(
            "covey_registry_decisions", "Decisions taken", ("purpose", "state"), registry=self._all
        )
        self._decided = cache(decisions.labels)
        Gauge("covey_registry_log_entries", "Size of the newest checkpoint", registry=self._all).set_function(
            lambda: len(log)
        )
        self._overdue = Gauge(
            "covey_registry_overdue",
            "What is open past its time: people's requests, breaches untold to the authority; NaN is unknown",
            ("what",),
            registry=self._all,
        )

        self._letters = Gauge(
            "covey_registry_letters",
            "Letters to recipients that wait, or were given up (dead); NaN is unknown",
            ("state",),
            registry=self._all,
        )
        self._oldest = Gauge(
            "covey_registry_oldest_letter_seconds",
            "Age of the oldest letter that waits for an active recipient; NaN is unknown",
            registry=self._all,
        )

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answer."""
        self._answers(method, route, status).observe(seconds)

    def decided(self, purpose: str, state: str) -> None:
        """Count a decision that was taken. Both are the registry's own words, never a sender's."""
        self._decided(purpose, state).inc()

    def add(self, *collectors: Collector) -> None:
        """Show what these collect as well."""
        for collector in collectors:
            self._all.register(collector)

    def undelivered(self, waiting: float, dead: float, oldest_seconds: float) -> None:
        """Say how many letters to recipients wait or were given up, and how old the oldest that waits is."""
        self._letters.labels("waiting").set(waiting)
        self._letters.labels("dead").set(dead)
        self._oldest.set(oldest_seconds)

    def overdue(self, requests: float, breaches: float) -> None:
        """Say how many people's requests, and breaches, are open past their time."""
        self._overdue.labels("requests").set(requests)
        self._overdue.labels("breaches").set(breaches)

    def text(self) -> bytes:
        """Return everything in Prometheus's text format."""
        return generate_latest(self._all)
