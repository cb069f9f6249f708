"""Labels of products."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


PRODUCTS = sa.table(
    "products", sa.column("sku"), sa.column("name"), sa.column("label", sa.String)
)


def upgrade() -> None:
    op.add_column("products", sa.Column("label", sa.String(110), nullable=True))
    label = sa.cast(PRODUCTS.c.sku, sa.String(20)).concat(": ").concat(PRODUCTS.c.name)
    op.execute(PRODUCTS.update().values(label=label))
    with op.batch_alter_table("products") as batch:
        batch.alter_column("label", existing_type=sa.String(110), nullable=False)


def downgrade() -> None:
    with op.batch_alter_table("products") as batch:
        batch.drop_column("label")
