"""What all tests share: databases and private keys that are made once, and the marks of the law."""

from __future__ import annotations

import asyncio
import functools
import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from httpx._transports import default as httpx_transports
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.util import LRUCache

from covey_consent.law import compliance
from covey_consent.storage import database
from covey_consent.storage.store import Store
from covey_consent.tickets import issuers
from covey_privacy.ticket_signer import generate_private_keys

# What collecting makes stays: to search it for garbage, again and again, took a quarter of the time.
gc.disable()


def pytest_collection_finish() -> None:
    """Search for garbage from now on, in what tests make alone."""
    gc.collect()
    gc.freeze()
    gc.enable()


def _is_on_postgresql(item: pytest.Item) -> bool:
    params = item.callspec.params if hasattr(item, "callspec") else {}
    return any(isinstance(value, str) and value == "postgresql" for value in params.values())


def _needs_sqlite_alone(item: pytest.Item) -> bool:
    return bool(getattr(getattr(item, "module", None), "SQLITE_ALONE", False))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what runs on PostgreSQL, and let reports say which article a test shows.

    An article that is not in the table stops the run. A module that says `SQLITE_ALONE` tests what does not
    rest on the database, and is not run on PostgreSQL a second time.
    """
    items[:] = [item for item in items if not (_is_on_postgresql(item) and _needs_sqlite_alone(item))]
    for item in items:
        if _is_on_postgresql(item):
            item.add_marker("postgresql")
        for mark in item.iter_markers("compliance"):
            if mark.args[0] not in compliance.load_law().shows:
                raise pytest.UsageError(
                    f"{item.nodeid}: law.toml has no article {mark.args[0]!r}; add its row"
                )
            item.user_properties += [("compliance", mark.args[0]), ("test", item.nodeid.partition("[")[0])]


@pytest.fixture(scope="session", autouse=True)
def made_once() -> Iterator[None]:
    """Let all registries of a process share what each would make alike: compiled statements, trusted roots.

    SQLAlchemy keeps a compiled statement by its text's structure and its dialect, of which each engine has
    one. All of SQLite's are made alike. httpx reads the roots anew for each transport.
    """
    create_engine, compiled = database.create_engine, LRUCache(5_000)

    def shared_engine(url, **options):
        if url.get_backend_name() == "sqlite":
            options["execution_options"] = {"compiled_cache": compiled}
        return create_engine(url, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SQLiteDialect_pysqlite, "__hash__", lambda dialect: hash(type(dialect)))
        patch.setattr(SQLiteDialect_pysqlite, "__eq__", lambda one, other: type(one) is type(other))
        patch.setattr(database, "create_engine", shared_engine)
        cached = functools.cache(httpx_transports.create_ssl_context)
        patch.setattr(httpx_transports, "create_ssl_context", cached)
        yield


class PrivateKeys:
    """Hands registries of this process RSA keys that another test had, since one takes 80 ms of a core.

    Within the outermost `lent` no key is handed out twice, whatever registries, sets and epochs ask.
    """

    def __init__(self) -> None:
        self._made: list[rsa.RSAPrivateKey] = []
        self._handed = self._lent = 0
        self._lock = threading.Lock()

    @contextmanager
    def lent(self) -> Iterator[None]:
        if not self._lent:
            self._handed = 0
        self._lent += 1
        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(issuers, "generate_private_keys", self._next)
                yield
        finally:
            self._lent -= 1

    def _next(self, slots: int) -> tuple[rsa.RSAPrivateKey, ...]:
        with self._lock:
            start = self._handed
            self._handed += 2 * slots
            while len(self._made) < self._handed:
                self._made += generate_private_keys(1)
            return tuple(self._made[start : self._handed])


@pytest.fixture(scope="session")
def private_keys() -> PrivateKeys:
    return PrivateKeys()


@pytest.fixture
def lent_keys(private_keys: PrivateKeys) -> Iterator[None]:
    """Let the registries of a test have private keys that are made already."""
    with private_keys.lent():
        yield


@pytest.fixture
def own_keys(lent_keys: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the registries of a test make their private keys, as in production."""
    monkeypatch.setattr(issuers, "generate_private_keys", generate_private_keys)


@pytest.fixture(scope="session")
def new_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite database with the registry's tables and without a row; tests work on copies of it."""
    file = tmp_path_factory.mktemp("registry") / "new.db"
    asyncio.run(Store.open(f"sqlite:///{file}").close())
    return file
