"""Addresses of suppliers."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    with op.batch_alter_table("suppliers") as batch:
        batch.alter_column(
            "name",
            existing_type=sa.String(60),
            existing_nullable=False,
            type_=sa.String(100),
        )
        batch.add_column(sa.Column("email", sa.String(200)))


def downgrade() -> None:
    with op.batch_alter_table("suppliers") as batch:
        batch.drop_column("email")
        batch.alter_column(
            "name",
            existing_type=sa.String(100),
            existing_nullable=False,
            type_=sa.String(60),
        )
