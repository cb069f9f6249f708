from sqlalchemy import text

from pytest_asyncdb import Runner


async def test_products_that_were_there_get_a_label(db_migrations: Runner) -> None:
    """The data migration: rows from before it."""
    await db_migrations.upgrade("0007")
    async with db_migrations.engine.begin() as connection:
        await connection.execute(text("INSERT INTO suppliers VALUES (1, 'Bolt & Co')"))
        await connection.execute(
            text("INSERT INTO products VALUES (1, 1, 'b-1', 'bolt', 'part', 2)")
        )
    await db_migrations.upgrade("0008")
    async with db_migrations.engine.connect() as connection:
        label = await connection.scalar(text("SELECT label FROM products"))

    assert "b-1: bolt" == label
