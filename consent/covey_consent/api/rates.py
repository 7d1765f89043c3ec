"""Rates: how often one caller, or one address, may ask."""

from __future__ import annotations

import math
import time
from typing import cast

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from covey_consent.api.problems import problem, slug
from covey_consent.errors import LimitError
from covey_consent.registry import Registry


class Rates:
    """Middleware; `caller` and `address` as the `limits` library writes rates, None for no bound.

    A caller is known by a token that was verified before. Addresses are counted in memory and kept nowhere.
    """

    def __init__(self, app: ASGIApp, caller: str | None, address: str | None) -> None:
        self._app = app
        self._caller, self._address = _parsed(caller), _parsed(address)
        self._windows = FixedWindowRateLimiter(MemoryStorage())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or answer 429."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        who, name, rate = self._who(scope)
        if rate is None or self._windows.hit(rate, who, name):
            await self._app(scope, receive, send)
        else:
            await self._refuse(rate, who, name)(scope, receive, send)

    def _who(self, scope: Scope) -> tuple[str, str, RateLimitItem | None]:
        authorization = Headers(scope=scope).get("authorization")
        if authorization:
            here = cast(Registry, scope["app"].state.registry)
            caller = here.gate.known(authorization, here.calendar.now)
            if caller is not None:
                return caller.role.value, caller.subject or caller.name, self._caller
        client = scope.get("client")
        return "address", client[0] if client else "", self._address

    def _refuse(self, rate: RateLimitItem, who: str, name: str) -> ASGIApp:
        reset = self._windows.get_window_stats(rate, who, name).reset_time
        wait = max(1, math.ceil(reset - time.time()))
        headers = {
            "Retry-After": str(wait),
            "RateLimit-Policy": f'"{who}";q={rate.amount};w={rate.get_expiry()}',
            "RateLimit": f'"{who}";r=0;t={wait}',
        }
        return problem(429, f"{rate} may be asked; try again in {wait} s", slug(LimitError), headers)


def _parsed(rate: str | None) -> RateLimitItem | None:
    return None if rate is None else parse(rate)
