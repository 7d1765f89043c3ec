"""Bounds: how large a field of a message may be, and the types that most fields have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar


@dataclass(frozen=True, slots=True)
class Size:
    """Length bounds of bytes, text (in characters) or a tuple; one argument means exactly that.

    The length is a multiple of `step`, where one is given.
    """

    least: int
    most: int | None = None
    step: int = 1
    measured: ClassVar[tuple[type, ...]] = (bytes, str, list)

    def admits(self, value: Any) -> bool:
        """Say whether the value's length is in bounds."""
        length, most = len(value), self.least if self.most is None else self.most
        return self.least <= length <= most and length % self.step == 0

    def describe(self, value: Any) -> str:
        """Say what is wrong with a value that is not admitted."""
        steps = f" in steps of {self.step}" if self.step > 1 else ""
        return f"its length is {len(value)}, and {self.least}..{self.most or self.least}{steps} is allowed"


@dataclass(frozen=True, slots=True)
class Range:
    """Inclusive bounds of a number."""

    least: float
    most: float
    measured: ClassVar[tuple[type, ...]] = (int, float)

    def admits(self, value: Any) -> bool:
        """Say whether the number is in bounds; NaN is not."""
        return bool(self.least <= value <= self.most)

    def describe(self, value: Any) -> str:
        """Say what is wrong with a number that is not admitted."""
        return f"it is {value}, and {self.least}..{self.most} is allowed"


@dataclass(frozen=True, slots=True)
class Records:
    """How many values a tuple may hold; all are of one size and travel as one byte string (`records`)."""

    least: int
    most: int


U32 = Annotated[int, Range(0, 2**32 - 1)]
U64 = Annotated[int, Range(0, 2**64 - 1)]
Bytes32 = Annotated[bytes, Size(32)]
Signature = Annotated[bytes, Size(64)]
Name = Annotated[str, Size(1, 64)]
Names = Annotated[tuple[Name, ...], Size(0, 64)]
Text = Annotated[str, Size(0, 4096)]
