"""Serving the registry with uvicorn."""

from __future__ import annotations

import uvicorn

from covey_consent.app import create_app
from covey_consent.errors import ConsentRegistryError
from covey_consent.settings import Settings

__all__ = ["ConsentRegistryError", "serve"]


def serve(host: str, port: int, settings: Settings | None = None) -> None:
    """Serve until interrupted.

    One process: the thread that writes and the choices at hand live in it. Requests are not logged, because
    who asked when is what a registry should not know.
    """
    uvicorn.run(create_app(settings), host=host, port=port, access_log=False, server_header=False, ws="none")
