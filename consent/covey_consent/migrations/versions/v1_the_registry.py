"""the registry."""

import sqlalchemy as sa
from alembic import op

revision = "1"
down_revision = None
branch_labels = None
depends_on = None

TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    """Go from the revision before to this one."""
    op.create_table(
        "checkpoints",
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("note", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("size", name=op.f("pk_checkpoints")),
    )
    op.create_table(
        "devices",
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("enrolled_hour", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_devices")),
    )
    op.create_table(
        "issuer_keys",
        sa.Column("epoch", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("purposes", TEXT, nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("index", sa.BigInteger(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("epoch", "purposes", name=op.f("pk_issuer_keys")),
    )
    op.create_table(
        "log",
        sa.Column("index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("entry", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("index", name=op.f("pk_log")),
    )
    op.create_table(
        "notices",
        sa.Column("purpose", TEXT, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("notice", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("purpose", "version", name=op.f("pk_notices")),
    )
    op.create_table(
        "rounds",
        sa.Column("round_id", TEXT, nullable=False),
        sa.Column("manifest", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("manifest_index", sa.BigInteger(), nullable=False),
        sa.Column("head", sa.LargeBinary(), nullable=True),
        sa.Column("countersignature", sa.LargeBinary(), nullable=True),
        sa.Column("issued", sa.BigInteger(), nullable=True),
        sa.Column("evidence", sa.LargeBinary(), nullable=True),
        sa.Column("evidence_index", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("round_id", name=op.f("pk_rounds")),
        sa.UniqueConstraint("digest", name=op.f("uq_rounds_digest")),
    )
    op.create_table(
        "choices",
        sa.Column("device", sa.LargeBinary(), nullable=False),
        sa.Column("purpose", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("notice_version", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["device"], ["devices.key"], name=op.f("fk_choices_device")),
        sa.PrimaryKeyConstraint("device", "purpose", name=op.f("pk_choices")),
    )
    with op.batch_alter_table("choices", schema=None) as batch_op:
        batch_op.create_index("choices_by_purpose", ["purpose", "state", "notice_version"], unique=False)

    op.create_table(
        "decisions",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("device", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("signed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["device"], ["devices.key"], name=op.f("fk_decisions_device")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decisions")),
        sa.UniqueConstraint("digest", name=op.f("uq_decisions_digest")),
    )
    with op.batch_alter_table("decisions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_decisions_device"), ["device"], unique=False)

    op.create_table(
        "issuances",
        sa.Column("epoch", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("purposes", TEXT, nullable=False),
        sa.Column("device", sa.LargeBinary(), nullable=False),
        sa.Column("hour", sa.BigInteger(), nullable=False),
        sa.Column("request", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["device"], ["devices.key"], name=op.f("fk_issuances_device")),
        sa.PrimaryKeyConstraint("epoch", "purposes", "device", name=op.f("pk_issuances")),
    )
    op.create_table(
        "spent",
        sa.Column("round_key", sa.LargeBinary(), nullable=False),
        sa.Column("round_id", TEXT, nullable=False),
        sa.ForeignKeyConstraint(["round_id"], ["rounds.round_id"], name=op.f("fk_spent_round_id")),
        sa.PrimaryKeyConstraint("round_key", name=op.f("pk_spent")),
    )
    with op.batch_alter_table("spent", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_spent_round_id"), ["round_id"], unique=False)


def downgrade() -> None:
    """Go back."""
    with op.batch_alter_table("spent", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_spent_round_id"))

    op.drop_table("spent")
    op.drop_table("issuances")
    with op.batch_alter_table("decisions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_decisions_device"))

    op.drop_table("decisions")
    with op.batch_alter_table("choices", schema=None) as batch_op:
        batch_op.drop_index("choices_by_purpose")

    op.drop_table("choices")
    op.drop_table("rounds")
    op.drop_table("notices")
    op.drop_table("log")
    op.drop_table("issuer_keys")
    op.drop_table("devices")
    op.drop_table("checkpoints")
