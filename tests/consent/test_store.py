import asyncio

import pytest
from sqlalchemy import text

from covey_consent.store import Store


async def synchronous(url: str, **options: bool) -> int:
    store = await Store.open(url, **options)
    try:
        async with store.session() as session:
            return await session.scalar(text("PRAGMA synchronous"))
    finally:
        await store.close()


@pytest.mark.parametrize(("options", "level"), [({}, 2), ({"durable": False}, 0)])
def test_a_commit_waits_for_the_disk_unless_told_otherwise(tmp_path, options, level):
    assert asyncio.run(synchronous(f"sqlite+aiosqlite:///{tmp_path}/registry.db", **options)) == level
