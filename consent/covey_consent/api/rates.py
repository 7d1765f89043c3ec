"""Rates: how often one caller, or one address, may ask."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable
from typing import cast

from limits import RateLimitItem, parse
from starlette.types import ASGIApp, Receive, Scope, Send

from covey_consent.api.problems import problem, slug
from covey_consent.errors import LimitError
from covey_consent.registry import Registry


class Window:
    """Counts requests in fixed windows of time, in memory; `clock` gives seconds.

    The memory storage of `limits` walks through every key in a thread of its own, a hundred times a second:
    with the addresses of a shop's phones, that would be what the registry does most.
    """

    def __init__(self, rate: RateLimitItem, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate, self.seconds = rate, rate.get_expiry()
        self._clock, self._number = clock, 0
        self._counts: Counter[str] = Counter()

    def hit(self, who: str) -> bool:
        """Count a request; say whether it is within the rate."""
        number = int(self._clock() / self.seconds)
        if number != self._number:
            self._number, self._counts = number, Counter()
        self._counts[who] += 1
        return self._counts[who] <= self.rate.amount

    @property
    def wait(self) -> int:
        """Seconds until the next window."""
        return math.ceil(self.seconds * (self._number + 1) - self._clock())


class Rates:
    """Middleware; `caller` and `address` as the `limits` library writes rates, None for no bound.

    A caller is known by a token that was verified before. Addresses are counted in memory and kept nowhere.
    """

    def __init__(self, app: ASGIApp, caller: str | None, address: str | None) -> None:
        self._app = app
        self._caller, self._address = _window(caller), _window(address)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or answer 429."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        window, who = self._who(scope)
        if window is None or window.hit(who):
            await self._app(scope, receive, send)
        else:
            await _too_many(window)(scope, receive, send)

    def _who(self, scope: Scope) -> tuple[Window | None, str]:
        authorization = next((value for name, value in scope["headers"] if name == b"authorization"), None)
        if authorization is not None:
            here = cast(Registry, scope["app"].state.registry)
            caller = here.gate.known(authorization.decode("latin-1"), here.calendar.now)
            if caller is not None:
                return self._caller, f"{caller.role} {caller.subject or caller.name}"
        client = scope.get("client")
        return self._address, client[0] if client else ""


def _too_many(window: Window) -> ASGIApp:
    wait = max(1, window.wait)
    headers = {
        "Retry-After": str(wait),
        "RateLimit-Policy": f'"default";q={window.rate.amount};w={window.seconds}',
        "RateLimit": f'"default";r=0;t={wait}',
    }
    return problem(429, f"{window.rate} may be asked; try again in {wait} s", slug(LimitError), headers)


def _window(rate: str | None) -> Window | None:
    return None if rate is None else Window(parse(rate))
