"""An enum, as cured"""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "enum_cured", None


def upgrade() -> None:
    op.create_table(
        "papers_cured",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("state", sa.Enum("draft", "done", name="state_cured")),
    )


def downgrade() -> None:
    op.drop_table("papers_cured")
    sa.Enum(name="state_cured").drop(op.get_bind())
