"""Parcels, as taught"""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "data_taught_1", None


def upgrade() -> None:
    op.create_table(
        "parcels_taught",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("label", sa.String(20)),
    )


def downgrade() -> None:
    op.drop_table("parcels_taught")
