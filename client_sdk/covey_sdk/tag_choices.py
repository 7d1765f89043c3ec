"""The person's choices about single tags: those that are blocked, and those that the person corrected.

- A blocked tag is not computed and not shown, stands in no fact, and feeds no other tag. The id of a kind
  with many members, such as `habit.weekly`, blocks all of them. Blocks outlast withdrawals and new rules.
- A correction replaces the value that the rules give, for as long as they give one. It is shown on the phone
  alone: facts, and with them queries, treat a corrected tag as unknown, and it feeds no other tag. It is
  deleted when the purpose of its tag is withdrawn or the tag is blocked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated

from covey_privacy import wire
from covey_sdk import event_checks, ledger
from covey_sdk.errors import EventError
from covey_sdk.ledger import LedgerEntry
from covey_sdk.rule_bundle import plain
from covey_sdk.store import Store
from covey_sdk.stored_value import StoredValue
from covey_sdk.tag_rules.registry import MEMBERS, TAGS, kind_of
from covey_sdk.tag_rules.timing import WEEKDAYS
from covey_sdk.translations import translate

MOST = 1000
"""The most tags that are blocked, and the most that are corrected."""

_NAME = "tag_choices"
_TagId = Annotated[str, wire.Size(1, 256)]


@dataclass(frozen=True, slots=True)
class Correction:
    """The value that the person gave to a tag, at UTC milliseconds."""

    tag_id: _TagId
    value: Annotated[str, wire.Size(1, event_checks.MOST_CHARACTERS)]
    at: wire.U64


@dataclass(frozen=True)
class Choices:
    """What is blocked, and what is corrected, in the order in which it was chosen."""

    blocked: Annotated[tuple[_TagId, ...], wire.Size(0, MOST)] = ()
    corrections: Annotated[tuple[Correction, ...], wire.Size(0, MOST)] = ()

    def blocks(self, tag_id: str) -> bool:
        """Say whether a tag is blocked, by its own id or by its kind's."""
        return not self._blocked.isdisjoint((tag_id, kind_of(tag_id)[0]))

    def correction(self, tag_id: str) -> Correction | None:
        """Return what the person made of a tag, None where they left it as it is."""
        return self._corrected.get(tag_id)

    def withholds(self, tag_id: str) -> bool:
        """Say whether the computed tag may stand in no fact and feed no other tag."""
        return self.blocks(tag_id) or tag_id in self._corrected

    @cached_property
    def _blocked(self) -> frozenset[str]:
        return frozenset(self.blocked)

    @cached_property
    def _corrected(self) -> Mapping[str, Correction]:
        return {correction.tag_id: correction for correction in self.corrections}


class TagChoices:
    """The choices about tags in a store: changed in the caller's transaction, and written in the ledger."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._choices = StoredValue(store, _NAME, Choices())

    def read(self) -> Choices:
        """Return the choices as they stand now."""
        return self._choices.read()

    def block(self, tag_id: str, at: int) -> None:
        """Block a tag or a kind of tags from UTC milliseconds `at` on, and delete its corrections.

        Raises EventError for an id of no tag, or where too many are blocked.
        """
        tag_id, choices = require_known(tag_id), self.read()
        if tag_id in choices.blocked:
            return
        if len(choices.blocked) >= MOST:
            raise EventError(f"{MOST} tags are blocked, no more can be; block a kind, such as 'habit.weekly'")
        after = replace(choices, blocked=(*choices.blocked, tag_id))
        self._write(_without(after, after.blocks), "tag_blocked", at, tag_id)

    def unblock(self, tag_id: str, at: int) -> None:
        """Let a tag or a kind of tags be computed again. A member that is blocked by itself stays blocked.

        Raises EventError for an id of no tag, or for a member of a kind that is blocked as a whole.
        """
        tag_id, choices = require_known(tag_id), self.read()
        kind = kind_of(tag_id)[0]
        if kind != tag_id and kind in choices.blocked:
            raise EventError(f"{kind!r} is blocked as a whole, and {tag_id!r} with it; unblock {kind!r}")
        if tag_id in choices.blocked:
            blocked = tuple(each for each in choices.blocked if each != tag_id)
            self._write(replace(choices, blocked=blocked), "tag_unblocked", at, tag_id)

    def correct(self, tag_id: str, value: str | None, at: int) -> None:
        """Give a tag another value; None takes the correction back.

        Raises EventError for an id of no single tag, for a value that is no text of 1 to 128 characters, for
        a blocked tag, or where too many are corrected.
        """
        tag_id, choices = require_single(tag_id), self.read()
        known = choices.correction(tag_id)
        others = _without(choices, lambda each: each == tag_id)
        if value is None:
            if known:
                self._write(others, "tag_restored", at, tag_id)
            return
        event_checks.text(value, "value")
        if choices.blocks(tag_id):
            raise EventError(f"{tag_id!r} is blocked; unblock it before you correct it")
        if known and known.value == value:
            return
        if len(others.corrections) >= MOST:
            raise EventError(f"{MOST} tags are corrected, no more can be; block the tag, or its kind")
        after = replace(others, corrections=(*others.corrections, Correction(tag_id, value, at)))
        self._write(after, "tag_corrected", at, tag_id)

    def sweep(self, granted: Callable[[str], bool]) -> None:
        """Delete the corrections whose tags' purpose is not granted any more."""
        choices = self.read()
        after = _without(choices, lambda tag_id: not granted(TAGS[kind_of(tag_id)[0]]))
        if after != choices:
            self._choices.write(after)

    def _write(self, choices: Choices, phrase: str, at: int, tag_id: str) -> None:
        """Write the choices, and in the ledger what was chosen; not the value, which a withdrawal deletes."""
        self._choices.write(choices)
        words = translate(phrase, tag=tag_id)
        ledger.write(self._store, LedgerEntry(at, ledger.TAG, *words, purposes=(TAGS[kind_of(tag_id)[0]],)))


def require_known(tag_id: str) -> str:
    """Return the id of a tag or a kind of tags, its category in plain spelling.

    Raises EventError for any other.
    """
    if type(tag_id) is not str:
        raise _unknown(tag_id)
    if tag_id in TAGS:
        return tag_id
    kind, about = kind_of(tag_id)
    if kind not in MEMBERS or not tag_id.startswith(kind + MEMBERS[kind]):
        raise _unknown(tag_id)
    category = about
    if kind == "habit.weekly":
        category, _, weekday = about.rpartition(":")
        if weekday not in WEEKDAYS:
            raise _unknown(tag_id)
    try:
        event_checks.category(category, "tag_id")
    except EventError:
        raise _unknown(tag_id) from None
    return kind + MEMBERS[kind] + plain(category) + about[len(category) :]


def require_single(tag_id: str) -> str:
    """Return the id of one tag. Raises EventError for a kind with members, and as `require_known` does."""
    tag_id = require_known(tag_id)
    if tag_id in MEMBERS:
        raise event_checks.wrong("tag_id", f"one tag of that kind, such as {_example(tag_id)!r},", tag_id)
    return tag_id


def _without(choices: Choices, gone: Callable[[str], bool]) -> Choices:
    kept = tuple(each for each in choices.corrections if not gone(each.tag_id))
    return replace(choices, corrections=kept)


def _example(kind: str) -> str:
    return f"{kind}{MEMBERS[kind]}tea" + (":wed" if kind == "habit.weekly" else "")


def _unknown(tag_id: object) -> EventError:
    known = ", ".join(_example(kind) if kind in MEMBERS else kind for kind in TAGS)
    return event_checks.wrong("tag_id", f"the id of a tag or of a kind of tags ({known})", tag_id)
