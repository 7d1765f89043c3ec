"""Objects that a configuration names as "package.module:attribute"."""

from __future__ import annotations

import importlib
from typing import Any

from covey_server.errors import ConfigError


def load(name: str) -> Any:
    """Return the object that "package.module:attribute" names. Raises ConfigError when there is none."""
    module, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"{name!r} cannot be loaded as module:name ({error})") from None
