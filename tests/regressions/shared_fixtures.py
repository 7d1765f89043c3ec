"""Fixtures of another test folder, for regression tests that need the same registry, device or round."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest


def fixtures_of(folder: str) -> dict[str, Any]:
    """Return the fixtures that `tests/<folder>/conftest.py` defines, by name."""
    name = f"conftest_of_{folder}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            name, Path(__file__).parents[1] / folder / "conftest.py"
        )
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    kind = type(pytest.fixture(lambda: None))
    return {name: value for name, value in vars(sys.modules[name]).items() if isinstance(value, kind)}
