"""Opening a dropped or surviving device's secret from its neighbours' shares, some of which may be lies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from covey_privacy.errors import AbortError, MisuseError
from covey_privacy.rules import Rule
from covey_privacy.secagg import scrape, shamir

OWNERS_AT_ONCE = 256
"""How many secrets are worked out in one go; the weights take t^2 numbers for each."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """A secret, and the numbers of the shares that were wrong."""

    secret: bytes
    wrong: tuple[int, ...]


def recover_all(
    opened: Mapping[int, Mapping[int, bytes]], threshold: int, good: Callable[[int, bytes], bool]
) -> dict[int, Recovered]:
    """Return the secret of every owner in `opened`, from its shares by number; `good(owner, secret)` checks.

    All owners are tried at once, as if nobody lied; `recover` takes those whose shares do not fit together,
    which the SCRAPE test tells.
    Raises AbortError when an owner's secret cannot be found.
    """
    tried = {owner: numbers for owner, shares in opened.items() if (numbers := _first(shares, threshold))}
    found = dict(zip(tried, _opened(opened, tried), strict=True))
    doubtful = scrape.failing({owner: opened[owner] for owner in tried}, threshold)

    def recovered(owner: int) -> Recovered:
        secret = found.get(owner)
        if secret is not None and owner not in doubtful and good(owner, secret):
            return Recovered(secret, ())
        return recover(opened[owner], threshold, lambda secret: good(owner, secret))

    return {owner: recovered(owner) for owner in opened}


def recover(shares: Mapping[int, bytes], threshold: int, good: Callable[[bytes], bool]) -> Recovered:
    """Return the secret behind `shares` (by number) that passes `good`.

    Runs of `threshold` shares are tried around the circle until one holds no wrong share; then every share
    is held against it. Raises AbortError when none does.
    """
    numbers = [number for number in sorted(shares) if _parses(shares[number])]
    for start in range(len(numbers) if len(numbers) >= threshold else 0):
        chosen = (numbers[start:] + numbers[:start])[:threshold]
        rows = [shares[number] for number in chosen]
        secret = _combined(chosen, rows)
        if secret is not None and good(secret):
            return Recovered(secret, _wrong(shares, chosen, rows))
    raise AbortError(
        f"{threshold} good shares are needed to open a mask; {len(shares)} came and they do not",
        rule=Rule.ENOUGH_SHARES,
    )


def _first(shares: Mapping[int, bytes], threshold: int) -> list[int]:
    """Return the numbers of the first shares, none where they are too few or one is no share at all."""
    return sorted(shares)[:threshold] if len(shares) >= threshold and _parses(*shares.values()) else []


def _opened(
    opened: Mapping[int, Mapping[int, bytes]], tried: Mapping[int, list[int]]
) -> Iterator[bytes | None]:
    names = list(tried)
    for start in range(0, len(names), OWNERS_AT_ONCE):
        owners = names[start : start + OWNERS_AT_ONCE]
        rows = [shamir.parse([opened[owner][number] for number in tried[owner]]) for owner in owners]
        yield from shamir.combine_all(np.array([tried[owner] for owner in owners]), np.array(rows))


def _wrong(shares: Mapping[int, bytes], chosen: list[int], rows: list[bytes]) -> tuple[int, ...]:
    others = sorted(shares.keys() - set(chosen))
    right = shamir.shares_at(chosen, rows, others)
    return tuple(x for x, share in zip(others, right, strict=True) if share != shares[x])


def _combined(numbers: list[int], rows: list[bytes]) -> bytes | None:
    try:
        return shamir.combine(numbers, rows)
    except MisuseError:
        return None


def _parses(*shares: bytes) -> bool:
    try:
        shamir.parse(shares)
    except MisuseError:
        return False
    return True
