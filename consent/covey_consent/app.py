"""The registry as an ASGI application."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI

from covey_consent.api import (
    assessments,
    breaches,
    consents,
    documents,
    log,
    notices,
    people,
    problems,
    receipts,
    recipients,
    rights,
    rounds,
    served,
    subjects,
    tickets,
    tiles,
)
from covey_consent.registry import Registry
from covey_consent.settings import Settings

ROUTES = (
    people,
    subjects,
    consents,
    receipts,
    notices,
    served,
    assessments,
    tickets,
    rounds,
    log,
    tiles,
    documents,
    rights,
    recipients,
    breaches,
)


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

    app = FastAPI(title="Covey consent registry", version="1", lifespan=lifespan)
    for module in ROUTES:
        app.include_router(module.router)
    problems.install(app)

    @app.get("/healthz")
    async def health() -> dict[str, str]:
        """Say that the registry is up."""
        return {"status": "ok"}

    return app
