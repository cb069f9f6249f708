"""Every parcel has a weight and a label, as cured"""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "data_cured_2", "data_cured_1"


def upgrade() -> None:
    op.add_column("parcels_cured", sa.Column("grams", sa.Integer))
    op.execute("UPDATE parcels_cured SET grams = 1")
    op.alter_column("parcels_cured", "label", nullable=False)


def downgrade() -> None:
    op.alter_column("parcels_cured", "label", nullable=True)
    op.drop_column("parcels_cured", "grams")
