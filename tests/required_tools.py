"""Tests that need a program which is not installed are skipped, and fail where CI=true: there it must be."""

import os
from typing import NoReturn

import pytest


def report_missing(what: str) -> NoReturn:
    """Skip the test with what to install; with CI=true in the environment, fail it."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} (with CI=true nothing is skipped)")
    pytest.skip(what)
