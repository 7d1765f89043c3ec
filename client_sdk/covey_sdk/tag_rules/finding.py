"""What one rule finds in a history, before it becomes a tag."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TagEvidence:
    """A fact, and the cut that the rule held it against.

    `window_days` is over how many days up to today the fact was taken, None where it is of all that is known.
    """

    fact: str
    value: float
    cut: float
    window_days: int | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule's conclusion; `score` is 1 where a rule holds or not, and says how far where it has degrees.

    `about` is what a kind of tag with many members is about, such as ":tea:wed" of "habit.weekly".
    """

    kind: str
    value: str
    evidence: tuple[TagEvidence, ...]
    score: float = 1.0
    about: str = ""

    @property
    def id(self) -> str:
        """The tag's name."""
        return self.kind + self.about
