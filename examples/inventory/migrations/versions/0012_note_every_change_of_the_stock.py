"""Note every change of the stock."""

from alembic import op

revision = "0012"
down_revision = "0011"


NOTE = (
    "INSERT INTO {} (product_id, {}, {})"
    " VALUES (NEW.product_id, OLD.quantity, NEW.quantity)"
)
TRIGGER = "CREATE TRIGGER stock_change AFTER UPDATE ON stock"
FUNCTION = f"""CREATE FUNCTION note_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN {NOTE.format("audit.changes", "before", "after")}; RETURN NEW; END $$"""
POSTGRESQL = (FUNCTION, f"{TRIGGER} FOR EACH ROW EXECUTE FUNCTION note_change()")
MARIADB = (f"{TRIGGER} FOR EACH ROW {NOTE.format('changes', '`before`', '`after`')}",)
QUOTED = NOTE.format("changes", '"before"', '"after"')
SQLITE = (f"{TRIGGER} BEGIN {QUOTED}; END",)
TRIGGERS = {"postgresql": POSTGRESQL, "sqlite": SQLITE}


def upgrade() -> None:
    for statement in TRIGGERS.get(op.get_context().dialect.name, MARIADB):
        op.execute(statement)


def downgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        op.execute("DROP TRIGGER stock_change ON stock")
        op.execute("DROP FUNCTION note_change()")
    else:
        op.execute("DROP TRIGGER stock_change")
