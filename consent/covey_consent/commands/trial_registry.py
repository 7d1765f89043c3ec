"""A registry for trying out: on this machine alone, with its own keys, deleted when it ends.

It has the packaged notices and open enrolment, and ignores the environment's settings.
"""

from __future__ import annotations

import ipaddress
import os
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path

from covey_consent.commands import registry_server as served
from covey_consent.errors import ConsentRegistryError, RequestError
from covey_consent.settings import Settings
from covey_consent.storage import key_file
from covey_privacy.signatures import SigningKey

__all__ = ["ConsentRegistryError", "serve"]


def serve(host: str, port: int, tell: Callable[[str, bytes, bytes], None]) -> None:
    """Serve until interrupted or terminated.

    Once requests are answered, `tell` gets the address and the public keys of operator and registry.
    Raises RequestError for a host that others can reach.
    """
    if not _is_loopback(host):
        raise RequestError(f"--host is {host}; --demo is for this machine alone: 127.0.0.1 was expected")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # The folder is to go then as well.
    with tempfile.TemporaryDirectory(prefix="covey-trial-") as folder:
        operator = SigningKey(os.urandom(32)).public
        settings = _settings(Path(folder), operator)
        registry = key_file.load_or_create(settings.key_file).public
        served.serve(host, port, settings, tell=lambda address: tell(address, operator, registry))


def _settings(folder: Path, operator: bytes) -> Settings:
    """Return the settings as shipped, whatever the environment says, for a registry in the folder."""
    shipped = {
        name: field.get_default(call_default_factory=True, validated_data={})
        for name, field in Settings.model_fields.items()
        if name != "log_level"
    }
    own = {
        "database_url": f"sqlite:///{folder / 'registry.db'}",
        "key_file": folder / "registry.key",
        "operator": operator.hex(),
        "open_enrolment": True,
    }
    return Settings(**{**shipped, **own})


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
