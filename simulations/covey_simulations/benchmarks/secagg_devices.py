"""A process that holds devices of a whole round: phones that contribute, and decryptors.

The process that holds coordinator and registry sends it an `Assignment` and then requests; requests and
answers are the protocol's bytes. Each device checks everything itself: nothing is remembered between them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from covey_privacy.secagg.committee import check_committees
from covey_privacy.secagg.contributor import Accepted, Contributor
from covey_privacy.secagg.decryptor import Decryptor
from covey_privacy.secagg.field import Elements
from covey_privacy.secagg.keys import verify
from covey_privacy.secagg.log_entries import LogView
from covey_privacy.secagg.terms import DecryptorId, RoundInfo
from covey_privacy.tickets import RoundKey
from covey_simulations.benchmarks.secagg_parties import DECRYPTOR, PHONE, Party, with_total
from covey_simulations.benchmarks.secagg_plan import RoundPlan
from covey_simulations.errors import WorkerError
from covey_simulations.scenarios.in_process_round import NOW

READY, CONTRIBUTE, CHECK, OPEN, FINISH, FAILED = "ready", "contribute", "check", "open", "finish", "failed"
JOIN_SECONDS = 5
"""How long a process is waited for before it is ended."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """The devices of one process: `keys` are its phones' by number, `seats` its decryptors' states."""

    plan: RoundPlan
    info: RoundInfo
    accepted: Accepted
    log: LogView
    file: bytes
    keys: dict[int, RoundKey]
    seats: dict[DecryptorId, bytes]


@dataclass(frozen=True, slots=True)
class Account:
    """What a process says at last: its phones' sum, and processor seconds by party and part."""

    plain: Elements
    seconds: dict[str, dict[str, float]]


class Devices:
    """The devices of one process."""

    def __init__(self, assignment: Assignment) -> None:
        self._assigned = assignment
        self._phones, self._decryptors = Party(PHONE), Party(DECRYPTOR)
        self._seated: dict[DecryptorId, Decryptor] = {}
        self._plain = np.zeros(assignment.plan.setting.length, np.int64)

    def contribute(self) -> Iterator[bytes]:
        """Yield the one message of each phone."""
        assigned, plan = self._assigned, self._assigned.plan
        for number, key in assigned.keys.items():
            answer = plan.vector(number)
            with self._phones.acting():
                with self._phones.spans("encoding"):
                    vector = plan.encoding.encode(answer)
                with self._phones.spans("noise"):
                    vector += plan.noise.sample(plan.encoding.padded)
                phone = Contributor(assigned.info, assigned.accepted, key, verify=verify)
                message = phone.contribute(assigned.file, vector)
            self._plain += vector
            yield message

    def check(self, seat: DecryptorId, request: bytes) -> bytes:
        """Return a decryptor's complaints; it checks the committee file first."""
        assigned = self._assigned
        with self._decryptors.acting():
            with self._decryptors.spans("committee"):
                committees = check_committees(assigned.file, assigned.info, verify)
            state = Decryptor.load(assigned.seats[seat])
            decryptor = Decryptor(assigned.info, committees, state, assigned.log, verify=verify)
            complaints = decryptor.check(request, NOW)
        self._seated[seat] = decryptor
        return complaints

    def open(self, seat: DecryptorId, request: bytes) -> bytes:
        """Return a decryptor's sum."""
        with self._decryptors.acting(), self._decryptors.spans("opening"):
            return self._seated.pop(seat).open(request, NOW)

    def account(self) -> Account:
        """Return what the devices did."""
        parties = {"phones": self._phones, "decryptors": self._decryptors}
        return Account(self._plain, {name: with_total(party.spans.take()) for name, party in parties.items()})


def serve(connection: Connection) -> None:
    """Hold devices until `FINISH` comes, or the other side is gone. What fails is said to it."""
    try:
        _serve(connection)
    except (EOFError, OSError):
        return
    except Exception as error:  # noqa: BLE001  # whatever it is, the other process is waiting for an answer
        connection.send((FAILED, f"{type(error).__name__}: {error}"))


def _serve(connection: Connection) -> None:
    connection.send(READY)
    devices = Devices(connection.recv())
    while True:
        what, *arguments = connection.recv()
        if what == CONTRIBUTE:
            for message in devices.contribute():
                connection.send(message)
        elif what == FINISH:
            connection.send(devices.account())
            return
        else:
            connection.send({CHECK: devices.check, OPEN: devices.open}[what](*arguments))


@dataclass
class DeviceProcess:
    """A process of devices: the number of its phones, and the seats of its decryptors."""

    connection: Connection
    phones: int = 0
    seats: list[DecryptorId] = field(default_factory=list)

    def receive(self) -> Any:
        """Return what the process says. Raises WorkerError where it failed or is gone."""
        try:
            said = self.connection.recv()
        except (EOFError, OSError):
            raise WorkerError("a process that holds devices is gone") from None
        if isinstance(said, tuple) and said[0] == FAILED:
            raise WorkerError(f"a process that holds devices failed: {said[1]}")
        return said


@contextmanager
def device_process() -> Iterator[DeviceProcess]:
    """Run a process of devices, and end it with the block."""
    ours, theirs = get_context("spawn").Pipe()
    process = get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
    process.start()
    theirs.close()
    try:
        yield DeviceProcess(ours)
    finally:
        ours.close()
        process.join(JOIN_SECONDS)
        process.terminate()
