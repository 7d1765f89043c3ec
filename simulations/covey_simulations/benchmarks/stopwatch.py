"""A stopwatch: processor seconds of this process, all threads together, by what was done."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median


class Stopwatch:
    """Times by name; each is the list of what the blocks under that name took, in seconds."""

    def __init__(self) -> None:
        self.times: defaultdict[str, list[float]] = defaultdict(list)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Time the block under a name."""
        begin = time.process_time()
        yield
        self.times[name].append(time.process_time() - begin)

    def medians(self) -> dict[str, float]:
        """Return the median of each name's blocks."""
        return {name: median(times) for name, times in self.times.items()}
