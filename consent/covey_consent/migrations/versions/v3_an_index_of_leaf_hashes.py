"""an index of leaf hashes.

The log's entries are found by their leaf hash in the table; earlier, a registry kept an index in memory.
"""

from typing import Any

import sqlalchemy as sa
from alembic import context, op
from alembic.util import CommandError

from covey_privacy.merkle import leaf_hash

revision = "3"
down_revision = "2"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go from the revision before to this one."""
    op.add_column("log", sa.Column("leaf", sa.LargeBinary(), nullable=True))
    if op.get_context().dialect.name == "postgresql":
        op.execute("UPDATE log SET leaf = sha256('\\x00'::bytea || entry)")
    elif not context.is_offline_mode():
        bare: Any = op.get_bind().connection.driver_connection
        bare.create_function("leaf_hash", 1, leaf_hash, deterministic=True)
        op.execute("UPDATE log SET leaf = leaf_hash(entry)")
    elif context.get_starting_revision_argument():
        raise CommandError("SQLite itself has no SHA-256, by which the log's entries are found from now on")
    op.create_index(op.f("ix_log_leaf"), "log", ["leaf"])


def downgrade() -> None:
    """Go back."""
    op.drop_index(op.f("ix_log_leaf"), "log")
    op.drop_column("log", "leaf")
