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
    consents,
    device_tokens,
    documents,
    health,
    imports,
    log,
    notices,
    people,
    problems,
    promises,
    receipts,
    recipients,
    revocations,
    rights,
    rounds,
    served,
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
from covey_consent.api.traffic import Traffic
from covey_consent.registry import Registry
from covey_consent.settings import Settings

ROUTERS = (
    consents, people, tickets, tiles, log, promises, notices, rounds, subjects, receipts, served, assessments,
    documents, rights, recipients, imports, breaches, access_log, device_tokens, health, well_known,
    catalogue, revocations,
)  # fmt: skip
"""A request is held against one route after another: the routes that are asked most come first."""


def create_app(
    settings: Settings | None = None, *, clock: Callable[[], float] = time.time, durable: bool = True
) -> FastAPI:
    """Return the application; its lifespan opens and closes the registry. `clock` gives Unix seconds.

    Whoever simulates may forgo `durable` commits; no setting of an operator can.
    """
    settings = Settings() if settings is None else settings

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        registry = app.state.registry = await Registry.open(settings, clock, durable=durable)
        always = (
            registry.cosigners.gather,
            registry.promises.run,
            registry.upkeep.run,
            registry.courier.run,
            registry.rights.sweeper.run,
        )
        tasks = [asyncio.create_task(work()) for work in always]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await registry.close()

    app = Documented(
        title="Covey consent registry", version="1", description=ABOUT, lifespan=lifespan, docs_url=None,
        redoc_url=None,
    )  # fmt: skip
    for module in ROUTERS:
        add_routes(app, module.router)
    problems.install(app)
    app.add_middleware(Rates, caller=settings.rate_caller, address=settings.rate_address)
    app.add_middleware(Bounds)
    app.add_middleware(Traffic)
    app.add_middleware(CarefulHeaders, https=(settings.public_url or "").startswith("https://"))
    return app
