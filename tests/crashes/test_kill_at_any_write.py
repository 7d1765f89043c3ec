"""Whatever is killed, and at whichever write: nothing is released, and nothing leaves, without its charge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
from corner import COORDINATOR, OPERATOR, PHONES, Corner, play
from mortal import ASKED, REFUSED, SAID, Fuse, fork

from covey_privacy import wire
from covey_privacy.evidence import Evidence
from covey_privacy.five_phases import messages, ring
from covey_privacy.five_phases.roster import Advert
from covey_sdk import ledger
from covey_server.store import Store

pytestmark = pytest.mark.slow  # Each test is a whole round in processes of its own.

RESTARTS = pytest.mark.parametrize("reboots", [False, True], ids=["the app restarts", "the phone restarts"])
CHUNKS = 8
STEPS = ["p1-base", "p1-gram", "p1-half-step"]

SAMPLE = {
    "the phone's charge is written, not kept": (("after INSERT INTO ledger",), False),
    "the phone's charge is kept, nothing has left": (("INTO ledger", "after COMMIT"), False),
    "as before, and the phone restarts": (("INTO ledger", "after COMMIT"), True),
    "the vector has left": (("INTO ledger", "COMMIT", "COMMIT", "after BEGIN"), True),
    "nothing is charged yet, no share asked for": (("before INSERT INTO charges",), False),
    "the budget's charge is kept, no share asked for": (("INTO charges", "after COMMIT"), False),
    "the shares are kept, none has left": (("INTO charges", "before BEGIN", "after COMMIT"), False),
    "the result is kept, no evidence logged": (("INTO charges", "SET state", "after COMMIT"), True),
    "the result is written and not kept, nothing published": (
        ("before INSERT OR REPLACE INTO releases",),
        False,
    ),
}
"""Points, by texts: each is in a point after that of the text before. And whether the phone restarts."""

ALWAYS = (
    "the phone's charge is kept, nothing has left",
    "the vector has left",
    "the result is kept, no evidence logged",
)
"""Where `make test` kills, too."""


@dataclass
class Crash:
    """A shop that does something, with a fuse."""

    corner: Corner
    fuse: Fuse
    act: Callable[[], None]

    def light(self) -> bool:
        """Begin, until something dies; return whether the coordinator lived."""
        return play(self.fuse, self.act)

    def go_on(self) -> None:
        """Start everything again, ask the same again, then go on."""
        self.corner.boot += self.corner.reboots

        def again() -> None:
            self.corner.replay()
            self.act()

        assert fork(again)[0]


def crashing(town, tmp_path_factory) -> Callable[..., Crash]:
    def crash(at: int, act: Callable[[Corner], None] = Corner.count, *, reboots: bool = False) -> Crash:
        folder = tmp_path_factory.mktemp("shop")
        corner = Corner(folder, town, reboots=reboots)
        fork(lambda: [corner.enrol(phone) for phone in range(PHONES)] and None)
        return Crash(corner, Fuse(folder / "fuse", at), partial(act, corner))

    return crash


@pytest.fixture
def crash(town, tmp_path_factory) -> Callable[..., Crash]:
    return crashing(town, tmp_path_factory)


@pytest.fixture(scope="module")
def points(town, tmp_path_factory) -> list[str]:
    """Every point at which the coordinator or the first phone may die in a round."""
    whole = crashing(town, tmp_path_factory)(0)
    assert whole.light()
    check(whole.corner, files := seen(whole.corner))
    check_sum(files, files.results[-1])
    return whole.fuse.burnt


@dataclass(frozen=True)
class Seen:
    """What stands in the files of a shop, and what its journal says was heard."""

    charged: dict[int, list[str]]
    told: dict[int, list[str]]
    sent: dict[str, list[bytes]]
    budget: list[str]
    results: list[dict]


def seen(corner: Corner) -> Seen:
    charged, told, sent = {}, {}, {}
    for phone in range(PHONES):
        with corner.open(phone) as device:
            charged[phone] = [charge.round_id for charge in device.odometer.charges(device.clock.now())]
            entries = [entry for entry in device.ledger() if entry.kind == ledger.CONTRIBUTION]
        told[phone] = [entry.round_id for entry in entries]
        for entry in entries:
            sent.setdefault(entry.round_id, []).append(entry.vector)
    with closing(Store(corner.folder / COORDINATOR)) as store:
        budget, results = [charge.round_id for charge in store.charges()], store.results(OPERATOR)
    return Seen(charged, told, sent, budget, results)


def check(corner: Corner, files: Seen) -> None:
    """Hold all that left against what is charged."""
    said = list(corner.journal.lines(SAID))
    for line in said:
        if line.phase == "mask":
            assert files.charged[line.phone].count(line.round_id) == 1
            assert files.told[line.phone].count(line.round_id) == 1
    assert files.charged == files.told
    for line in corner.journal.lines(ASKED):
        assert line.phase != "open" or line.round_id in files.budget
    for evidence in told(corner):
        assert evidence.outcome != "released" or evidence.round_id in files.budget
    for result in files.results:
        assert "sum" not in result or result["round_id"] in files.budget
    check_once(said)
    for line in corner.journal.lines(REFUSED):
        assert not line.reply.startswith("StoreError")


def told(corner: Corner) -> list[Evidence]:
    """The evidence of the shop's rounds."""
    return [
        evidence for evidence in corner.town.evidence()
        if evidence.round_id.endswith(f"-{corner.folder.name}")
    ]  # fmt: skip


