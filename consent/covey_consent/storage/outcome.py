"""Outcomes: what a piece of work came to, for those who wait for it elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NoReturn, TypeAlias, TypeVar

T = TypeVar("T")

Outcome: TypeAlias = Callable[[], T]
"""Gives the result, or raises the error."""


def gave(result: T) -> Outcome[T]:
    """Return the outcome that is this result."""
    return partial(_itself, result)


def failed(error: BaseException) -> Outcome[NoReturn]:
    """Return the outcome that is this error."""
    return partial(_raise, error)


def _itself(result: T) -> T:
    return result


def _raise(error: BaseException) -> NoReturn:
    raise error
