"""What operators work with: queues, gates, dead letters, the audit log; and reservations."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the tables, and the indexes by which rates are counted and drift is found."""
    op.create_index("ix_jobs_state", "jobs", ["state", "submitted_at", "id"])
    op.create_index("ix_ledger_state_called", "ledger", ["state", "called_at"])
    _line_calls_up()
    _create_combinations()
    _create_queues()
    _create_gates()
    _create_dead_letters()
    _create_audit()


def _line_calls_up() -> None:
    for name in ("admitted_at", "wanted_at"):
        op.add_column("ledger", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    in_flight = sa.text("state IN ('calling', 'accepted') AND NOT hinted")
    is_wanted = sa.text("wanted_at IS NOT NULL")
    op.create_index(
        "ix_ledger_in_flight",
        "ledger",
        ["provider", "called_at"],
        sqlite_where=in_flight,
        postgresql_where=in_flight,
    )
    op.create_index(
        "ix_ledger_wanted",
        "ledger",
        ["provider", "wanted_at"],
        sqlite_where=is_wanted,
        postgresql_where=is_wanted,
    )
    op.create_table(
        "calls",
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("called_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("call", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("provider", "called_at", "call"),
    )


def _create_combinations() -> None:
    op.create_table(
        "combinations",
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("reserved_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("owner", "key"),
    )
    op.create_index("ix_combinations_job", "combinations", ["job_id"])


def _create_queues() -> None:
    op.create_table(
        "queues",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("concurrency", sa.Integer(), nullable=False),
        sa.Column("owner_limit", sa.Integer(), nullable=True),
        sa.Column("is_paused", sa.Boolean(), nullable=False),
        sa.Column("is_draining", sa.Boolean(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )


def _create_gates() -> None:
    op.create_table(
        "gates",
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("trips", sa.Integer(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("canary", sa.String(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("provider", "model"),
    )


def _create_dead_letters() -> None:
    op.create_table(
        "deadletters",
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("stage", sa.String(), nullable=False),
        sa.Column("provider", sa.String(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("parked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("escalated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_by", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("letter", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "run"),
    )
    op.create_index("ix_deadletters_state", "deadletters", ["state", "parked_at", "job_id"])
    op.create_index(
        "ix_deadletters_state_code", "deadletters", ["state", "code", "parked_at", "job_id"]
    )


def _create_audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_audit_target", "audit", ["target", "id"])
