"""The odometer: what a person's rounds have cost, and whether one more fits.

Pure functions of a list of charges; the phone and the coordinator each keep their own list, write a charge
down before anything leaves, and never take one back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from covey_privacy.dp.accounting import Spent, account
from covey_privacy.dp.mechanism import SkellamMechanism
from covey_privacy.errors import BudgetError


@dataclass(frozen=True, slots=True)
class Charge:
    """One round's cost, booked under its purpose."""

    round_id: str
    purpose: str
    mechanism: SkellamMechanism


@dataclass(frozen=True, slots=True)
class Caps:
    """The most epsilon at `delta` that charges may come to, for each purpose and for all together.

    A purpose without a cap may spend nothing.
    """

    per_purpose: Mapping[str, float]
    total: float
    delta: float


def spent(charges: Iterable[Charge], purpose: str | None = None, *, delta: float) -> Spent:
    """Return what the charges for `purpose`, or all of them, come to at `delta`."""
    return account((charge.mechanism for charge in charges if purpose in (None, charge.purpose)), delta)


def require_room(charges: Sequence[Charge], new: Charge, caps: Caps) -> None:
    """Raise BudgetError when `new` on top of `charges` would pass its purpose's cap or the total one."""
    after = [*charges, new]
    cap = caps.per_purpose.get(new.purpose, 0.0)
    _require(spent(after, new.purpose, delta=caps.delta).epsilon, cap, f"purpose {new.purpose!r}", new)
    _require(spent(after, delta=caps.delta).epsilon, caps.total, "all purposes together", new)


def _require(cost: float, cap: float, whose: str, new: Charge) -> None:
    if not cost <= cap:
        raise BudgetError(
            f"round {new.round_id!r} would bring {whose} to epsilon {cost:.3f}; the cap is {cap:.3f}. "
            f"Stay out of it: wait for the next budget period, or for a round with more noise"
        )
