"""A scratch database: one that a drill finds empty, and empties."""

from __future__ import annotations

from covey_consent.errors import RequestError
from covey_consent.storage import database, schema
from covey_consent.storage.database import answering


def require_empty(url: str) -> None:
    """Raise RequestError where the database at the URL has tables."""
    opened = database.connect(url)
    try:
        with answering():
            found = schema.revision(opened.readers)
    finally:
        opened.close()
    if found is not None:
        raise RequestError("a registry's database is given; the drill takes an empty one, and empties it")


def empty_database(url: str) -> None:
    """Drop the registry's tables from the database at the URL."""
    opened = database.connect(url)
    try:
        with answering():
            schema.downgrade(opened)
    finally:
        opened.close()
