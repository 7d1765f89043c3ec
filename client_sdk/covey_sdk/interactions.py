"""Interactions: what a person did with an item short of buying it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from covey_sdk import event_checks

MOST_CATEGORIES = 16


@dataclass(frozen=True, slots=True)
class Interaction:
    """An item was met. `category` holds all the categories that the item stands in."""

    item_id: str
    category: tuple[str, ...]
    at_ms: int
    tz_offset_min: int
    source: str = "app"

    name: ClassVar[str]

    def __post_init__(self) -> None:
        event_checks.text(self.item_id, f"{self.name}.item_id")
        event_checks.items(self.category, f"{self.name}.category", MOST_CATEGORIES, least=1)
        for category in self.category:
            event_checks.category(category, f"{self.name}.category")
        event_checks.moment(self.at_ms, self.tz_offset_min, self.name)
        event_checks.source(self.source, f"{self.name}.source")

    @property
    def identity(self) -> tuple[str | int, ...]:
        """What makes two reports the same event."""
        return (self.item_id, self.at_ms)

    @property
    def substance(self) -> tuple[str | int, ...]:
        """What two reports of the same event must agree on: nothing."""
        return ()


@dataclass(frozen=True, slots=True)
class ItemView(Interaction):
    """The item was looked at."""

    name = "item_view"


@dataclass(frozen=True, slots=True)
class CartAdd(Interaction):
    """The item was put into the cart."""

    name = "cart_add"


@dataclass(frozen=True, slots=True)
class Favorite(Interaction):
    """The item was marked as a favourite."""

    name = "favorite"
