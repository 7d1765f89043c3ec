"""The parties of a round under measurement: which of their functions count as which part of their work.

Each party has its own stopwatch. What is measured is the code that runs in production: its functions are
wrapped while a party acts, and what no wrapper covers is the part `rest`.
"""

from __future__ import annotations

import cProfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from statistics import median
from typing import Any

from covey_privacy import wire
from covey_privacy.secagg import aggregator, collector, contributor, notary, pads
from covey_privacy.secagg.aggregator import Aggregator
from covey_privacy.secagg.collector import Collector
from covey_privacy.secagg.decryptor import Decryptor
from covey_privacy.secagg.keys import verify
from covey_privacy.secagg.leaves import LeafSet
from covey_privacy.secagg.log_entries import LogView
from covey_privacy.signatures import SigningKey, Verify
from covey_simulations.benchmarks.hotspots import hottest
from covey_simulations.benchmarks.spans import Spans, TimedCall, timed_calls

REST = "rest"
TICKETS, SIGNATURES, HASHING = "tickets", "signatures", "hashing"
CHECKS = (TICKETS, SIGNATURES, HASHING)
"""What a coordinator does to check tickets and signatures; it is kept out of its total."""

PHONE: Sequence[TimedCall] = (
    (contributor, "check_committees", "committee"),
    (contributor, "exchange_key", "dealing"),
    (contributor, "deal", "dealing"),
    (contributor, "challenge", "proof"),
    (contributor, "prove", "proof"),
    (contributor, "proofs_digest", HASHING),
    (contributor, "body_digests", HASHING),
    (pads, "pad", "pad"),
    (pads, "errors", "errors"),
    (pads, "pack", "packing"),
    (SigningKey, "__init__", "signing"),
    (SigningKey, "sign", "signing"),
    (wire, "encode", "framing"),
)
COORDINATOR: Sequence[TimedCall] = (
    (aggregator, "check_committees", HASHING),
    (collector, "check_committees", HASHING),
    (collector, "leaf_of", HASHING),
    (collector, "check_entry", HASHING),
    (aggregator, "open_head", HASHING),
    (aggregator, "check_complaints", HASHING),
    (collector, "read", "reading"),
    (wire, "decode", "reading"),
    (collector, "require_elements", "reading"),
    (pads.VectorSum, "add", "adding"),
    (Aggregator, "close", "include request"),
    (LeafSet, "__init__", "tree"),
    (aggregator, "claims", "claims"),
    (Collector, "collected", "boxes"),
    (Aggregator, "collect", "boxes"),
    (Aggregator, "_sort_dealings", "boxes"),
    (Aggregator, "check_request", "check requests"),
    (aggregator, "open_secrets", "decoding"),
    (pads, "pad", "pad"),
)
REGISTRY: Sequence[TimedCall] = (
    (notary, "check_committees", "committee"),
    (notary, "require_box_key", "committee"),
    (notary, "require_round_key", "round keys"),
    (notary, "check_entry", HASHING),
    (LeafSet, "__init__", "tree"),
    (wire, "decode", "reading"),
)
DECRYPTOR: Sequence[TimedCall] = (
    (Decryptor, "_keys", "keys"),
    (Decryptor, "_shares", "shares"),
    (LeafSet, "__init__", "tree"),
    (LogView, "require_logged", "log"),
    (wire, "decode", "reading"),
)


Sample = Mapping[str, float]
"""Seconds by part: of one phone, of one decryptor, of one pass of the coordinator."""


class Party:
    """One role under measurement. Its `verify` counts as checking tickets (RSA) or signatures."""

    def __init__(self, calls: Sequence[TimedCall], *, profile: bool = False) -> None:
        """Args: profile: collect hot spots instead of parts."""
        self._calls = () if profile else tuple(calls)
        self._profile = cProfile.Profile() if profile else None
        self.spans = Spans()
        self.samples: list[Sample] = []
        self.verify: Verify = verify if profile else self._timed_verify()

    def _timed_verify(self) -> Verify:
        tickets, signatures = (self.spans.wrap(part, verify) for part in (TICKETS, SIGNATURES))
        return lambda key, message, signature: (
            signatures(key, message, signature) if len(key) == 32 else tickets(key, message, signature)
        )

    @contextmanager
    def acting(self) -> Iterator[None]:
        """Measure the block as this party's work; it belongs to the sample that `end_sample` ends."""
        with timed_calls(self.spans, self._calls), self._profile or nullcontext(), self.spans(REST):
            yield

    def end_sample(self) -> None:
        """End a sample."""
        self.samples.append(self.spans.take())

    def hotspots(self) -> list[dict[str, Any]]:
        """Return where the time went, if this was asked for."""
        return hottest(self._profile) if self._profile and self.samples else []


def medians(samples: Sequence[Sample]) -> dict[str, float]:
    """Return the median of each part, in the order in which parts first came."""
    parts = dict.fromkeys(part for sample in samples for part in sample)
    return {part: median(sample.get(part, 0.0) for sample in samples) for part in parts}


def added(first: Sample, second: Sample) -> Sample:
    """Return two samples as one."""
    parts = dict.fromkeys((*first, *second))
    return {part: first.get(part, 0.0) + second.get(part, 0.0) for part in parts}


def with_total(sample: Sample) -> dict[str, float]:
    """Return the parts, `rest` behind the others and their total last; spaces in names become underscores."""
    parts = {part.replace(" ", "_"): seconds for part, seconds in sample.items() if part != REST}
    if REST in sample:
        parts[REST] = sample[REST]
    return {**parts, "total": sum(parts.values())}


def forget(*modules: Any) -> None:
    """Empty the caches of these modules, as in a process that has just begun."""
    for module in modules:
        for value in vars(module).values():
            clear: Callable[[], None] | None = getattr(value, "cache_clear", None)
            if clear is not None:
                clear()
