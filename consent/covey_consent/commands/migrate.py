"""`covey registry migrate`: bring the database's tables to this Covey's revision."""

from __future__ import annotations

from covey_consent.settings import Settings
from covey_consent.storage import database, schema
from covey_consent.storage.database import Database, answering


def migrate(*, check: bool = False, sql: bool = False, settings: Settings | None = None) -> int:
    """Migrate the database; or `check` whether it has to be, or print the `sql`, and change nothing.

    Returns 0, and 1 where the check finds another revision. Raises ConsentRegistryError.
    """
    settings = Settings() if settings is None else settings
    opened = database.connect(settings.database_url)
    try:
        with answering():
            return _check(opened) if check else _print(opened) if sql else _upgrade(opened)
    finally:
        opened.close()


def _check(opened: Database) -> int:
    found = schema.revision(opened.readers)
    if found == schema.newest():
        print(f"the database is at revision {found}, the newest")
        return 0
    print(f"the database is {_at(found)}, the newest is {schema.newest()}: run `covey registry migrate`")
    return 1


def _print(opened: Database) -> int:
    print(schema.statements(opened), end="")
    return 0


def _upgrade(opened: Database) -> int:
    found = schema.revision(opened.readers)
    schema.upgrade(opened)
    print(f"the database was {_at(found)}; it is at revision {schema.newest()}")
    return 0


def _at(revision: str | None) -> str:
    return "empty" if revision is None else f"at revision {revision}"
