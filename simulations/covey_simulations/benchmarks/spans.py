"""Processor seconds of the parts of a program, measured while it runs.

A part that begins inside another one does not count there, so that all parts add up to the whole:

    spans = Spans()
    with timed_calls(spans, [(module, "deal", "dealing")]), spans("rest"):
        module.contribute()
    spans.take()  # {"rest": ..., "dealing": ...}

Reading the clock costs as much as some parts last. What an empty part costs, inside and in the part around
it, is measured at first and taken off.
"""

from __future__ import annotations

import functools
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

TimedCall = tuple[Any, str, str]
"""A module or class, the name of a function in it, and the part that its calls are."""

_CALIBRATION = 2000


class Spans:
    """Seconds by part, of this process and all its threads."""

    def __init__(self) -> None:
        self._begin()
        inside, around = _cost_of_a_span()
        self._inside, self._around = inside, around

    def _begin(self) -> None:
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._calls: Counter[str] = Counter()
        self._children: Counter[str] = Counter()
        self._open: list[str] = []
        self._since = 0.0

    @contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        """Count the block as a part."""
        self.enter(part)
        try:
            yield
        finally:
            self.leave()

    def enter(self, part: str) -> None:
        """Begin a part; the one around it waits."""
        if self._open:
            now = time.process_time()
            self._seconds[self._open[-1]] += now - self._since
            self._children[self._open[-1]] += 1
        self._calls[part] += 1
        self._open.append(part)
        self._since = time.process_time() if len(self._open) == 1 else now

    def leave(self) -> None:
        """End the part that began last."""
        now = time.process_time()
        self._seconds[self._open.pop()] += now - self._since
        self._since = now

    def wrap(self, part: str, function: Callable[P, R]) -> Callable[P, R]:
        """Return the function so that each of its calls counts as a part."""

        @functools.wraps(function)
        def timed(*args: P.args, **kwargs: P.kwargs) -> R:
            self.enter(part)
            try:
                return function(*args, **kwargs)
            finally:
                self.leave()

        return timed

    def take(self) -> dict[str, float]:
        """Return the seconds of each part since the last call, without what measuring them cost."""
        found = {
            part: max(0.0, seconds - self._calls[part] * self._inside - self._children[part] * self._around)
            for part, seconds in self._seconds.items()
        }
        self._begin()
        return found


@contextmanager
def timed_calls(spans: Spans, calls: Iterable[TimedCall]) -> Iterator[None]:
    """Count calls of these functions as parts, during the block."""
    with ExitStack() as stack:
        for owner, name, part in calls:
            function = getattr(owner, name)
            setattr(owner, name, spans.wrap(part, function))
            stack.callback(setattr, owner, name, function)
        yield


@functools.cache
def _cost_of_a_span() -> tuple[float, float]:
    """Return the seconds that an empty timed call adds to its part, and to the part around it."""
    spans = Spans.__new__(Spans)
    spans._begin()
    empty = spans.wrap("inside", lambda: None)
    spans.enter("around")
    for _ in range(_CALIBRATION):
        empty()
    spans.leave()
    return spans._seconds["inside"] / _CALIBRATION, spans._seconds["around"] / _CALIBRATION
