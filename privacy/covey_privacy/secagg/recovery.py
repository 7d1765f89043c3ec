"""Opening a dropped or surviving device's secret from its neighbours' shares, some of which may be lies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from covey_privacy.errors import AbortError, MisuseError
from covey_privacy.secagg import shamir


@dataclass(frozen=True, slots=True)
class Recovered:
    """A secret, and the numbers of the shares that were wrong."""

    secret: bytes
    wrong: tuple[int, ...]


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
            if start == 0 and len(numbers) == len(shares):
                return Recovered(secret, ())
            return Recovered(secret, _wrong(shares, chosen, rows))
    raise AbortError(f"{threshold} good shares are needed to open a mask; {len(shares)} came and they do not")


def _wrong(shares: Mapping[int, bytes], chosen: list[int], rows: list[bytes]) -> tuple[int, ...]:
    return tuple(x for x in sorted(shares) if shamir.share_at(chosen, rows, x) != shares[x])


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
