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
    consents,
    devices,
    documents,
    health,
    log,
    notices,
    officer_queries,
    problems,
    receipts,
    recipients,
    rights,
    rounds,
    subjects,
    tickets,
    tokens,
    verdicts,
    well_known,
)
from covey_consent.api.direct_routes import DIRECT
from covey_consent.api.http import add_routes
from covey_consent.api.middleware import AddressBounds, CarefulHeaders, RequestLogging
from covey_consent.api.openapi import ABOUT, Documented
from covey_consent.api.rates import Rates
from covey_consent.operations.clock_monitor import boot_clock
from covey_consent.registry import Registry
from covey_consent.settings import Settings

ROUTERS = (
    verdicts, consents, devices, tickets, log, notices, rounds, subjects, receipts, assessments, documents,
    rights, recipients, breaches, access_log, tokens, health, well_known, problems, officer_queries,
)  # fmt: skip
"""A request is held against one route after another: the routes that are asked most come first."""


def create_app(
    settings: Settings | None = None, *, clock: Callable[[], float] = time.time,
    monotonic: Callable[[], float] | None = None, durable: bool = True,
) -> FastAPI:  # fmt: skip
    """Return the application; its lifespan opens and closes the registry. `clock` gives Unix seconds.

    `monotonic` gives the seconds by which `clock` is judged, by default the system's. A clock of the caller's
    own is judged only where they give one: it may move as they like.

    Whoever simulates may forgo `durable` commits; no setting of an operator can.
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
        title="Covey consent registry", version="1", description=ABOUT, lifespan=lifespan, docs_url=None,
        redoc_url=None,
    )  # fmt: skip
    for module in ROUTERS:
        add_routes(app, module.router, DIRECT)
    problems.install(app)
    app.add_middleware(
        Rates, caller=settings.rate_caller, address=settings.rate_address, enrolments=settings.rate_enrolments
    )
    app.add_middleware(AddressBounds)
    app.add_middleware(RequestLogging)
    app.add_middleware(CarefulHeaders, https=(settings.public_url or "").startswith("https://"))
    return app
