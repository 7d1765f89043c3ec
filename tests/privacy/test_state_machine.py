from dataclasses import dataclass

import pytest

from covey_privacy.errors import MisuseError, PeerError
from covey_privacy.protocol_rules import Rule
from covey_privacy.state_machine import Machine, step


@dataclass(frozen=True)
class Shut:
    key: bytes


@dataclass(frozen=True)
class Ajar:
    pass


class Hatch(Machine):
    def __init__(self) -> None:
        self.state = Shut(b"k")

    @step(Shut, after=Ajar)
    def open(self, before: Shut, key: bytes) -> tuple[Ajar, str]:
        if key != before.key:
            raise PeerError("another key", rule=Rule.STEP_ORDER)
        return Ajar(), "creak"

    @step(Ajar, after=Shut)
    def shut(self, _: Ajar, key: bytes) -> tuple[Shut, str]:
        return Shut(key), "click"


def test_a_step_hands_over_the_state_and_takes_the_next():
    hatch = Hatch()
    assert hatch.open(b"k") == "creak"
    assert hatch.shut(b"new") == "click"
    assert hatch.state == Shut(b"new")


def test_a_missing_row_is_the_error():
    hatch = Hatch()
    with pytest.raises(MisuseError, match="shut follows Ajar; the round is at Shut"):
        hatch.shut(b"k")


def test_a_step_that_raises_leaves_the_state():
    hatch = Hatch()
    with pytest.raises(PeerError):
        hatch.open(b"wrong")
    assert hatch.open(b"k") == "creak"
