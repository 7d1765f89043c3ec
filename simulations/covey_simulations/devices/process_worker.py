"""A worker process: the phones of some households behind a Unix socket, as a gateway has them behind HTTP.

    python -m covey_simulations.devices.process_worker FOLDER SHARD SHARDS

It answers one request at a time: CBOR `[what, argument]` in, CBOR `[error or None, answer]` out.
"""

from __future__ import annotations

import gc
import resource
import sys
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection, Listener
from pathlib import Path
from typing import Any

import cbor2

from covey_privacy.errors import PrivacyError
from covey_sdk.errors import CoveyError
from covey_simulations.devices import device_inspection, household
from covey_simulations.devices.flower_fleet import PhonesBehindNode
from covey_simulations.devices.phone import Phones
from covey_simulations.errors import SimulationError
from covey_simulations.scenarios.shared_settings import SharedSettings

Answer = Callable[[Any], Any]

NEW_OBJECTS = 50_000
"""How many new objects bring the garbage collector: phones stay, and it would walk over them without end."""


def worker_address(folder: Path, shard: int) -> str:
    """Return the socket of a worker."""
    return str(folder / f"worker-{shard}.sock")


def serve_phones(folder: Path, shard: int, shards: int) -> None:
    """Answer until the process is ended."""
    gc.set_threshold(NEW_OBJECTS)
    world = SharedSettings.load(folder)
    phones = Phones(world, world.households[shard::shards])
    answers = _answers(phones, PhonesBehindNode(phones, shard))
    with Listener(worker_address(folder, shard), "AF_UNIX") as listener:
        while True:
            with listener.accept() as connection:
                _answer(connection, answers)


def _answers(phones: Phones, behind: PhonesBehindNode) -> Mapping[str, Answer]:
    node = behind.node()
    return {
        "exchange": lambda argument: node.handle(*argument),
        "enrol": lambda households: household.enrol(phones, households),
        "record": lambda households: household.record(phones, households),
        "fetch": lambda households: household.fetch(phones, households),
        "withdraw analytics": lambda households: household.withdraw(phones, households, "analytics"),
        "withdraw train": lambda households: household.withdraw(phones, households, "train"),
        "withdraw personalize": lambda households: household.withdraw(phones, households, "personalize"),
        "certify": lambda households: household.certify(phones, households),
        "taste": lambda households: device_inspection.taste_facts(phones, households),
        "adopt": lambda households: household.adopt(phones, households),
        "rank": lambda households: device_inspection.rank_items(phones, households),
        "reasons": lambda households: device_inspection.explain_ranking(phones, households),
        "sums": lambda argument: device_inspection.contribution_sums(phones, argument),
        "look": lambda households: device_inspection.inspect_device(phones, households),
        "refusals": lambda _: dict(behind.refusals),
        "memory": lambda _: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _answer(connection: Connection, answers: Mapping[str, Answer]) -> None:
    what, argument = cbor2.loads(connection.recv_bytes())
    try:
        reply = [None, answers[what](argument)]
    except (CoveyError, PrivacyError, SimulationError) as error:
        reply = [str(error), None]
    connection.send_bytes(cbor2.dumps(reply))


if __name__ == "__main__":
    serve_phones(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
