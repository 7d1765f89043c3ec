"""An empty FastAPI route: the pace that every route of the registry is held against."""

from __future__ import annotations

from fastapi import FastAPI

app = FastAPI()


@app.get("/")
async def empty() -> dict[str, bool]:
    """Say yes."""
    return {"allowed": True}
