"""`covey registry migrate`: bring the database's tables to this Covey's revision."""

from __future__ import annotations

from contextlib import closing

from covey_consent.settings import Settings
from covey_consent.storage import database, schema
from covey_consent.storage.database import answering


def migrate(*, check: bool = False, sql: bool = False, settings: Settings | None = None) -> int:
    """Migrate the database; or `check` whether it has to be, or print the `sql`, and change nothing.

    Returns 0, and 1 where the check finds another revision. Raises ConsentRegistryError.
    """
    settings = Settings() if settings is None else settings
    with closing(database.connect(settings.database_url)) as opened, answering():
        if sql and not check:
            print(schema.statements(opened), end="")
            return 0
        found, newest = schema.revision(opened.readers), schema.newest()
        was = "empty" if found is None else f"at revision {found}"
        if not check:
            schema.upgrade(opened)
            print(f"the database was {was}; it is at revision {newest}")
            return 0
    if found == newest:
        print(f"the database is {was}, the newest")
        return 0
    print(f"the database is {was}, the newest is {newest}: run `covey registry migrate`")
    return 1
