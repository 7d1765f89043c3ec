"""Blame: who broke which rule towards the coordinator. What they sent is left out, and the round goes on.

Only adverts and agreements are signed. Of any other message, blame names the device in whose name it came:
whoever carries messages is to see to it that nobody speaks for another's devices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from covey_privacy.errors import PeerError
from covey_privacy.rules import Rule

T = TypeVar("T")
R = TypeVar("R")

Who = int | bytes | str | None
"""A place in the roster, a round key before there is one, a node by its name; None where nobody was named."""


@dataclass(frozen=True, slots=True)
class Blame:
    """Whose message was left out, and the rule that it broke."""

    who: Who
    rule: Rule


class Blames:
    """Who is to blame in a round, in the order in which it was found, each for a rule once."""

    def __init__(self) -> None:
        self._found: dict[Blame, None] = {}

    @property
    def all(self) -> tuple[Blame, ...]:
        """All blame so far."""
        return tuple(self._found)

    def add(self, who: Who, rule: Rule) -> None:
        """Remember that `who` broke a rule."""
        self._found[Blame(who, rule)] = None

    def sift(
        self, given: Iterable[T], check: Callable[[T], R], who: Callable[[T], Who] = lambda _: None
    ) -> list[R]:
        """Return what `check` makes of each; those of which it raises PeerError are blamed and left out."""
        kept = []
        for each in given:
            try:
                kept.append(check(each))
            except PeerError as error:
                self.add(who(each), error.rule)
        return kept

    def single(self, said: Iterable[T], who: Callable[[T], Who], rule: Rule = Rule.ONE_MESSAGE) -> list[T]:
        """Return one message of each sender, none of those who said two things; a repetition is no second."""
        first: dict[Who, T] = {}
        torn = {who(each) for each in said if first.setdefault(who(each), each) != each}
        for sender in torn:
            self.add(sender, rule)
        return [message for sender, message in first.items() if sender not in torn]
