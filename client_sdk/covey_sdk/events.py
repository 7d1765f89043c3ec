"""Events: what the app tells the phone about its owner. Nothing here is an upload format.

    parse({"type": "order_paid", "order_id": "A-1", "at_ms": 1760000000000, "tz_offset_min": 480,
           "currency": "CNY", "total_minor": 4500,
           "lines": [{"item_id": "7", "category": "tea", "paid_minor": 4500}]})

Amounts are integers in the currency's minor unit, times UTC milliseconds. A type or field that is not
listed here is refused. Constructors check; `parse`, `decode` and typed callers all pass through them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import cbor2

from covey_sdk import event_checks
from covey_sdk.errors import EventError
from covey_sdk.interactions import CartAdd, Favorite, ItemView

SCHEMA_VERSION = 2
CHANNELS = frozenset({"online", "offline"})
MOST_LINES = 1000
MOST_STYLES = 16
MOST_MINOR = 10**12
MOST_QUANTITY = 10**6


@dataclass(frozen=True, slots=True)
class OrderLine:
    """One line of an order. `paid_minor` is for the whole quantity, after discount; `list_minor` before.

    `list_minor` is therefore never the lesser of the two.
    """

    item_id: str
    category: str
    paid_minor: int
    list_minor: int | None = None
    qty: int = 1
    style: tuple[str, ...] = ()
    discounted: bool = False
    eco: bool = False
    days_per_unit: int | None = None

    def __post_init__(self) -> None:
        event_checks.text(self.item_id, "line.item_id")
        event_checks.category(self.category, "line.category")
        event_checks.integer(self.paid_minor, "line.paid_minor", 0, MOST_MINOR)
        event_checks.integer(self.qty, "line.qty", 1, MOST_QUANTITY)
        event_checks.flag(self.discounted, "line.discounted")
        event_checks.flag(self.eco, "line.eco")
        if self.list_minor is not None:
            event_checks.integer(self.list_minor, "line.list_minor", 0, MOST_MINOR)
            if self.list_minor < self.paid_minor:
                raise event_checks.wrong(
                    "line.list_minor", f"{self.paid_minor}, which was paid, or more", self.list_minor
                )
        if self.days_per_unit is not None:
            event_checks.integer(self.days_per_unit, "line.days_per_unit", 1, 10_000)
        if self.style != ():
            event_checks.items(self.style, "line.style", MOST_STYLES)
            for style in self.style:
                event_checks.text(style, "line.style")


@dataclass(frozen=True, slots=True)
class OrderPaid:
    """An order was paid. `total_minor` is what its lines come to: delivery fees stay out.

    `positions` says where the lines stood in the order as it was paid, once some have been left out; it is
    empty while none has. `partial` says that some have been left out whose price is still in `total_minor`.
    The app gives neither.
    """

    order_id: str
    lines: tuple[OrderLine, ...]
    total_minor: int
    currency: str
    at_ms: int
    tz_offset_min: int
    source: str = "app"
    channel: str = "online"
    eco_packaging: bool = False
    positions: tuple[int, ...] = ()
    partial: bool = False

    def __post_init__(self) -> None:
        event_checks.text(self.order_id, "order_paid.order_id")
        event_checks.flag(self.partial, "order_paid.partial")
        event_checks.items(self.lines, "order_paid.lines", MOST_LINES, least=0 if self.partial else 1)
        event_checks.integer(self.total_minor, "order_paid.total_minor", 0, MOST_MINOR)
        event_checks.currency(self.currency, "order_paid.currency")
        event_checks.moment(self.at_ms, self.tz_offset_min, "order_paid")
        event_checks.source(self.source, "order_paid.source")
        event_checks.one_of(self.channel, "order_paid.channel", CHANNELS)
        event_checks.flag(self.eco_packaging, "order_paid.eco_packaging")
        if not all(type(line) is OrderLine for line in self.lines):
            raise event_checks.wrong("order_paid.lines", "OrderLine values", self.lines)
        if self.positions != ():
            _check_positions(self.positions, len(self.lines))
        paid = sum([line.paid_minor for line in self.lines])
        if paid > self.total_minor or (paid != self.total_minor and not self.partial):
            raise EventError(
                f"order_paid.total_minor is {self.total_minor}, but the lines' paid_minor come to "
                f"{paid}: leave delivery fees out and spread discounts"
            )

    @property
    def identity(self) -> tuple[str | int, ...]:
        """What makes two reports the same event."""
        return (self.order_id,)

    @property
    def substance(self) -> tuple[str | int, ...]:
        """What two reports of the same event must agree on."""
        return (self.total_minor, self.currency)

    def position(self, line: int) -> int:
        """Return where line number `line` stood in the order as it was paid."""
        return self.positions[line] if self.positions else line


def _check_positions(positions: Any, lines: int) -> None:
    event_checks.items(positions, "order_paid.positions", lines, least=lines)
    for position in positions:
        event_checks.integer(position, "order_paid.positions", 0, MOST_LINES - 1)
    if list(positions) != sorted(set(positions)):
        raise event_checks.wrong("order_paid.positions", "each position once, in order", positions)


@dataclass(frozen=True, slots=True)
class Refund:
    """Money went back for an order: for the lines at the positions `line_ix`, or for all of it when empty.

    `refund_id` is what the shop calls the refund: whoever tells of it, app or till, gives the same one. It
    must differ among the refunds of one order. `left_out` says that it was also for lines that were left out
    of the order, which `line_ix` then does not name. The app never gives it.
    """

    refund_id: str
    order_id: str
    amount_minor: int
    at_ms: int
    tz_offset_min: int
    line_ix: tuple[int, ...] = ()
    reason: str = "other"
    source: str = "app"
    left_out: bool = False

    def __post_init__(self) -> None:
        event_checks.text(self.refund_id, "refund.refund_id")
        event_checks.text(self.order_id, "refund.order_id")
        event_checks.integer(self.amount_minor, "refund.amount_minor", 0, MOST_MINOR)
        event_checks.moment(self.at_ms, self.tz_offset_min, "refund")
        event_checks.items(self.line_ix, "refund.line_ix", MOST_LINES)
        for position in self.line_ix:
            event_checks.integer(position, "refund.line_ix", 0, MOST_LINES - 1)
        if len(set(self.line_ix)) != len(self.line_ix):
            raise event_checks.wrong("refund.line_ix", "each position once", self.line_ix)
        event_checks.text(self.reason, "refund.reason")
        event_checks.source(self.source, "refund.source")
        event_checks.flag(self.left_out, "refund.left_out")

    @property
    def identity(self) -> tuple[str | int, ...]:
        """What makes two reports the same event."""
        return (self.order_id, self.refund_id)

    @property
    def substance(self) -> tuple[str | int, ...]:
        """What two reports of the same event must agree on."""
        return (self.amount_minor, *sorted(self.line_ix))


@dataclass(frozen=True, slots=True)
class AppOpen:
    """The app came to the foreground."""

    at_ms: int
    tz_offset_min: int
    source: str = "app"

    def __post_init__(self) -> None:
        event_checks.moment(self.at_ms, self.tz_offset_min, "app_open")
        event_checks.source(self.source, "app_open.source")

    @property
    def identity(self) -> tuple[str | int, ...]:
        """What makes two reports the same event: the local day, more is not kept.

        It is the day by the offset that the event tells, whatever the zone of the device: the device may
        travel into another zone, and a report stays the same.
        """
        return ((self.at_ms + 60_000 * self.tz_offset_min) // 86_400_000,)

    @property
    def substance(self) -> tuple[str | int, ...]:
        """What two reports of the same event must agree on: nothing."""
        return ()


Event = OrderPaid | Refund | AppOpen | ItemView | CartAdd | Favorite

TYPES: Mapping[str, type[Event]] = {
    "order_paid": OrderPaid,
    "refund": Refund,
    "app_open": AppOpen,
    "item_view": ItemView,
    "cart_add": CartAdd,
    "favorite": Favorite,
}
CLASSES = frozenset(TYPES.values())
_NAMES: Mapping[type, str] = {cls: name for name, cls in TYPES.items()}
_INTERNAL = frozenset({"positions", "partial", "left_out"})


def name_of(event: Event) -> str:
    """Return the event's type name, such as `order_paid`."""
    return _NAMES[type(event)]


