"""Stock."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "stock",
        sa.Column("product_id", sa.Integer, nullable=False),
        sa.Column("warehouse_id", sa.Integer, nullable=False),
        sa.Column("quantity", sa.Integer, nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("product_id", "warehouse_id", name="pk_stock"),
        sa.ForeignKeyConstraint(
            ["product_id"],
            ["products.id"],
            name="fk_stock_product_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["warehouse_id"], ["warehouses.id"], name="fk_stock_warehouse_id"
        ),
        sa.CheckConstraint("quantity >= 0", name=op.f("ck_stock_quantity")),
    )


def downgrade() -> None:
    op.drop_table("stock")
