"""PostgreSQL for the tests: the server that is given, the machine's own, or one that is started for them.

Workers share the one that is started: who comes first starts it, who leaves last stops it.
"""

import fcntl
import getpass
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psycopg

INSTALL = (
    "PostgreSQL was not tested: set COVEY_TEST_POSTGRES to a server's URL, or install one "
    "(apt-get install postgresql, brew install postgresql)"
)

DISCONNECT = """
    SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
"""Ends every other session of a database, and waits until they have let go of their locks."""


@contextmanager
def server(shared: Path) -> Iterator[str | None]:
    """Yield the URL of a server on which databases can be made, None where there is none to be had."""
    given = os.environ.get("COVEY_TEST_POSTGRES") or _running()
    if given is None and _tool("initdb"):
        with _started(shared) as url:
            yield url
    else:
        yield given


@contextmanager
def database(server: str) -> Iterator[str]:
    """Yield the URL of a new database, which goes with the block."""
    name = f"covey_{secrets.token_hex(8)}"
    execute(server, f"CREATE DATABASE {name}")
    try:
        yield _with_database(server, name)
    finally:
        execute(server, f"DROP DATABASE {name} WITH (FORCE)")


def empty(url: str, tables: Iterable[str]) -> None:
    """Delete every row: that is quicker by far than a new database."""
    deletions = "; ".join(f'DELETE FROM "{table}"' for table in tables)  # noqa: S608
    # A replica checks no reference, and runs no trigger that keeps a table append-only.
    execute(url, DISCONNECT, f"SET session_replication_role = replica; {deletions}")


@contextmanager
def down(server: str, url: str) -> Iterator[None]:
    """Keep everybody from the database within the block, as where its server is being restarted."""
    name = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
    with closing(psycopg.connect(url, autocommit=True)) as inside:
        execute(server, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        inside.execute(DISCONNECT)
    try:
        yield
    finally:
        execute(server, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


def cells(url: str) -> Iterator[bytes]:
    """Yield what stands in every row of every table, texts as UTF-8."""
    with closing(psycopg.connect(url)) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
        for (table,) in tables.fetchall():
            for row in connection.execute(f'SELECT * FROM "{table}"'):  # noqa: S608
                yield from (cell if isinstance(cell, bytes) else str(cell).encode() for cell in row)


def execute(url: str, *statements: str) -> None:
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        for statement in statements:
            connection.execute(statement)


def _with_database(server: str, name: str) -> str:
    head, _, query = server.partition("?")
    return head.rsplit("/", 1)[0] + f"/{name}" + (f"?{query}" if query else "")


def _running() -> str | None:
    for user in ("postgres", getpass.getuser()):
        url = f"postgresql://{user}@127.0.0.1:5432/postgres"
        with suppress(psycopg.OperationalError):
            psycopg.connect(url, connect_timeout=2).close()
            return url
    return None


@contextmanager
def _started(shared: Path) -> Iterator[str]:
    """Yield a server that runs as long as one of those who use it."""
    with (shared / "postgresql-users").open("a") as users, (shared / "postgresql").open("a+") as noted:
        fcntl.flock(noted, fcntl.LOCK_EX)
        fcntl.flock(users, fcntl.LOCK_SH)
        noted.seek(0)
        folder = Path(noted.read() or _start(tempfile.mkdtemp(prefix="covey-postgresql-")))
        noted.truncate(0)
        noted.write(str(folder))
        noted.flush()
        fcntl.flock(noted, fcntl.LOCK_UN)
        try:
            yield f"postgresql://postgres@/postgres?host={folder}"
        finally:
            fcntl.flock(noted, fcntl.LOCK_EX)
            fcntl.flock(users, fcntl.LOCK_UN)
            with suppress(BlockingIOError):
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                noted.truncate(0)
                _pg("pg_ctl", "stop", "--pgdata", f"{folder}/data", "--mode", "immediate")
                shutil.rmtree(folder)


def _start(folder: str) -> str:
    if os.getuid() == 0:
        shutil.chown(folder, *_account())
    _pg("initdb", "--pgdata", f"{folder}/data", "--username", "postgres", "--auth", "trust", "--no-sync")
    # A test that asks whether a commit waits for the disk asks the session, which says so either way.
    options = f"-k {folder} -c listen_addresses= -c fsync=off -c max_connections=200"
    _pg("pg_ctl", "start", "--pgdata", f"{folder}/data", "--log", f"{folder}/log", "--options", options)
    return folder


def _pg(tool: str, *arguments: str) -> None:
    """Run one of PostgreSQL's programs, none of which will run as root."""
    command = [_tool(tool), *arguments]
    if os.getuid() == 0:
        user, group = _account()
        command = ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", *command]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/")


def _account() -> tuple[str, int]:
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return name, pwd.getpwnam(name).pw_gid
    raise LookupError("neither postgres nor nobody is an account here")


def _tool(name: str) -> str | None:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(found[-1]) if found else shutil.which(name)
