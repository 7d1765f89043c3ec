"""What every attack needs: a real registry with a phone, and a refusal with its rule."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from shared_fixtures import fixtures_of

globals().update(fixtures_of("client_sdk"))


@pytest.fixture
def refuses():
    """Expect a refusal, of that class and for that rule."""

    @contextmanager
    def refuses(error, rule):
        with pytest.raises(error) as refused:
            yield
        assert type(refused.value) is error
        assert refused.value.rule is rule

    return refuses
