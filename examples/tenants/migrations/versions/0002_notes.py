"""Notes of a tenant, in the schema that stands for his"""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0002", "0001"


def upgrade() -> None:
    op.execute("CREATE SCHEMA tenant")
    op.create_table(
        "notes",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("text", sa.String(200), nullable=False),
        schema="tenant",
    )


def downgrade() -> None:
    op.drop_table("notes", schema="tenant")
    op.execute("DROP SCHEMA tenant")