def parse(data: Mapping[str, Any]) -> Event:
    """Return the event in an app's JSON-like mapping. Raises EventError naming the field that is wrong."""
    if not isinstance(data, Mapping):
        raise event_checks.wrong("an event", "a mapping with a 'type'", data)
    fields = dict(data)
    name = fields.pop("type", None)
    cls = TYPES.get(name) if isinstance(name, str) else None
    if cls is None:
        raise event_checks.wrong("type", f"one of {', '.join(TYPES)}", name)
    lines = fields.get("lines")
    if isinstance(lines, list | tuple) and len(lines) <= MOST_LINES:
        fields["lines"] = tuple([_build(OrderLine, line, "line") for line in lines])
    for plural in ("line_ix", "category"):
        if isinstance(fields.get(plural), list):
            fields[plural] = tuple(fields[plural])
    event: Event = _build(cls, fields, str(name))
    return event


def unparse(event: Event) -> dict[str, Any]:
    """Return the mapping that `parse` takes, and what says that lines were left out, where some were."""
    fields = dataclasses.asdict(event)
    for name in _INTERNAL:
        if not fields.get(name, True):
            del fields[name]
    return {"type": name_of(event), **fields}


def encode(event: Event) -> bytes:
    """Return the event as compact CBOR: schema version, type, then the fields in order."""
    values = list(_VALUES[type(event)](event))
    if isinstance(event, OrderPaid):
        values[1] = list(map(_VALUES[OrderLine], event.lines))
    return cbor2.dumps([SCHEMA_VERSION, _NAMES[type(event)], *values])


