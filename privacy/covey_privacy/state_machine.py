"""State machines: a table of transitions, and nothing else moves a state.

    class Contributor(Machine):
        @step(Ready, after=Sent)
        def contribute(self, before: Ready, vector: Elements) -> tuple[Sent, bytes]: ...

`contributor.contribute(vector)` hands the state to the method, takes the new one from it and returns what it
says. A step for which the table has no row raises MisuseError, and a step that raises leaves the state as it
was.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ClassVar, Concatenate, ParamSpec, TypeVar

from covey_privacy.errors import MisuseError
from covey_privacy.protocol_rules import Rule

M = TypeVar("M", bound="Machine")
A = TypeVar("A")
R = TypeVar("R")
P = ParamSpec("P")

Rows = dict[tuple[type, str], type]
Transition = Callable[Concatenate[M, Any, P], tuple[A, R]]
"""A method that takes the state before, and returns the state after with what it says."""


class Machine:
    """What is in some state; subclasses say what leads from one state to the next."""

    TABLE: ClassVar[Rows] = {}
    """The state that follows, by the state before and the step's name."""

    state: Any

    def __init_subclass__(cls) -> None:
        cls.TABLE = {row: after for name in vars(cls) for row, after in _rows(getattr(cls, name)).items()}


def step(*before: type, after: type[A]) -> Callable[[Transition[M, P, A, R]], Callable[Concatenate[M, P], R]]:
    """Make a method the row of the table that leads from each state in `before` to `after`."""

    def mark(method: Transition[M, P, A, R]) -> Callable[Concatenate[M, P], R]:
        name = method.__name__

        @functools.wraps(method)
        def play(self: M, /, *args: P.args, **kwargs: P.kwargs) -> R:
            if (type(self.state), name) not in self.TABLE:
                needed = " or ".join(each.__name__ for each in before)
                raise MisuseError(
                    f"{name} follows {needed}; the round is at {type(self.state).__name__}",
                    rule=Rule.STEP_ORDER,
                )
            self.state, said = method(self, self.state, *args, **kwargs)
            return said

        play.rows = {(each, name): after for each in before}  # type: ignore[attr-defined]
        return play

    return mark


def _rows(member: Any) -> Rows:
    rows: Rows = getattr(member, "rows", {})
    return rows
