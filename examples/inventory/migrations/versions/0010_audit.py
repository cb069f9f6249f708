"""Audit."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def schema() -> str | None:
    return "audit" if op.get_context().dialect.name == "postgresql" else None


def upgrade() -> None:
    if schema():
        op.execute("CREATE SCHEMA audit")
    op.create_table(
        "changes",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("product_id", sa.Integer, nullable=False),
        sa.Column("before", sa.Integer, nullable=False),
        sa.Column("after", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_changes"),
        schema=schema(),
    )


def downgrade() -> None:
    op.drop_table("changes", schema=schema())
    if schema():
        op.execute("DROP SCHEMA audit")
