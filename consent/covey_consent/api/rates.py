"""Rate limits: how often one caller, or one address, may send requests, and how many people it may enrol."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable

from limits import RateLimitItem, parse
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from covey_consent.api.problems import problem, slug
from covey_consent.errors import LimitError
from covey_consent.operations.connection_limits import client_of
from covey_consent.registry import Registry

COUNTS = "covey.counts"
"""The key in a request's scope of the windows that it counts in, each with the name that it counts under."""


class Window:
    """Counts requests in fixed windows of time, in memory; `clock` gives seconds.

    The memory storage of `limits` walks through every key in a thread of its own, a hundred times a second:
    with the addresses of a shop's phones, that would be what the registry does most.
    """

    def __init__(self, rate: RateLimitItem, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate, self.seconds = rate, rate.get_expiry()
        self._clock, self._number = clock, 0
        self._counts: Counter[str] = Counter()

    def hit(self, who: str, count: int = 1) -> bool:
        """Count a request, or several at once; say whether that is within the rate.

        Several that are not within it together are not counted.
        """
        number = int(self._clock() / self.seconds)
        if number != self._number:
            self._number, self._counts = number, Counter()
        if count > 1 and self._counts[who] + count > self.rate.amount:
            return False
        self._counts[who] += count
        return self._counts[who] <= self.rate.amount

    @property
    def wait(self) -> int:
        """Seconds until the next window."""
        return math.ceil(self.seconds * (self._number + 1) - self._clock())


class Rates:
    """Middleware; `caller` and `address` as the `limits` library writes rates, None for no bound.

    A caller is known by a token that was verified before. Addresses are counted in memory and kept nowhere;
    of IPv6, a /64 is one. `enrolments` bounds how many people one address may enrol: a route that takes many
    messages at once counts them with `count_messages` and `count_enrolments`.
    """

    def __init__(
        self, app: ASGIApp, caller: str | None, address: str | None, enrolments: str | None = None
    ) -> None:
        self._app = app
        self._caller, self._address, self._enrolments = (
            None if rate is None else Window(parse(rate)) for rate in (caller, address, enrolments)
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or answer 429."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        address = client_of(scope["client"][0]) if scope.get("client") else ""
        caller = self._known_caller(scope)
        window, who = (self._address, address) if caller is None else (self._caller, caller)
        scope[COUNTS] = {"messages": (window, who), "enrolments": (self._enrolments, address)}
        if window is None or window.hit(who):
            await self._app(scope, receive, send)
        else:
            await _too_many(window)(scope, receive, send)

    @staticmethod
    def _known_caller(scope: Scope) -> str | None:
        """Return the name of a caller whose token was verified before."""
        authorization = next((value for name, value in scope["headers"] if name == b"authorization"), None)
        if authorization is None:
            return None
        registry: Registry = scope["app"].state.registry
        caller = registry.authenticator.known(authorization.decode("latin-1"), registry.calendar.now)
        return None if caller is None else f"{caller.role} {caller.subject or caller.name}"


def count_messages(request: Request, count: int) -> None:
    """Count a request's messages as so many requests; the first is counted. Raises LimitError."""
    _count(request, "messages", max(0, count - 1))


def count_enrolments(request: Request, count: int) -> None:
    """Count the people that a request without a token enrols. Raises LimitError."""
    _count(request, "enrolments", count)


def _count(request: Request, what: str, count: int) -> None:
    counted: tuple[Window | None, str] = request.scope[COUNTS][what]
    window, who = counted
    if window is not None and count and not window.hit(who, count):
        wait = max(1, window.wait)
        error = LimitError(
            f"{window.rate} may be sent, and {count} more arrived; send smaller batches, the next in {wait} s"
        )
        error.headers = {"Retry-After": str(wait)}
        raise error


def _too_many(window: Window) -> ASGIApp:
    wait = max(1, window.wait)
    headers = {
        "Retry-After": str(wait),
        "RateLimit-Policy": f'"default";q={window.rate.amount};w={window.seconds}',
        "RateLimit": f'"default";r=0;t={wait}',
    }
    return problem(429, f"{window.rate} may be asked; try again in {wait} s", slug(LimitError), headers)
