"""Headers that keep browsers careful with every answer; where an answer has one of its own, that stands."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

CAREFUL = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)

TRANSPORT = (b"strict-transport-security", b"max-age=31536000")


class CarefulHeaders:
    """Middleware. `https`: callers come over HTTPS alone."""

    def __init__(self, app: ASGIApp, https: bool) -> None:
        self._app = app
        self._headers = (*CAREFUL, TRANSPORT) if https else CAREFUL

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""

        async def careful(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = message["headers"] = list(message.get("headers", ()))
                named = {name for name, _ in own}
                own += [header for header in self._headers if header[0] not in named]
            await send(message)

        await self._app(scope, receive, careful)
