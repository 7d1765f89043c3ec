"""SQLite's write-ahead log goes into the database after answers, not before them.

SQLite does that within a commit, once the log is long: whoever waits for that commit waits for thousands of
pages. The writer has time for it between its answers and what is asked next.
"""

from __future__ import annotations

import logging
import sqlite3

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from covey_consent.errors import ConsentRegistryError

GROUPS = 8
"""Groups of writes after which the log is copied: few pages each time, and not the same ones again."""

log = logging.getLogger("covey.registry")


class WriteAheadLog:
    """The log of the database that this engine's one connection writes; used by the writer's thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._groups = engine, 0

    def rest(self) -> None:
        """Copy the log's pages into the database where it is time, as far as no reader needs them there.

        What cannot be copied now stays in the log, which is as safe.
        """
        self._groups += 1
        if self._groups % GROUPS:
            return
        try:
            self._copy()
        except (SQLAlchemyError, sqlite3.Error, ConsentRegistryError) as error:
            log.warning("the write-ahead log is copied later: %s", error)

    def _copy(self) -> None:
        # A connection of SQLAlchemy's own would begin a transaction first.
        connection = self._engine.raw_connection()
        try:
            connection.cursor().execute("PRAGMA wal_checkpoint(PASSIVE)")
        finally:
            connection.close()
