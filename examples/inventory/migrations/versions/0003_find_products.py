"""Find products."""

from alembic import op

revision = "0003"
down_revision = "0002"
asyncdb_rows_accepted = "no stock-keeping unit was ever there twice"


def upgrade() -> None:
    op.create_index("ix_products_name", "products", ["name"])
    with op.batch_alter_table("products") as batch:
        batch.create_unique_constraint("uq_products_sku", ["sku"])


def downgrade() -> None:
    with op.batch_alter_table("products") as batch:
        batch.drop_constraint("uq_products_sku", type_="unique")
    op.drop_index("ix_products_name", "products")
