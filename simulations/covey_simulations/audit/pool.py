"""Runs on every core of the machine."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context

from covey_simulations.audit import plan_runs
from covey_simulations.audit.builds import Build
from covey_simulations.audit.subjects import subject
from covey_simulations.errors import RunError

Case = tuple[str, Build]
"""A subject by its name, and a build of it."""

ONE_THREAD = ("OPENBLAS_NUM_THREADS", "1")
"""A process a core is enough: threads of linear algebra on top wait for one another."""


def bounds(cases: Sequence[Case], runs: int) -> Iterator[tuple[Case, float]]:
    """Yield the lower bound on epsilon of each of `runs` runs of each case, in the order in which they end.

    Raises RunError when a process dies.
    """
    longest_first = sorted(cases, key=lambda case: -case[1].times)
    pool = ProcessPoolExecutor(mp_context=get_context("spawn"), initializer=os.putenv, initargs=ONE_THREAD)
    try:
        futures = {pool.submit(_bound, *case): case for case in longest_first for _ in range(runs)}
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BrokenProcessPool:
        raise RunError("a process that played runs is gone; is there enough memory?") from None
    finally:
        pool.shutdown(cancel_futures=True)


def _bound(name: str, build: Build) -> float:
    return plan_runs.play_plans(subject(name), build, os.urandom)
