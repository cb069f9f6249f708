"""Warehouses."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "warehouses",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("city", sa.String(60), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_warehouses"),
    )


def downgrade() -> None:
    op.drop_table("warehouses")
