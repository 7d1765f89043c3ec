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
        "access_log",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("role", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("operation", TEXT, nullable=False),
        sa.Column("subject", TEXT, nullable=True),
        sa.Column("reason", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_log")),
        info={"blank": ("subject", "reason"), "stand_in": True},
    )
    with op.batch_alter_table("access_log", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_access_log_name"), ["name"], unique=False)
        batch_op.create_index(batch_op.f("ix_access_log_subject"), ["subject"], unique=False)

    op.create_table(
        "assessments",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("purpose", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("author", TEXT, nullable=False),
        sa.Column("written_at", sa.BigInteger(), nullable=False),
        sa.Column("valid_until", sa.BigInteger(), nullable=False),
        sa.Column("approved_by", TEXT, nullable=True),
        sa.Column("approved_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assessments")),
    )
    with op.batch_alter_table("assessments", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_assessments_purpose"), ["purpose"], unique=False)

    op.create_table(
        "breaches",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("detected_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("scope", sa.LargeBinary(), nullable=False),
        sa.Column("account", sa.LargeBinary(), nullable=False),
        sa.Column("authority_at", sa.BigInteger(), nullable=True),
        sa.Column("people_at", sa.BigInteger(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_breaches")),
    )
    op.create_table(
        "checkpoints",
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("note", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("size", name=op.f("pk_checkpoints")),
    )
    op.create_table(
        "clock_state",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clock_state")),
    )
    op.create_table(
        "cosignatures",
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("witness", TEXT, nullable=False),
        sa.Column("line", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("size", "witness", name=op.f("pk_cosignatures")),
    )
    op.create_table(
        "ended_epochs",
        sa.Column("epoch", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("index", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("epoch", name=op.f("pk_ended_epochs")),
    )
    op.create_table(
        "erasure_steps",
        sa.Column("erasure", TEXT, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("step", TEXT, nullable=False),
        sa.Column("role", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("method", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("erasure", "number", name=op.f("pk_erasure_steps")),
    )
    with op.batch_alter_table("erasure_steps", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_erasure_steps_at"), ["at"], unique=False)

    op.create_table(
        "idempotent_answers",
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("request", sa.LargeBinary(), nullable=False),
        sa.Column("subject", TEXT, nullable=True),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_idempotent_answers")),
    )
    with op.batch_alter_table("idempotent_answers", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_idempotent_answers_expires_at"), ["expires_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_idempotent_answers_subject"), ["subject"], unique=False)

    op.create_table(
        "issuer_keys",
        sa.Column("epoch", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("purposes", TEXT, nullable=False),
        sa.Column("keys", sa.LargeBinary(), nullable=False),
        sa.Column("index", sa.BigInteger(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("epoch", "purposes", name=op.f("pk_issuer_keys")),
    )
    op.create_table(
        "log",
        sa.Column(
            "index", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("entry", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("index", name=op.f("pk_log")),
    )
    op.create_table(
        "notice_proposals",
        sa.Column("purpose", TEXT, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("author", TEXT, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("purpose", "digest", name=op.f("pk_notice_proposals")),
    )
    op.create_table(
        "notices",
        sa.Column("purpose", TEXT, nullable=False),
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("minor", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("patch", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("notice", sa.LargeBinary(), nullable=False),
        sa.Column("source", TEXT, nullable=False),
        sa.Column("terms", TEXT, nullable=False),
        sa.Column("published_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("purpose", "version", "minor", "patch", name=op.f("pk_notices")),
    )
    op.create_table(
        "promised",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("commitment", sa.LargeBinary(), nullable=False),
        sa.Column("promised_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_promised")),
    )
    op.create_table(
        "recipients",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("url", TEXT, nullable=False),
        sa.Column("purposes", TEXT, nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("added_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recipients")),
        sa.UniqueConstraint("name", name=op.f("uq_recipients_name")),
    )
    op.create_table(
        "revocations",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("token", TEXT, nullable=True),
        sa.Column("role", TEXT, nullable=True),
        sa.Column("name", TEXT, nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("by", TEXT, nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_revocations")),
    )
    with op.batch_alter_table("revocations", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_revocations_until"), ["until"], unique=False)

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
        "subjects",
        sa.Column("subject", TEXT, nullable=False),
        sa.Column("enrolled_hour", sa.BigInteger(), nullable=False),
        sa.Column("country", TEXT, nullable=False),
        sa.Column("birth_year", sa.BigInteger(), nullable=True),
        sa.Column("guardian", TEXT, nullable=True),
        sa.ForeignKeyConstraint(["guardian"], ["subjects.subject"], name=op.f("fk_subjects_guardian")),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_subjects")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "tombstones",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("hour", sa.BigInteger(), nullable=False),
        sa.Column("certificate", TEXT, nullable=False),
        sa.Column("purged", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tombstones")),
    )
    op.create_table(
        "write_probe",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_write_probe")),
    )
    op.create_table(
        "attribute_changes",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("subject", TEXT, nullable=False),
        sa.Column("attribute", TEXT, nullable=False),
        sa.Column("before", TEXT, nullable=False),
        sa.Column("after", TEXT, nullable=False),
        sa.Column("role", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["subject"], ["subjects.subject"], name=op.f("fk_attribute_changes_subject")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attribute_changes")),
    )
    with op.batch_alter_table("attribute_changes", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_attribute_changes_subject"), ["subject"], unique=False)

    op.create_table(
        "breach_steps",
        sa.Column("breach", TEXT, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("step", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("account", sa.LargeBinary(), nullable=False),
        sa.Column("role", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["breach"], ["breaches.id"], name=op.f("fk_breach_steps_breach")),
        sa.PrimaryKeyConstraint("breach", "number", name=op.f("pk_breach_steps")),
    )
    op.create_table(
        "choices",
        sa.Column("subject", TEXT, nullable=False),
        sa.Column("purpose", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("notice_version", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["subject"], ["subjects.subject"], name=op.f("fk_choices_subject")),
        sa.PrimaryKeyConstraint("subject", "purpose", name=op.f("pk_choices")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "detached_devices",
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("subject", TEXT, nullable=False),
        sa.Column("detached_hour", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["subject"], ["subjects.subject"], name=op.f("fk_detached_devices_subject")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_detached_devices")),
    )
    with op.batch_alter_table("detached_devices", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_detached_devices_subject"), ["subject"], unique=False)

    op.create_table(
        "devices",
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("subject", TEXT, nullable=False),
        sa.Column("enrolled_hour", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["subject"], ["subjects.subject"], name=op.f("fk_devices_subject")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_devices")),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("devices", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_devices_subject"), ["subject"], unique=False)

    op.create_table(
        "events",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("event", TEXT, nullable=False),
        sa.Column("subject", TEXT, nullable=False),
        sa.Column("purpose", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("actor", TEXT, nullable=False),
        sa.Column("method", TEXT, nullable=False),
        sa.Column("notice", TEXT, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("language", TEXT, nullable=False),
        sa.Column("text_digest", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("counts_at", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("source", TEXT, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("commitment", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["subject"], ["subjects.subject"], name=op.f("fk_events_subject")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
        sa.UniqueConstraint("digest", name=op.f("uq_events_digest")),
        sa.UniqueConstraint("event", name=op.f("uq_events_event")),
    )
    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_events_subject"), ["subject"], unique=False)

    op.create_table(
        "issuances",
        sa.Column("epoch", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("purposes", TEXT, nullable=False),
        sa.Column("subject", TEXT, nullable=False),
        sa.Column("hour", sa.BigInteger(), nullable=False),
        sa.Column("request", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["subject"], ["subjects.subject"], name=op.f("fk_issuances_subject")),
        sa.PrimaryKeyConstraint("epoch", "purposes", "subject", name=op.f("pk_issuances")),
    )
    with op.batch_alter_table("issuances", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_issuances_subject"), ["subject"], unique=False)

    op.create_table(
        "notifications",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("recipient", TEXT, nullable=False),
        sa.Column("subject", TEXT, nullable=True),
        sa.Column("event", TEXT, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("told_at", sa.BigInteger(), nullable=True),
        sa.Column("answer", TEXT, nullable=False),
        sa.ForeignKeyConstraint(["recipient"], ["recipients.id"], name=op.f("fk_notifications_recipient")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notifications")),
    )
    with op.batch_alter_table("notifications", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_notifications_recipient"), ["recipient"], unique=False)
        batch_op.create_index(batch_op.f("ix_notifications_subject"), ["subject"], unique=False)
        batch_op.create_index("notifications_by_due", ["state", "due_at"], unique=False)

    op.create_table(
        "rights_requests",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("subject", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("purpose", TEXT, nullable=True),
        sa.Column("words", TEXT, nullable=False),
        sa.Column("changes", TEXT, nullable=True),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("extended", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("entered_role", TEXT, nullable=False),
        sa.Column("entered_by", TEXT, nullable=False),
        sa.ForeignKeyConstraint(["subject"], ["subjects.subject"], name=op.f("fk_rights_requests_subject")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rights_requests")),
    )
    with op.batch_alter_table("rights_requests", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_rights_requests_received_at"), ["received_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_rights_requests_subject"), ["subject"], unique=False)
        batch_op.create_index("rights_requests_by_due", ["state", "due_at"], unique=False)

    op.create_table(
        "served",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("subject", TEXT, nullable=False),
        sa.Column("purpose", TEXT, nullable=False),
        sa.Column("version", TEXT, nullable=False),
        sa.Column("language", TEXT, nullable=False),
        sa.Column("text_digest", sa.LargeBinary(), nullable=False),
        sa.Column("place", TEXT, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["subject"], ["subjects.subject"], name=op.f("fk_served_subject")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_served")),
        sa.UniqueConstraint(
            "subject", "text_digest", "place", "at", name=op.f("uq_served_subject_text_digest_place_at")
        ),
    )
    op.create_table(
        "spent",
        sa.Column("round_key", sa.LargeBinary(), nullable=False),
        sa.Column("round_id", TEXT, nullable=False),
        sa.Column("claim", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["round_id"], ["rounds.round_id"], name=op.f("fk_spent_round_id")),
        sa.PrimaryKeyConstraint("round_key", name=op.f("pk_spent")),
    )
    with op.batch_alter_table("spent", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_spent_round_id"), ["round_id"], unique=False)

    op.create_table(
        "subject_keys",
        sa.Column("subject", TEXT, nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["subject"], ["subjects.subject"], name=op.f("fk_subject_keys_subject")),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_subject_keys")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "subject_references",
        sa.Column("subject", TEXT, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["subject"], ["subjects.subject"], name=op.f("fk_subject_references_subject")
        ),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_subject_references")),
        sa.UniqueConstraint("digest", name=op.f("uq_subject_references_digest")),
    )
    op.create_table(
        "event_reasons",
        sa.Column("event", TEXT, nullable=False),
        sa.Column("subject", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.ForeignKeyConstraint(["event"], ["events.event"], name=op.f("fk_event_reasons_event")),
        sa.ForeignKeyConstraint(["subject"], ["subjects.subject"], name=op.f("fk_event_reasons_subject")),
        sa.PrimaryKeyConstraint("event", name=op.f("pk_event_reasons")),
    )
    with op.batch_alter_table("event_reasons", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_event_reasons_subject"), ["subject"], unique=False)

    op.create_table(
        "rights_steps",
        sa.Column("request", TEXT, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("subject", TEXT, nullable=False),
        sa.Column("step", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("role", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("method", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["request"], ["rights_requests.id"], name=op.f("fk_rights_steps_request")),
        sa.ForeignKeyConstraint(["subject"], ["subjects.subject"], name=op.f("fk_rights_steps_subject")),
        sa.PrimaryKeyConstraint("request", "number", name=op.f("pk_rights_steps")),
    )
    with op.batch_alter_table("rights_steps", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_rights_steps_subject"), ["subject"], unique=False)

    op.create_table(
        "included_sets",
        sa.Column("round_id", TEXT, nullable=False),
        sa.Column("committees", sa.LargeBinary(), nullable=False),
        sa.Column("leaves", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["round_id"], ["rounds.round_id"], name=op.f("fk_included_sets_round_id")),
        sa.PrimaryKeyConstraint("round_id", name=op.f("pk_included_sets")),
    )
    op.create_table(
        "round_entries",
        sa.Column("name", sa.LargeBinary(), nullable=False),
        sa.Column("round_id", TEXT, nullable=False),
        sa.Column("context", TEXT, nullable=False),
        sa.Column("index", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("signed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["index"], ["log.index"], name=op.f("fk_round_entries_index")),
        sa.ForeignKeyConstraint(["round_id"], ["rounds.round_id"], name=op.f("fk_round_entries_round_id")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_round_entries")),
    )
    with op.batch_alter_table("round_entries", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_round_entries_round_id"), ["round_id"], unique=False)

    op.create_table(
        "round_volunteers",
        sa.Column("round_key", sa.LargeBinary(), nullable=False),
        sa.Column("round_id", TEXT, nullable=False),
        sa.Column("box_key", sa.LargeBinary(), nullable=False),
        sa.Column("offer", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["round_id"], ["rounds.round_id"], name=op.f("fk_round_volunteers_round_id")),
        sa.PrimaryKeyConstraint("round_key", name=op.f("pk_round_volunteers")),
        sa.UniqueConstraint("round_id", "box_key", name=op.f("uq_round_volunteers_round_id_box_key")),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Go back."""
    op.drop_table("round_volunteers")
    with op.batch_alter_table("round_entries", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_round_entries_round_id"))

    op.drop_table("round_entries")
    op.drop_table("included_sets")
    with op.batch_alter_table("rights_steps", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_rights_steps_subject"))

    op.drop_table("rights_steps")
    with op.batch_alter_table("event_reasons", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_event_reasons_subject"))

    op.drop_table("event_reasons")
    op.drop_table("subject_references")
    op.drop_table("subject_keys")
    with op.batch_alter_table("spent", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_spent_round_id"))

    op.drop_table("spent")
    op.drop_table("served")
    with op.batch_alter_table("rights_requests", schema=None) as batch_op:
        batch_op.drop_index("rights_requests_by_due")
        batch_op.drop_index(batch_op.f("ix_rights_requests_subject"))
        batch_op.drop_index(batch_op.f("ix_rights_requests_received_at"))

    op.drop_table("rights_requests")
    with op.batch_alter_table("notifications", schema=None) as batch_op:
        batch_op.drop_index("notifications_by_due")
        batch_op.drop_index(batch_op.f("ix_notifications_subject"))
        batch_op.drop_index(batch_op.f("ix_notifications_recipient"))

    op.drop_table("notifications")
    with op.batch_alter_table("issuances", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_issuances_subject"))

    op.drop_table("issuances")
    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_events_subject"))

    op.drop_table("events")
    with op.batch_alter_table("devices", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_devices_subject"))

    op.drop_table("devices")
    with op.batch_alter_table("detached_devices", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_detached_devices_subject"))

    op.drop_table("detached_devices")
    op.drop_table("choices")
    op.drop_table("breach_steps")
    with op.batch_alter_table("attribute_changes", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_attribute_changes_subject"))

    op.drop_table("attribute_changes")
    op.drop_table("write_probe")
    op.drop_table("tombstones")
    op.drop_table("subjects")
    op.drop_table("rounds")
    with op.batch_alter_table("revocations", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_revocations_until"))

    op.drop_table("revocations")
    op.drop_table("recipients")
    op.drop_table("promised")
    op.drop_table("notices")
    op.drop_table("notice_proposals")
    op.drop_table("log")
    op.drop_table("issuer_keys")
    with op.batch_alter_table("idempotent_answers", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_idempotent_answers_subject"))
        batch_op.drop_index(batch_op.f("ix_idempotent_answers_expires_at"))

    op.drop_table("idempotent_answers")
    with op.batch_alter_table("erasure_steps", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_erasure_steps_at"))

    op.drop_table("erasure_steps")
    op.drop_table("ended_epochs")
    op.drop_table("cosignatures")
    op.drop_table("clock_state")
    op.drop_table("checkpoints")
    op.drop_table("breaches")
    with op.batch_alter_table("assessments", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_assessments_purpose"))

    op.drop_table("assessments")
    with op.batch_alter_table("access_log", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_access_log_subject"))
        batch_op.drop_index(batch_op.f("ix_access_log_name"))

    op.drop_table("access_log")
