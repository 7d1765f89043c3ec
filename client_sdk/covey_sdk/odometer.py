"""The odometer: what the person's rounds have cost over the last 365 days. It is the guarantee.

A charge is durable before anything leaves and is never taken back; the round that would pass a cap of the
signed notices is refused. Old charges stay in the book, uncounted: the clock may be set back. What other
phones of the person may have spent within the year, or this one before it was installed anew, lowers the caps
(`covey_sdk.ticket_issuances`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Annotated

from covey_privacy import wire
from covey_privacy.dp import Caps, Charge, SkellamMechanism, Spent, require_room, spent
from covey_privacy.errors import MisuseError, PeerError
from covey_privacy.registry_messages import Notice
from covey_sdk.clock import milliseconds, milliseconds_after
from covey_sdk.store import Store
from covey_sdk.stored_value import StoredValue
from covey_sdk.ticket_issuances import Issuances

WINDOW = timedelta(days=365)

_Amount = Annotated[float, wire.Range(0, 1e300)]
_Length = Annotated[int, wire.Range(1, 2**24)]
_Bookings = wire.Size(0, 100_000)


@dataclass(frozen=True, slots=True)
class _Unmeasured:
    """A charge as it was booked before lengths were: Renyi divergence alone can tell what it cost."""

    at: wire.U64
    round_id: wire.Name
    purpose: wire.Name
    sensitivity2: _Amount
    sensitivity1: _Amount
    variance: _Amount


@dataclass(frozen=True, slots=True)
class _Booked:
    at: wire.U64
    round_id: wire.Name
    purpose: wire.Name
    sensitivity2: _Amount
    sensitivity1: _Amount
    variance: _Amount
    length: _Length | None = None

    def charge(self) -> Charge:
        mechanism = SkellamMechanism(self.sensitivity2, self.sensitivity1, self.variance, self.length)
        return Charge(self.round_id, self.purpose, mechanism)


@dataclass(frozen=True, slots=True)
class _EarlierBook:
    booked: Annotated[tuple[_Unmeasured, ...], _Bookings]


@dataclass(frozen=True, slots=True)
class _Book:
    booked: Annotated[tuple[_Booked, ...], _Bookings] = ()


class Odometer:
    """The charges in a store, capped by the notices by purpose: without a notice, nothing may be spent."""

    def __init__(self, store: Store, notices: Mapping[str, Notice]) -> None:
        self._store = store
        self._book = StoredValue(store, "odometer", _Book(), _decode_book)
        self._issuances = Issuances(store)
        self._caps = _caps(notices)

    @property
    def delta(self) -> float:
        """The delta at which everything is accounted: the least that a notice states."""
        return self._caps.delta

    def spent(self, now: datetime, purpose: str | None = None) -> float:
        """Return the epsilon of the last 365 days, for one purpose or for all together.

        It is what this store's rounds cost, and what counts as spent elsewhere.
        """
        elsewhere = self.elsewhere(now)
        others = sum(elsewhere.values()) if purpose is None else elsewhere.get(purpose, 0.0)
        return self.account(now, purpose).epsilon + others

    def elsewhere(self, now: datetime) -> Mapping[str, float]:
        """Return the epsilon that counts as spent by other phones of the person, by purpose."""
        caps = self._caps.per_purpose
        return {
            purpose: share * caps.get(purpose, 0.0) for purpose, share in self._issuances.shares(now).items()
        }

    def account(self, now: datetime, purpose: str | None = None) -> Spent:
        """Return what this store's rounds cost in the last 365 days, by either accountant."""
        return spent(self.charges(now), purpose, delta=self._caps.delta)

    def charges(self, now: datetime) -> tuple[Charge, ...]:
        """Return the charges of the last 365 days."""
        return tuple(booked.charge() for booked in self._recent(now))

    def require_room(self, charges: Sequence[Charge], now: datetime) -> None:
        """Raise covey_privacy's BudgetError when `charges` together would pass a cap. Nothing is written."""
        new = {charge.round_id for charge in charges}
        others = [known for known in self.charges(now) if known.round_id not in new]
        require_room([*others, *charges[:-1]], charges[-1], self._caps_left(now))

    def charge(self, round_id: str, purpose: str, mechanism: SkellamMechanism, now: datetime) -> None:
        """Write the charge down, durably; the same charge for the same round once only.

        Raises BudgetError when it would pass a cap, MisuseError when the round stands charged differently.
        """
        new = Charge(round_id, purpose, mechanism)
        with self._store.transaction():
            booked = self._book.read().booked
            charged = [known.charge() for known in booked if known.round_id == round_id]
            if charged == [new]:
                return
            if charged:
                raise MisuseError(f"round {round_id!r} is charged already, on other terms; it is joined once")
            self.require_room([new], now)
            entry = _Booked(
                milliseconds(now), round_id, purpose,
                mechanism.sensitivity2, mechanism.sensitivity1, mechanism.variance, mechanism.length,
            )  # fmt: skip
            self._book.write(_Book((*booked, entry)))

    def _caps_left(self, now: datetime) -> Caps:
        """Return the caps, less what counts as spent elsewhere: epsilons add up."""
        elsewhere = self.elsewhere(now)
        per_purpose = {
            purpose: epsilon - elsewhere.get(purpose, 0.0)
            for purpose, epsilon in self._caps.per_purpose.items()
        }
        total = max(0.0, self._caps.total - sum(elsewhere.values()))
        return Caps(per_purpose, total, self._caps.delta)

    def _recent(self, now: datetime) -> tuple[_Booked, ...]:
        oldest = milliseconds_after(now, -WINDOW)
        return tuple(booked for booked in self._book.read().booked if booked.at > oldest)


def _decode_book(data: bytes) -> _Book:
    """Return the book in `data`, of this layout or the earlier one. Raises PeerError when it is neither."""
    try:
        earlier = wire.decode(_EarlierBook, data)
    except PeerError:
        return wire.decode(_Book, data)
    return _Book(tuple(_Booked(**asdict(booked)) for booked in earlier.booked))


def _caps(notices: Mapping[str, Notice]) -> Caps:
    """Return the caps that every notice agrees to: the least total and the least delta of them."""
    return Caps(
        {purpose: notice.epsilon for purpose, notice in notices.items()},
        min((notice.epsilon_total for notice in notices.values()), default=0.0),
        min((notice.delta for notice in notices.values()), default=1e-12),
    )
