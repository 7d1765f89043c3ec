"""The frozen rounds: the code still says the same bytes, and refuses what was altered."""

import json
from pathlib import Path

import pytest

from covey_privacy import vectors

pytestmark = pytest.mark.slow  # The five-phase protocol is about to be replaced.

FOLDER = Path(__file__).parents[1] / "vectors"


def test_the_code_says_the_frozen_bytes():
    assert vectors.main([str(FOLDER)]) == 0


@pytest.mark.parametrize("name", vectors.ROUNDS)
def test_every_altered_message_is_refused(name):
    vector = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    assert len(vector["refused"]) == 3 * len(vectors.STEPS)
    assert [each for each in vector["refused"] if each["error"] not in ("PeerError", "ServerError")] == []


@pytest.mark.parametrize("name", vectors.ROUNDS)
def test_the_sum_is_that_of_the_survivors(name):
    vector = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    survivors = [place for place, *_ in vector["played"]["open"]]
    assert vector["played"]["sum"] == [sum(place + 1 for place in survivors)] * vectors.LENGTH


@pytest.mark.parametrize("step", ["adverts", *vectors.STEPS])
def test_another_byte_in_a_vector_is_found(tmp_path, capsys, step):
    for name in vectors.ROUNDS:
        vector = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
        messages = vector["played"][step] if step == "adverts" else vector["played"][step][0]
        messages[-1] = messages[-1][:-1] + ("0" if messages[-1][-1] != "0" else "1")
        (tmp_path / f"{name}.json").write_text(json.dumps(vector), "utf-8")
    assert vectors.main([str(tmp_path)]) == 1
    assert "all-stay: the code says other bytes" in capsys.readouterr().err
