"""Merge stock and customers."""

revision = "0007"
down_revision = ("0005", "0006")


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
