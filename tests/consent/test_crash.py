"""What the registry acknowledged outlives its being killed under load."""

import asyncio
import json
import time

import pytest

from covey_consent.errors import DamageError, RequestError
from covey_consent.storage import schema
from covey_consent.storage.database import connect
from covey_consent.storage.store import Store
from covey_simulations.commands import crash as command
from covey_simulations.drills.crash import _halves, _lost
from covey_simulations.drills.deciding_phones import PURPOSES, Acknowledged

FIRST, SECOND = Acknowledged(b"a", 1, acknowledged=True), Acknowledged(b"a", 2)
STANDING = {(b"a", purpose, 1) for purpose in PURPOSES}
EARLIER, LATER = (b"a", PURPOSES[0], 1), (b"a", PURPOSES[0], 2)


@pytest.mark.slow
@pytest.mark.compliance("GDPR 32", "killed under load, no acknowledged decision is lost")
def test_no_acknowledged_decision_is_lost_when_the_registry_is_killed(new_url, capsys):
    assert command.crash(new_url, 2, as_json=True) == 0
    crashes = json.loads(capsys.readouterr().out)["crashes"]
    assert len(crashes) == 2
    assert all(each["acknowledged"] and each["unanswered"] for each in crashes)
    assert sum(each["lost"] + each["halves"] for each in crashes) == 0
    emptied = connect(new_url)
    assert schema.revision(emptied.readers) is None
    emptied.close()


def test_a_missing_decision_is_found_where_it_was_acknowledged():
    assert _lost([FIRST, SECOND], FIRST.events) == 0
    assert _lost([FIRST, SECOND], FIRST.events - {EARLIER}) == 1


@pytest.mark.parametrize(
    ("events", "standing", "halves"),
    [
        (FIRST.events, STANDING, 0),
        (FIRST.events | SECOND.events, STANDING, 6),
        (FIRST.events | {LATER}, STANDING - {EARLIER} | {LATER}, 1),
        (FIRST.events, STANDING - {EARLIER}, 1),
        (set(), {EARLIER}, 1),
    ],
)
def test_what_is_there_by_half_is_found(events, standing, halves):
    assert _halves([FIRST, SECOND], events, standing) == halves


def test_the_drill_takes_an_empty_database(database_url):
    asyncio.run(Store.open(database_url).close())
    with pytest.raises(RequestError, match="empty one"):
        command.crash(database_url, 1)


@pytest.mark.parametrize("rounds", [0, 1001])
def test_the_rounds_are_bounded(rounds):
    with pytest.raises(RequestError, match="1 to 1000"):
        command.crash(None, rounds)


def test_a_registry_that_does_not_start_is_one_line(tmp_path):
    start = time.monotonic()
    with pytest.raises(DamageError, match="did not start"):
        command.Drill("mysql://nowhere", tmp_path, time.time, lambda length: bytes(length))
    assert time.monotonic() - start < 60
