"""One idiom for both state machines: a step names the state that it follows."""

from __future__ import annotations

from typing import TypeVar

from covey_privacy.errors import MisuseError

S = TypeVar("S")


def expect(state: object, cls: type[S]) -> S:
    """Return `state` as a `cls`. Raises MisuseError when the machine is elsewhere."""
    if not isinstance(state, cls):
        raise MisuseError(f"this step follows {cls.__name__}; the round is at {type(state).__name__}")
    return state
