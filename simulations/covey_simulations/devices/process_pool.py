"""A pool of processes that hold the simulated phones, and the Flower fleet that speaks to one of them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from multiprocessing.connection import Client
from pathlib import Path
from typing import Any

import cbor2
from flwr.app import Context

from covey_simulations.devices.process_worker import worker_address
from covey_simulations.errors import WorkerError
from covey_simulations.scenarios.shared_settings import SharedSettings

DEADLINE_SECONDS = 60
CHUNK = 20
"""Households in one request: enough to be quick, few enough to show progress."""


@contextmanager
def connect_worker(context: Context) -> Iterator[Worker]:
    """Yield the fleet of a Flower node whose phones a worker holds."""
    yield Worker(str(context.node_config["address"]))


class Worker:
    """One worker, by its socket."""

    def __init__(self, address: str) -> None:
        self.address = address

    def ask(self, what: str, argument: Any = None) -> Any:
        """Return the worker's answer. Raises WorkerError with its words when it has none."""
        try:
            with Client(self.address, "AF_UNIX") as connection:
                connection.send_bytes(cbor2.dumps([what, argument]))
                error, answer = cbor2.loads(connection.recv_bytes())
        except (OSError, EOFError) as gone:
            raise WorkerError(f"a process that plays phones is gone ({gone or 'no answer'})") from None
        if error is not None:
            raise WorkerError(error)
        return answer

    def handle(self, exchange: str, body: bytes) -> bytes:
        """Answer an exchange, as a fleet does."""
        answer: bytes = self.ask("exchange", [exchange, body])
        return answer


class ProcessPool:
    """The workers of a world; each holds every n-th household."""

    def __init__(self, world: SharedSettings, workers: Sequence[Worker]) -> None:
        self._world = world
        self.workers = workers

    def each(self, what: str, households: Sequence[int], done: Callable[[int], None]) -> list[Any]:
        """Return what the workers answer for all these households, asked chunk by chunk.

        Lists are joined; `done(n)` hears of the progress.
        """
        chosen = set(households)
        answers: list[Any] = []

        def work(shard: int, worker: Worker) -> None:
            mine = [h for h in self._world.households[shard :: len(self.workers)] if h in chosen]
            for start in range(0, len(mine), CHUNK):
                chunk = mine[start : start + CHUNK]
                answer = worker.ask(what, chunk)
                answers.extend(answer if isinstance(answer, list) else [answer])
                done(len(chunk))

        with ThreadPoolExecutor(len(self.workers)) as threads:
            for finished in as_completed(threads.submit(work, *pair) for pair in enumerate(self.workers)):
                finished.result()
        return answers

    def all(self, what: str, argument: Any = None) -> list[Any]:
        """Ask every worker the same, all at once."""
        with ThreadPoolExecutor(len(self.workers)) as threads:
            return list(threads.map(lambda worker: worker.ask(what, argument), self.workers))


@contextmanager
def start_pool(world: SharedSettings, processes: int) -> Iterator[ProcessPool]:
    """Yield the pool of a world whose file is saved; stop its processes afterwards."""
    commands = [_command(world.folder, shard, processes) for shard in range(processes)]
    # Every core has its worker: threads of the linear algebra would only take turns with them.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    # Our own module; in sessions of their own, so that Ctrl-C reaches this process, which then ends them.
    running = [
        subprocess.Popen(command, start_new_session=True, env=environment)  # noqa: S603
        for command in commands
    ]
    try:
        workers = [Worker(worker_address(world.folder, shard)) for shard in range(processes)]
        for process, worker in zip(running, workers, strict=True):
            _wait(process, worker)
        yield ProcessPool(world, workers)
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait()


def _command(folder: Path, shard: int, shards: int) -> list[str]:
    return [
        sys.executable,
        "-m",
        "covey_simulations.devices.process_worker",
        str(folder),
        str(shard),
        str(shards),
    ]


def _wait(process: subprocess.Popen[bytes], worker: Worker) -> None:
    end = time.monotonic() + DEADLINE_SECONDS
    while process.poll() is None and time.monotonic() < end:
        if Path(worker.address).exists():
            return
        time.sleep(0.02)
    raise WorkerError("a process that plays phones did not start; its error stands above")
