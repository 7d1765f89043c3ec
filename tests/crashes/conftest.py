from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from round_site import RoundSite

STANDING_PHONES, DRAWN_PHONES = 4, 19
"""The fewest of which a set is large enough without one of them, and a committee can be drawn."""

Copies = Callable[..., RoundSite]


def copies_of(folder: Path, phones: int, *, drawn: bool) -> Copies:
    """Return what gives copies of a shop in which all phones hold tickets; each is to be opened."""
    made = RoundSite(folder / "made", phones, drawn=drawn)
    with made.open():
        pass
    numbers = count(1)

    def copy(**options: Any) -> RoundSite:
        return made.copy(folder / str(next(numbers)), **options)

    return copy


@pytest.fixture(scope="session")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Copies:
    """Copies of a shop with a standing committee."""
    return copies_of(tmp_path_factory.mktemp("standing"), STANDING_PHONES, drawn=False)


@pytest.fixture(scope="session")
def both(tmp_path_factory: pytest.TempPathFactory) -> Copies:
    """Copies of a shop with a standing and a drawn committee."""
    return copies_of(tmp_path_factory.mktemp("both"), DRAWN_PHONES, drawn=True)
