"""Products."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


KIND = sa.Enum("part", "tool", name="product_kind")


def upgrade() -> None:
    op.create_table(
        "products",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("supplier_id", sa.Integer, nullable=False),
        sa.Column("sku", sa.String(20), nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("kind", KIND, nullable=False),
        sa.Column("price", sa.Numeric(10, 2), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_products"),
        sa.ForeignKeyConstraint(
            ["supplier_id"],
            ["suppliers.id"],
            name="fk_products_supplier_id",
            ondelete="CASCADE",
        ),
        sa.CheckConstraint("price >= 0", name=op.f("ck_products_price")),
    )


def downgrade() -> None:
    op.drop_table("products")
    KIND.drop(op.get_bind(), checkfirst=False)
