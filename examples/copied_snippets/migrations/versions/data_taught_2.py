"""Every parcel has a weight and a label, as taught"""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "data_taught_2", "data_taught_1"


def upgrade() -> None:
    op.add_column("parcels_taught", sa.Column("grams", sa.Integer))
    op.execute("UPDATE parcels_taught SET grams = 1")
    op.execute("COMMIT")
    op.alter_column("parcels_taught", "label", nullable=False)


def downgrade() -> None:
    op.alter_column("parcels_taught", "label", nullable=True)
    op.drop_column("parcels_taught", "grams")
