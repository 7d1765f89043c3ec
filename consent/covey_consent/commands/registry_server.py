"""Serving the registry with uvicorn."""

from __future__ import annotations

import gc
import os
import sys

from covey_consent.app import create_app
from covey_consent.errors import ConsentRegistryError
from covey_consent.operations import http_server, logging_config
from covey_consent.operations.connection_limits import ConnectionLimits, affordable, limited
from covey_consent.settings import Settings
from covey_consent.storage import key_file
from covey_privacy.note import ED25519, VerifierKey

__all__ = ["ConsentRegistryError", "serve", "verifier_key"]

KEEP_ALIVE_SECONDS = 75
"""How long an idle line stays open: longer than clients keep theirs, so that none is closed as it is used."""

GARBAGE = (50_000, 20, 100)
"""When Python looks for garbage in cycles: most of a registry's objects are choices at hand, no garbage."""

TURN_SECONDS = 0.0001
"""How long a thread keeps the interpreter from another that waits for it. Who reads or writes many rows waits
at each: beside batches of 10,000 a decision took .53 s in the median, and takes .09."""


def verifier_key(settings: Settings | None = None) -> VerifierKey:
    """Return the key by which witnesses know the registry's log."""
    settings = Settings() if settings is None else settings
    return VerifierKey(settings.origin, ED25519, key_file.load_or_create(settings.key_file).public)


def serve(host: str, port: int, settings: Settings | None = None, *, tell: http_server.Tell) -> None:
    """Serve until interrupted; `tell` gets the address once requests are answered there.

    One process: the thread that writes and the choices at hand live in it. Requests are not logged, because
    who asked when is what a registry should not know.
    """
    settings = Settings() if settings is None else settings
    logging_config.configure(settings.log_level)
    gc.set_threshold(*GARBAGE)
    sys.setswitchinterval(TURN_SECONDS)
    # Of a proxy, whose address stands for many clients, uvicorn believes the same addresses.
    proxies = os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1") if settings.public_url else ""
    limits = ConnectionLimits(
        affordable(settings.connections),
        settings.connections_address,
        tuple(filter(None, (each.strip() for each in proxies.split(",")))),
    )
    http_server.serve(
        create_app(settings), host, port, tell, log_config=None, access_log=False, server_header=False,
        ws="none", timeout_keep_alive=KEEP_ALIVE_SECONDS, proxy_headers=settings.public_url is not None,
        http=limited(limits),
    )  # fmt: skip
