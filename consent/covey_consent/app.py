"""The registry as an ASGI application."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI

from covey_consent.api import (
    access_log,
    assessments,
    breaches,
    catalogue,
    clock_confirmations,
    consents,
    device_messages,
    device_tokens,
    documents,
    health,
    imports,
    log,
    notice_receipts,
    notices,
    officer_queries,
    one_message,
    problems,
    promises,
    receipts,
    recipients,
    revocations,
    rights,
    rounds,
    subjects,
    tickets,
    tiles,
    well_known,
)
from covey_consent.api.bounds import Bounds
from covey_consent.api.headers import CarefulHeaders
from covey_consent.api.http import add_routes
from covey_consent.api.openapi import ABOUT, Documented
from covey_consent.api.rates import Rates
from covey_consent.api.request_logging import Traffic
from covey_consent.operations.clock_monitor import boot_clock
from covey_consent.registry import Registry
from covey_consent.settings import Settings

ROUTERS = (
    consents, device_messages, tickets, tiles, log, promises, notices, rounds, one_message, subjects,
    receipts, notice_receipts, assessments, documents, rights, recipients, imports, breaches, access_log,
    device_tokens, health, well_known, catalogue, clock_confirmations, officer_queries, revocations,
)  # fmt: skip
"""A request is matched against one route after another: the most frequent ones come first."""


def create_app(
    settings: Settings | None = None,
    *,
    clock: Callable[[], float] = time.time,
    monotonic: Callable[[], float] | None = None,
    durable: bool = True,
) -> FastAPI:
    """Return the application; its lifespan opens and closes the registry. `clock` gives Unix seconds.

    `monotonic` gives the seconds by which `clock` is judged, by default the system's. A clock of the caller's
    own is judged only where they give one: it may move as they like.

    Without `durable`, commits do not wait for the disk: for simulations alone, and no setting of an operator.
    """
    settings = Settings() if settings is None else settings
    steady = boot_clock if monotonic is None and clock is time.time else monotonic

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        registry = app.state.registry = await Registry.open(settings, clock, steady, durable=durable)
        background = asyncio.create_task(registry.supervisor.run())
        yield
        background.cancel()
        await asyncio.wait([background])
        await registry.close()

    app = Documented(
        title="Covey consent registry",
        version="1",
        description=ABOUT,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    for module in ROUTERS:
        add_routes(app, module.router)
    problems.install(app)
    app.add_middleware(
        Rates, caller=settings.rate_caller, address=settings.rate_address, enrolments=settings.rate_enrolments
    )
    app.add_middleware(Bounds)
    app.add_middleware(Traffic)
    app.add_middleware(CarefulHeaders, https=(settings.public_url or "").startswith("https://"))
    return app
