"""Purging: what was deleted from the tables leaves the database's files as well.

Backups and replicas keep their own copies for as long as the operator keeps them.
"""

from __future__ import annotations

from sqlalchemy import Engine

from covey_consent.errors import DamageError


def purge(engine: Engine) -> None:
    """Have deleted rows leave the database's files, as far as the database can. Outside of any transaction.

    SQLite zeroes what it deletes (`secure_delete`), but copies of rows that moved between pages stay, as do
    those in its write-ahead log: the file is rebuilt and that log emptied. PostgreSQL frees the room of
    deleted rows for reuse; its own write-ahead log is a backup like others.
    """
    if engine.dialect.name == "sqlite":
        _rebuild(engine)
        return
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM")


def _rebuild(engine: Engine) -> None:
    # A connection of SQLAlchemy's own would begin a transaction first.
    connection = engine.raw_connection()
    try:
        cursor = connection.cursor()
        cursor.execute("VACUUM")
        busy, *_ = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        connection.close()
    if busy:
        raise DamageError(
            "another process reads the database for long: its write-ahead log cannot be emptied"
        )
