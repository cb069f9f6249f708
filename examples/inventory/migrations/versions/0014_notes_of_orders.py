"""Notes of orders."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.add_column("orders", sa.Column("note", sa.Text))


def downgrade() -> None:
    op.drop_column("orders", "note")