def check_once(said: list) -> None:
    """No step says two things, no phone goes on after it was started again, no ticket is shown twice."""
    replies = {}
    for line in said:
        step = (line.phone, line.round_id, line.phase)
        assert replies.setdefault(step, line.reply) == line.reply, f"{step} said two things"
    boots = {(line.phone, line.round_id, line.boot) for line in said}
    assert max(Counter((phone, round_id) for phone, round_id, _ in boots).values(), default=1) == 1
    tickets = {
        (wire.decode(Advert, line.reply).round_key, line.round_id)
        for line in said
        if line.phase == "advertise"
    }
    assert len({ticket for ticket, _ in tickets}) == len(tickets)
    for line in said:
        if line.phase == "open":
            owners = [opening.owner for opening in wire.decode(messages.Openings, line.reply).openings]
            assert len(owners) == len(set(owners))


def check_sum(files: Seen, result: dict) -> None:
    length, bits, round_id = result["length"], result["bits"], result["round_id"]
    vectors = [ring.unpack(vector, length, bits) for vector in files.sent[round_id]]
    if len(vectors) == result["survivors"]:
        assert ring.pack(np.sum(vectors, axis=0, dtype=np.uint32), bits).hex() == result["sum"]


def survives(crash: Crash) -> Seen:
    """Kill, look, go on, look again."""
    crash.light()
    before = seen(crash.corner)
    check(crash.corner, before)
    crash.go_on()
    after = seen(crash.corner)
    check(crash.corner, after)
    assert before.budget == after.budget[: len(before.budget)]
    assert all(set(before.charged[phone]) <= set(after.charged[phone]) for phone in range(PHONES))
    shown = {evidence.round_id for evidence in told(crash.corner)}
    assert set(after.budget) <= shown
    assert set(after.budget) <= {result["round_id"] for result in after.results}
    last = after.results[-1]
    assert last["survivors"] == PHONES
    assert "sum" in last
    check_sum(after, last)
    return after


def point(points: list[str], path: tuple[str, ...]) -> int:
    """Return the number of the point that the path leads to, counted from 1."""
    at = -1
    for text in path:
        at = next(i for i in range(at + 1, len(points)) if text in points[i])
    return at + 1


def test_a_round_writes_what_it_is_to_write(points):
    for table in ("items", "ledger", "rounds VALUES", "rounds (id", "charges", "untold", "releases"):
        for side in ("before", "after"):
            assert any(point.startswith(side) and f"INTO {table}" in point for point in points)
    assert len(points) > 90


@pytest.mark.parametrize(
    ("path", "reboots"),
    [
        pytest.param(*point, id=name, marks=() if name in ALWAYS else pytest.mark.slow)
        for name, point in SAMPLE.items()
    ],
)
def test_killed_at_some_writes(crash, points, path, reboots):
    survives(crash(point(points, path), reboots=reboots))


@pytest.mark.slow
@RESTARTS
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_killed_at_any_write(crash, points, chunk, reboots):
    for at in range(chunk + 1, len(points) + 1, CHUNKS):
        survives(crash(at, reboots=reboots))


@pytest.fixture(scope="module")
def training(town, tmp_path_factory) -> list[str]:
    """Every point at which the coordinator or the first phone may die in a training."""
    whole = crashing(town, tmp_path_factory)(0, Corner.train)
    assert whole.light()
    check(whole.corner, files := seen(whole.corner))
    assert [result["query"] for result in files.results] == STEPS
    return whole.fuse.burnt


def survives_training(crash: Crash) -> None:
    """What is begun again is a training of its own; what the killed one was charged is kept."""
    after = survives(crash)
    played = [result["query"] for result in after.results]
    assert played[-3:] == STEPS
    assert played[:-3] == STEPS[: len(played) - 3]


TRAINING_SAMPLE = {
    "the second step is charged": pytest.param(
        ("INTO charges",) * 4 + ("after COMMIT",), marks=pytest.mark.slow
    ),
    "the second step is published": ("INTO releases",) * 4 + ("before UPDATE trainings",),
    "a phone is charged for the third step": pytest.param(
        ("INTO ledger",) * 5 + ("after COMMIT",), marks=pytest.mark.slow
    ),
}


@pytest.mark.parametrize("path", TRAINING_SAMPLE.values(), ids=TRAINING_SAMPLE)
def test_a_training_killed_at_some_writes(crash, training, path):
    survives_training(crash(point(training, path), Corner.train))


@pytest.mark.slow
@RESTARTS
def test_a_training_killed_at_every_31st_write(crash, training, reboots):
    """Its rounds write what a round does that is killed at every write; an odd stride meets both sides."""
    for at in range(1, len(training) + 1, 31):
        survives_training(crash(at, Corner.train, reboots=reboots))
