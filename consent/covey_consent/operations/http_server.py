"""Serving an ASGI application over HTTP.

The address is bound before the application starts, so that one that cannot be had is found at once. It is
told once requests are answered there. An error of the application's startup is raised instead of logged.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from covey_consent.errors import ConsentRegistryError, RequestError, UnavailableError

Tell = Callable[[str], None]
"""Takes the address, such as http://127.0.0.1:8700."""

_OTHER_FAMILY_MISSING = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


def serve(app: ASGIApp, host: str, port: int, tell: Tell, **options: Any) -> None:
    """Serve until interrupted, with uvicorn's `options`; with port 0 the system chooses one.

    Raises RequestError for a port that cannot be, UnavailableError where the address is taken or not this
    machine's, and what the application's startup raised of the registry's own errors and of OSErrors.
    """
    if not 0 <= port <= 65535:
        raise RequestError(f"--port is {port}; 0 to 65535 was expected, 0 for any that is free")
    sockets = _bound(host, port)
    try:
        opening = _Startup(app)
        server = _Server(uvicorn.Config(opening, **options), host, tell)
        with suppress(KeyboardInterrupt):
            server.run(sockets)
    finally:
        for each in sockets:
            each.close()
    if opening.error is not None:
        raise opening.error
    if not server.started:
        raise UnavailableError("the registry did not start; its log says why")


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, host: str, tell: Tell) -> None:
        super().__init__(config)
        self._host, self._tell = host, tell

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and sockets:
            host = f"[{self._host}]" if ":" in self._host else self._host
            self._tell(f"http://{host}:{sockets[0].getsockname()[1]}")


class _Startup:
    """The application; an error of its startup that a user can correct is kept instead of logged."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.error: ConsentRegistryError | OSError | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return
        failed: list[Message] = []

        async def held(message: Message) -> None:
            if message["type"] == "lifespan.startup.failed":
                failed.append(message)
            else:
                await send(message)

        try:
            await self._app(scope, receive, held)
        except (ConsentRegistryError, OSError) as error:
            self.error = error
            failed = [{**message, "message": ""} for message in failed]
            raise
        finally:
            for message in failed:
                await send(message)


def _bound(host: str, port: int) -> list[socket.socket]:
    """Return sockets bound to every address of the host, all at one port."""
    sockets: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in dict.fromkeys(found):
            sockets.append(_listening(family, kind, protocol))
            chosen = sockets[0].getsockname()[1] if len(sockets) > 1 else port
            try:
                sockets[-1].bind((address[0], chosen, *address[2:]))
            except OSError as error:
                if len(sockets) == 1 or error.errno not in _OTHER_FAMILY_MISSING:
                    raise
                sockets.pop().close()
    except OSError as error:
        for each in sockets:
            each.close()
        why = (error.strerror or str(error)).lower()
        raise UnavailableError(f"{host}:{port} cannot be listened on: {why}") from None
    return sockets


def _listening(family: int, kind: int, protocol: int) -> socket.socket:
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return made
