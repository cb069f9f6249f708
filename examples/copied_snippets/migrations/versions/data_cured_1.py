"""Parcels, as cured"""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "data_cured_1", None


def upgrade() -> None:
    op.create_table(
        "parcels_cured",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("label", sa.String(20)),
    )


def downgrade() -> None:
    op.drop_table("parcels_cured")
