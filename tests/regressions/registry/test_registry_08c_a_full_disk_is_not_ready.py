"""/readyz writes: a registry whose disk is full is not ready.

It read alone, and said 200 while every decision was refused.
"""

import asyncio
import contextlib
import os
import subprocess
import threading

import pytest
from postgresql import execute
from test_recipients import until

from covey_consent.operations import readiness
from covey_consent.operations.readiness import WriteProbe


def ready(shop) -> int:
    return shop.http.get("/readyz").status_code


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 64 MiB, which takes the rights to mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no disk can be mounted here: {error}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder, leave: int = 0):
    """Write a file that leaves so many bytes on the disk; return its path."""
    path = folder / "filler"
    with path.open("wb") as file, contextlib.suppress(OSError):
        room = os.statvfs(folder)
        file.truncate(0)
        left = room.f_bavail * room.f_frsize - leave
        while left > 0:
            left -= file.write(bytes(min(2**20, left)))
            file.flush()
    return path


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("leave", [0, 2**20])
def test_a_full_disk_is_not_ready(opened, small_disk, problem, leave):
    with opened(database_url=f"sqlite:///{small_disk}/r.db") as shop:
        assert ready(shop) == 200
        filler = fill(small_disk, leave)
        until(lambda: ready(shop) == 503, "it is not ready")
        problem(shop.http.get("/readyz"), 503)
        assert shop.http.get("/livez").status_code == 200
        filler.unlink()
        until(lambda: ready(shop) == 200, "it is ready once there is room")


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("code", ["53100", "25006"], ids=["disk_full", "read_only"])
def test_a_server_that_takes_no_write_is_not_ready(shop, database_url, problem, code):
    assert ready(shop) == 200
    execute(
        database_url,
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION USING ERRCODE = '{code}'; END $$",
        "CREATE TRIGGER full_disk BEFORE UPDATE ON write_probe FOR EACH ROW EXECUTE FUNCTION full_disk()",
    )
    try:
        shop.clock.now += 1
        until(lambda: ready(shop) == 503, "it is not ready")
        problem(shop.http.get("/readyz"), 503)
    finally:
        execute(database_url, "DROP FUNCTION full_disk CASCADE")
    until(lambda: ready(shop) == 200, "it is ready once writes are taken")


def test_readiness_commits_as_durably_as_a_decision(shop):
    assert ready(shop) == 200
    with shop.http.app.state.registry.store.session() as session:
        assert session.get(WriteProbe, readiness.ONLY).at == int(shop.clock.now)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_writer_that_is_held_up_is_not_ready(shop, problem, monkeypatch):
    monkeypatch.setattr("covey_consent.api.health.WRITE_SECONDS", 0.2)
    monkeypatch.setattr(readiness, "AGE_SECONDS", -1.0)
    entered, go = threading.Event(), threading.Event()

    def work(_session):
        entered.set()
        assert go.wait(60)

    store = shop.http.app.state.registry.store
    held = shop.http.portal.start_task_soon(store.write, work)
    assert entered.wait(60)
    try:
        assert "no write within" in problem(shop.http.get("/readyz"), 503)
    finally:
        go.set()
    held.result(60)
    until(lambda: ready(shop) == 200, "it is ready once the writer goes on")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_many_who_ask_cost_one_commit_a_second(shop, monkeypatch):
    monkeypatch.setattr(readiness, "AGE_SECONDS", 3600.0)
    commits, touch = [], readiness._touch

    def counted(*args):
        commits.append(args)
        touch(*args)

    monkeypatch.setattr(readiness, "_touch", counted)

    async def ask() -> None:
        check = readiness.WriteCheck(shop.http.app.state.registry.store, shop.clock)
        await asyncio.gather(*(check.require(60) for _ in range(50)))
        await check.require(60)

    shop.http.portal.call(ask)
    assert len(commits) == 1
