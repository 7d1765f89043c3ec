"""The schema: the revision of a database's tables, and the migrations to the newest one.

Every database is made by the migrations, so that a new one equals a migrated one.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, TextIO

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, inspect

from covey_consent.errors import DamageError
from covey_consent.storage.database import Database


def config(connection: Connection | None = None, out: TextIO | None = None) -> Config:
    """Return Alembic's configuration for the migrations in this package; output goes to `out`."""
    found = Config(output_buffer=out)
    found.set_main_option("script_location", "covey_consent:migrations")
    found.set_main_option("path_separator", "os")
    found.attributes["connection"] = connection
    return found


@cache
def newest() -> str:
    """Return the newest revision."""
    return ScriptDirectory.from_config(config()).get_current_head() or "none"


def revision(engine: Engine) -> str | None:
    """Return the database's revision, None where it is empty. Raises DamageError for other tables."""
    with engine.connect() as connection:
        found = MigrationContext.configure(connection).get_current_revision()
        if found is None and set(inspect(connection).get_table_names()) - {"alembic_version"}:
            raise DamageError("the database holds tables, but no registry's: give the registry its own")
    if found is not None and found not in _known():
        raise DamageError(f"a newer Covey migrated the database to revision {found}: install that one")
    return found


def require(database: Database) -> None:
    """Create an empty database's tables. Raises DamageError unless those of any other are the newest."""
    found = revision(database.readers)
    if found is None:
        upgrade(database)
    elif found != newest():
        raise DamageError(
            f"the database is at revision {found}, this Covey at {newest()}: stop every registry, back the "
            "database up and run `covey registry migrate`"
        )


def upgrade(database: Database) -> None:
    """Bring the database to the newest revision, in one transaction."""
    with migrating(database) as configuration:
        command.upgrade(configuration, "head")


def downgrade(database: Database) -> None:
    """Drop every table of the registry's, and all that is in them."""
    with migrating(database) as configuration:
        command.downgrade(configuration, "base")


@contextmanager
def migrating(database: Database) -> Iterator[Config]:
    """Yield Alembic's configuration for its commands on this database, under the writer's lock."""
    with database.writer.connect() as connection, _unreferenced(connection):
        yield config(connection)


def statements(database: Database) -> str:
    """Return the SQL that would bring the database to the newest revision. Raises DamageError."""
    found = revision(database.readers)
    out = io.StringIO()
    printing = config(out=out)
    printing.attributes["dialect"] = database.readers.dialect.name
    try:
        command.upgrade(printing, f"{found}:head" if found else "head", sql=True)
    except CommandError as error:
        raise DamageError(f"not every statement can be told beforehand: {error}") from None
    return out.getvalue()


@contextmanager
def _unreferenced(connection: Connection) -> Iterator[None]:
    """Let SQLite's tables be replaced while others refer to them; `migrations/env.py` checks at the end."""
    if connection.dialect.name != "sqlite":
        yield
        return
    # Within a transaction SQLite ignores it, and SQLAlchemy begins one with the first statement.
    bare: Any = connection.connection.driver_connection
    bare.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        bare.execute("PRAGMA foreign_keys=ON")


@cache
def _known() -> frozenset[str]:
    scripts = ScriptDirectory.from_config(config()).walk_revisions()
    return frozenset(script.revision for script in scripts)
