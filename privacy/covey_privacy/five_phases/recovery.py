"""Opening a dropped or surviving device's secret from its neighbours' shares, some of which may be lies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from covey_privacy.errors import AbortError, MisuseError
from covey_privacy.five_phases import scrape, shamir
from covey_privacy.five_phases.openings import Opened
from covey_privacy.rules import Rule

OWNERS_AT_ONCE = 256
"""How many secrets are worked out in one go, which bounds the memory that it takes."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """A secret, and the numbers of the shares that were wrong."""

    secret: bytes
    wrong: tuple[int, ...]


def recover_all(opened: Opened, threshold: int, good: Callable[[int, bytes], bool]) -> dict[int, Recovered]:
    """Return the secret of every owner whose shares were `opened`; `good(owner, secret)` checks.

    All owners are tried at once, as if nobody lied; `recover` takes those whose shares do not fit together,
    which the SCRAPE test tells.
    Raises AbortError when an owner's secret cannot be found.
    """

    def recovered(row: int, owner: int, secret: bytes | None) -> Recovered:
        if secret is not None and good(owner, secret):
            return Recovered(secret, ())
        return recover(opened.of(row), threshold, lambda secret: good(owner, secret))

    tried = zip(opened.owners, _tried(opened, threshold), strict=True)
    return {owner: recovered(row, owner, secret) for row, (owner, secret) in enumerate(tried)}


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


def _tried(opened: Opened, threshold: int) -> Iterator[bytes | None]:
    """Return what each owner's first shares give, None where they are too few or do not fit together."""
    for start in range(0, len(opened.owners), OWNERS_AT_ONCE):
        came, shares = (each[start : start + OWNERS_AT_ONCE] for each in (opened.came, opened.shares))
        limbs = shares[..., None].view(">u4").astype(np.int64)
        sound = (came.sum(axis=1) >= threshold) & (limbs.max(axis=(1, 2)) < shamir.PRIME)
        sound[sound] = scrape.fit(came[sound], limbs[sound], threshold)
        first = np.argsort(~came[sound], axis=1, kind="stable")[:, :threshold]
        chosen = np.take_along_axis(limbs[sound], first[..., None], axis=1)
        secrets = iter(shamir.combine_all(first + 1, chosen))
        yield from (next(secrets) if each else None for each in sound)


def _wrong(shares: Mapping[int, bytes], chosen: list[int], rows: list[bytes]) -> tuple[int, ...]:
    others = sorted(shares.keys() - set(chosen))
    right = shamir.shares_at(chosen, rows, others)
    return tuple(x for x, share in zip(others, right, strict=True) if share != shares[x])


def _combined(numbers: list[int], rows: list[bytes]) -> bytes | None:
    try:
        return shamir.combine(numbers, rows)
    except MisuseError:
        return None


def _parses(share: bytes) -> bool:
    try:
        shamir.parse([share])
    except MisuseError:
        return False
    return True
