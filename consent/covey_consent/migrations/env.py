"""What Alembic runs around the migrations: on a connection, or printing them for a dialect."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from sqlalchemy import Connection

from covey_consent import app
from covey_consent.errors import DamageError
from covey_consent.storage.models import TEXT, Base

__all__ = ["app"]  # Every table's module is imported through it.


def _render(kind: str, found: object, _context: object) -> str | Literal[False]:
    return "TEXT" if kind == "type" and found is TEXT else False


MODELS: dict[str, Any] = {"target_metadata": Base.metadata, "render_as_batch": True, "render_item": _render}


def _run(connection: Connection) -> None:
    context.configure(connection, transactional_ddl=True, **MODELS)
    with context.begin_transaction():
        context.run_migrations()
        if _dangling(connection):
            raise DamageError("the migration would leave rows that refer to none; nothing was changed")


def _dangling(connection: Connection) -> bool:
    """Say whether rows refer to none, which SQLite does not check while tables are being replaced."""
    on_sqlite = connection.dialect.name == "sqlite"
    return on_sqlite and bool(connection.exec_driver_sql("PRAGMA foreign_key_check").all())


def _print(dialect: str) -> None:
    context.configure(dialect_name=dialect, literal_binds=True, **MODELS)
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    _print(context.config.attributes["dialect"])
else:
    _run(context.config.attributes["connection"])
