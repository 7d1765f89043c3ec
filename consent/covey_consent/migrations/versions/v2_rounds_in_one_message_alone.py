"""rounds in one message alone.

Drops what earlier rounds in five phases kept beside their log entries, which stay, and adds the signed sets
that anyone may read by their roots. Of final sets that were signed before, only those that leave nobody out
can be read.
"""

import sqlalchemy as sa
from alembic import context, op

from covey_privacy.secagg.leaves import LeafSet
from covey_privacy.secagg.messages import unpack_leaves

revision = "2"
down_revision = "1"
branch_labels = None
depends_on = None

TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    """Go from the revision before to this one."""
    sets = op.create_table(
        "published_sets",
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("round_id", TEXT, nullable=False),
        sa.Column("excluded", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["round_id"], ["included_sets.round_id"], name=op.f("fk_published_sets_round_id")
        ),
        sa.PrimaryKeyConstraint("root", name=op.f("pk_published_sets")),
    )
    if not context.is_offline_mode():
        included = op.get_bind().execute(sa.text("SELECT round_id, leaves FROM included_sets")).all()
        roots = [(LeafSet(unpack_leaves(leaves)).root, round_id) for round_id, leaves in included]
        rows = [{"root": root, "round_id": round_id, "excluded": b""} for root, round_id in roots]
        op.bulk_insert(sets, rows)
    for column in ("head", "countersignature", "issued"):
        op.drop_column("rounds", column)


def downgrade() -> None:
    """Go back."""
    op.add_column("rounds", sa.Column("head", sa.LargeBinary(), nullable=True))
    op.add_column("rounds", sa.Column("countersignature", sa.LargeBinary(), nullable=True))
    op.add_column("rounds", sa.Column("issued", sa.BigInteger(), nullable=True))
    op.drop_table("published_sets")
