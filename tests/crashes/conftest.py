from __future__ import annotations

from collections.abc import Iterator

import pytest
from corner import Town, open_town


@pytest.fixture(scope="module")
def town(tmp_path_factory) -> Iterator[Town]:
    with open_town(tmp_path_factory.mktemp("town")) as town:
        yield town
