"""An enum, as taught"""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "enum_taught", None


def upgrade() -> None:
    op.create_table(
        "papers_taught",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("state", sa.Enum("draft", "done", name="state_taught")),
    )


def downgrade() -> None:
    op.drop_table("papers_taught")
