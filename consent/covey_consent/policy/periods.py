"""The periods that the law gives for an answer, in calendar months or days (ISO 8601: P1M, P15D)."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from covey_consent.errors import RequestError

PATTERN = r"^P(?:[1-9]\d?M|[1-9]\d{0,2}D)$"
EXTENSION = r"^P(?:[12]M|[1-9]D|[1-5]\dD|60D)$"
"""By two months at most: GDPR Art. 12(3)."""

DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Period:
    """A number of calendar months, or of days."""

    months: int = 0
    days: int = 0

    @classmethod
    def parse(cls, text: str) -> Period:
        """Return the period that an ISO 8601 duration of months or days names. Raises RequestError."""
        number = text[1:-1]
        if not (text.startswith("P") and number.isascii() and number.isdigit() and text[-1] in "MD"):
            raise RequestError(f"{text[:20]!r} is no period; P1M (months) or P15D (days) was expected")
        return cls(months=int(number)) if text.endswith("M") else cls(days=int(number))

    def after(self, start: int) -> int:
        """Return when the period that starts at `start` ends, both Unix seconds.

        A month ends at the same time of the same day of the next month, or of its last day where there is no
        such day: never later than Regulation 1182/71, Article 3 lets it.
        """
        begun = datetime.fromtimestamp(start, UTC)
        years, month = divmod(begun.month - 1 + self.months, 12)
        year, month = begun.year + years, month + 1
        day = min(begun.day, monthrange(year, month)[1])
        return int((begun.replace(year=year, month=month, day=day) + timedelta(days=self.days)).timestamp())


def period_for(periods: Mapping[str, str], country: str | None, kind: str) -> Period:
    """Return the period for a kind of request from a country.

    `periods` names it by "CN/erasure", "CN", "default/erasure" or "default": the first of them that is there.
    """
    names = (f"{country}/{kind}", f"{country}", f"{DEFAULT}/{kind}", DEFAULT)
    return Period.parse(next(periods[name] for name in names if name in periods))
