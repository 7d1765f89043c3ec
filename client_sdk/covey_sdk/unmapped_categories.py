"""Categories that wait for the shop to map them: their ids and how often each was met, on this phone alone.

An id may itself tell about health or family. Therefore it is kept without times and items, in the encrypted
store, only while `personalize` is granted, and until the shop's bundle maps it. No tag, fact, query or
training reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

from covey_privacy import wire
from covey_privacy.errors import PrivacyError
from covey_sdk.errors import StoreError
from covey_sdk.purposes import PERSONALIZE
from covey_sdk.rule_bundle import CategoryId, Rules
from covey_sdk.store import Store

MOST = 256
"""So many ids are kept; further ones are not listed until some of these are mapped."""

_NAME = "unmapped"
_MOST_TIMES = 10_000


@dataclass(frozen=True, slots=True)
class _Waiting:
    category: CategoryId
    times: Annotated[int, wire.Range(1, _MOST_TIMES)]


@dataclass(frozen=True, slots=True)
class _Kept:
    waiting: Annotated[tuple[_Waiting, ...], wire.Size(0, MOST)]


def count_unmapped(store: Store, met: Mapping[str, int]) -> None:
    """Count categories that were met without a mapping, in the caller's transaction."""
    if not met:
        return
    counts = _read(store)
    for category, times in met.items():
        if category in counts or len(counts) < MOST:
            counts[category] = min(counts.get(category, 0) + times, _MOST_TIMES)
    _write(store, counts)


def list_unmapped(store: Store, rules: Rules) -> dict[str, int]:
    """Return how often each category was met that `rules` do not map, the most frequent first."""
    counts = {category: times for category, times in _read(store).items() if rules.kind_of(category) is None}
    return dict(sorted(counts.items(), key=lambda count: (-count[1], count[0])))


def sweep(store: Store, granted: Callable[[str], bool], rules: Rules) -> None:
    """Delete what is mapped by now, and all of it without `personalize`, in the caller's transaction."""
    counts = _read(store)
    left = list_unmapped(store, rules) if granted(PERSONALIZE) else {}
    if len(left) < len(counts):
        _write(store, left)


def _read(store: Store) -> dict[str, int]:
    data = store.get(_NAME)
    try:
        return {each.category: each.times for each in wire.decode(_Kept, data).waiting} if data else {}
    except PrivacyError as error:
        raise StoreError(f"the store holds unmapped categories that cannot be read: {error}") from None


def _write(store: Store, counts: Mapping[str, int]) -> None:
    if counts:
        store.put(_NAME, wire.encode(_Kept(tuple(_Waiting(*count) for count in counts.items()))))
    else:
        store.delete(_NAME)