def decode(data: bytes) -> Event:
    """Return the event in `encode`'s bytes. Raises EventError when they hold none that this version knows."""
    try:
        version, name, *values = cbor2.loads(data)
        if version != SCHEMA_VERSION:
            raise EventError(f"the event has schema {version}; this SDK reads {SCHEMA_VERSION}: update it")
        if name == "order_paid":
            values[1] = tuple([_line(line) for line in values[1]])
        return TYPES[name](*map(_hashable, values))
    except (cbor2.CBORError, ValueError, TypeError, KeyError, IndexError) as error:
        if isinstance(error, EventError):
            raise
        raise EventError("the bytes hold no event of this SDK") from None


def _line(values: list[Any]) -> OrderLine:
    values[_STYLE] = tuple(values[_STYLE])
    return OrderLine(*values)


def _build(cls: type[Any], data: Any, name: str) -> Any:
    """Return `cls(**data)`, or say which field is unknown or missing."""
    known, required = _FIELDS[cls]
    if not isinstance(data, dict):
        raise event_checks.wrong(name, "a mapping", data)
    if not (required <= data.keys() <= known):
        raise _misfit(name, data, known, required)
    if isinstance(data.get("style"), list):
        data = {**data, "style": tuple(data["style"])}
    return cls(**data)


def _misfit(name: str, data: dict[str, Any], known: frozenset[str], required: frozenset[str]) -> EventError:
    unknown = sorted(map(event_checks.shown, data.keys() - known))
    if unknown:
        return EventError(f"{name} has no field {unknown[0]}; it takes {', '.join(sorted(known))}")
    return EventError(f"{name}.{min(required - data.keys())} is missing")


def _fields(cls: type[Any]) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names of the fields that an app may give, and of those that it must."""
    fields = [field for field in dataclasses.fields(cls) if field.name not in _INTERNAL]
    required = frozenset(field.name for field in fields if field.default is dataclasses.MISSING)
    return frozenset(field.name for field in fields), required


def _values(cls: type[Any]) -> Callable[[Any], tuple[Any, ...]]:
    """Return the function that reads the fields' values in order."""
    return attrgetter(*(field.name for field in dataclasses.fields(cls)))


_STYLE = [field.name for field in dataclasses.fields(OrderLine)].index("style")
_CLASSES: tuple[type, ...] = (OrderLine, *TYPES.values())
_FIELDS = {cls: _fields(cls) for cls in _CLASSES}
_VALUES = {cls: _values(cls) for cls in _CLASSES}


def _hashable(value: Any) -> Any:
    return tuple(value) if type(value) is list else value
