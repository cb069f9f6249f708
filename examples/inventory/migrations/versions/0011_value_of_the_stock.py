"""Value of the stock."""

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.execute(
        "CREATE VIEW stock_value AS SELECT p.id, sum(p.price * s.quantity) AS total"
        " FROM products p JOIN stock s ON s.product_id = p.id GROUP BY p.id"
    )


def downgrade() -> None:
    op.execute("DROP VIEW stock_value")
