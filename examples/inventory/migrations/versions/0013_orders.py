"""Orders."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


STATUS = sa.Enum("open", "sent", "paid", name="order_status")


def upgrade() -> None:
    op.create_table(
        "orders",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("customer_id", sa.Integer, nullable=False),
        sa.Column("status", STATUS, nullable=False, server_default="open"),
        sa.Column("placed", sa.DateTime, nullable=False, server_default=sa.func.now()),
        sa.Column("version", sa.Integer, nullable=False, server_default="1"),
        sa.PrimaryKeyConstraint("id", name="pk_orders"),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name="fk_orders_customer_id"
        ),
    )


def downgrade() -> None:
    op.drop_table("orders")
    STATUS.drop(op.get_bind(), checkfirst=False)
