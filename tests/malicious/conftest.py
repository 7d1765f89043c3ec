"""What every attack needs: a liar on the way to the devices, a refusal with its rule, a real registry."""

from __future__ import annotations

import importlib.util
import sys
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from covey_privacy import wire
from covey_privacy.secagg import Participant


def _conftest(folder: str) -> ModuleType:
    """The fixtures of another folder of tests."""
    name = f"malicious_{folder}"
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parents[1] / folder / "conftest.py")
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_registry, _e2e = _conftest("consent"), _conftest("e2e")
clock, opened, shop, problem = _registry.clock, _registry.opened, _registry.shop, _registry.problem
small_shop, lasting_shop = _e2e.small_shop, _e2e.lasting_shop


@pytest.fixture
def database_url(tmp_path):
    return f"sqlite:///{tmp_path}/registry.db"


@pytest.fixture
def vectors():
    return lambda count=6: [np.full(3, 7, np.uint32) for _ in range(count)]


@pytest.fixture
def lie(monkeypatch):
    """Let every participant see `change(message)` at a step: decoded as a `cls` and encoded again."""

    def lie(step, cls, change):
        honest = getattr(Participant, step)

        def lied_to(self, message, *more):
            told = change(self, message) if cls is None else wire.encode(change(wire.decode(cls, message)))
            return honest(self, told, *more)

        monkeypatch.setattr(Participant, step, lied_to)

    return lie


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
