"""What migrations would do to a live PostgreSQL: dangerous patterns, and safe ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from sqlalchemy import create_engine, event
from sqlalchemy.pool import NullPool

from pytest_asyncdb.migrations._locks import Locks, observed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from pytest_asyncdb.provisioning import Database
    from tests.migrations.conftest import Project

BASE: Final = """
    CREATE TABLE p (id INTEGER PRIMARY KEY);
    CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, name VARCHAR(20),
        made TIMESTAMP, p_id INTEGER);
    CREATE TABLE bare (id INTEGER);
    INSERT INTO p VALUES (1), (2), (3);
    INSERT INTO t SELECT i, i, 'n' || i, now(), i FROM generate_series(1, 3) i;
    INSERT INTO bare VALUES (1), (2);
"""
DANGEROUS: Final = {
    "index": ("CREATE INDEX i ON t (n)", "builds i on t without CONCURRENTLY"),
    "unique index": ("CREATE UNIQUE INDEX i ON t (n)", "builds i on t without"),
    "unique constraint": (
        "ALTER TABLE t ADD CONSTRAINT u UNIQUE (n)",
        "builds u on t without CONCURRENTLY, under ACCESS EXCLUSIVE",
    ),
    "primary key": ("ALTER TABLE bare ADD PRIMARY KEY (id)", "on bare without"),
    "foreign key": (
        "ALTER TABLE t ADD FOREIGN KEY (p_id) REFERENCES p",
        "reads all of t under SHARE ROW EXCLUSIVE",
    ),
    "check": ("ALTER TABLE t ADD CHECK (n > 0)", "reads all of t under ACCESS EXCL"),
    "not null": ("ALTER TABLE t ALTER n SET NOT NULL", "reads all of t under ACCESS"),
    "volatile default": (
        "ALTER TABLE t ADD r FLOAT DEFAULT random()",
        "rewrites t under ACCESS EXCLUSIVE",
    ),
    "serial": ("ALTER TABLE t ADD s SERIAL", "rewrites t under ACCESS EXCLUSIVE"),
    "stored generated": (
        "ALTER TABLE t ADD g INTEGER GENERATED ALWAYS AS (n + 1) STORED",
        "rewrites t",
    ),
    "type": ("ALTER TABLE t ALTER n TYPE BIGINT", "rewrites t under ACCESS EXCLUSIVE"),
    "cluster": ("CLUSTER t USING t_pkey", "rewrites t under ACCESS EXCLUSIVE"),
    "truncate": ("TRUNCATE bare", "rewrites bare under ACCESS EXCLUSIVE"),
    "rename of a column": (
        "ALTER TABLE t RENAME n TO m",
        "t.n is now named m; code may use the old name",
    ),
    "rename of a table": ("ALTER TABLE t RENAME TO u", "t is now named u"),
    "dropped column": ("ALTER TABLE t DROP n", "t.n is gone, which code may use"),
    "dropped table": ("DROP TABLE bare", "bare is gone, which code may use"),
    "work after a lock": (
        "ALTER TABLE t ADD c INTEGER;UPDATE t SET c = 1 WHERE id = 1",
        "holds ACCESS EXCLUSIVE on t while it runs: UPDATE t",
    ),
    "all rows": ("UPDATE t SET n = 0", "changes all rows of t at once"),
    "no rows left": ("DELETE FROM t", "changes all rows of t at once"),
    "two tables": (
        "ALTER TABLE t ADD c INTEGER;ALTER TABLE p ADD c INTEGER",
        "locks p, t in one transaction",
    ),
}
SAFE: Final = {
    "new table": "CREATE TABLE child (id INTEGER PRIMARY KEY REFERENCES p)",
    "nullable column": "ALTER TABLE t ADD c INTEGER",
    "constant default": "ALTER TABLE t ADD c INTEGER NOT NULL DEFAULT 1",
    "foreign key not valid": (
        "ALTER TABLE t ADD FOREIGN KEY (p_id) REFERENCES p NOT VALID"
    ),
    "check not valid": "ALTER TABLE t ADD CHECK (n > 0) NOT VALID",
    "wider text": "ALTER TABLE t ALTER name TYPE VARCHAR(40)",
    "text": "ALTER TABLE t ALTER name TYPE TEXT",
    "with a zone": "SET timezone = 'UTC';ALTER TABLE t ALTER made TYPE TIMESTAMPTZ",
    "one row": "UPDATE t SET n = 0 WHERE id = 1",
    "not the new rows": (
        "INSERT INTO t (id) VALUES (8), (9);UPDATE t SET n = 0 WHERE id < 4"
    ),
    "trigger": (
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN RETURN NEW, END';"
        "CREATE TRIGGER g BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f()"
    ),
    "default": "ALTER TABLE t ALTER n SET DEFAULT 1",
}
PROVEN: Final = {
    "validation": (
        "ALTER TABLE t ADD CONSTRAINT c CHECK (n > 0) NOT VALID",
        "ALTER TABLE t VALIDATE CONSTRAINT c",
    ),
    "not null that a check proves": (
        "ALTER TABLE t ADD CONSTRAINT c CHECK (n IS NOT NULL)",
        "ALTER TABLE t ALTER n SET NOT NULL",
    ),
}


@pytest.fixture
def filled(postgresql: Database) -> Iterator[Connection]:
    """A connection to a database with filled tables."""
    url = postgresql.url.set(drivername="postgresql+psycopg")
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(BASE)
        connection.commit()
        yield connection


def seen(connection: Connection, sql: str) -> Locks:
    """What is observed of these statements."""
    with observed(connection, ()) as locks:
        for each in sql.split(";"):
            connection.exec_driver_sql(
                each.replace(",", ";") if "BEGIN" in each else each
            )
    return locks


@pytest.mark.parametrize("pattern", DANGEROUS)
def test_what_a_live_database_would_feel_is_told(
    filled: Connection, pattern: str
) -> None:
    """With the lock, the table and the statement."""
    sql, words = DANGEROUS[pattern]
    told = seen(filled, sql).dangers

    assert any(words in each for each in told), told


@pytest.mark.parametrize("pattern", SAFE)
def test_what_is_short_is_silent(filled: Connection, pattern: str) -> None:
    """Though it may lock a table for a moment."""
    assert [] == seen(filled, SAFE[pattern]).dangers


@pytest.mark.parametrize("pattern", PROVEN)
def test_what_was_made_ready_before_is_silent(filled: Connection, pattern: str) -> None:
    """In a transaction of its own, that is."""
    before, sql = PROVEN[pattern]
    filled.exec_driver_sql(before)
    filled.commit()

    assert [] == seen(filled, sql).dangers


def test_the_strongest_lock_of_each_table(filled: Connection) -> None:
    """Of those that were there before, with its share of the time."""
    strongest = seen(filled, "ALTER TABLE t ADD c INTEGER;SELECT 1").strongest

    assert ["t"] == list(strongest)
    assert strongest["t"].startswith("ACCESS EXCLUSIVE (")


def test_a_statement_is_observed_with_one_more(filled: Connection) -> None:
    """However many tables there are."""
    sent: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        sent.append(statement)

    with observed(filled, ()):
        event.listen(filled, "before_cursor_execute", note)
        filled.exec_driver_sql("ALTER TABLE t ADD c INTEGER")
        filled.exec_driver_sql("ALTER TABLE p ADD c INTEGER")
        at_work = len(sent)

    assert 4 == at_work, sent


def test_a_rewrite_that_has_committed_is_told(filled: Connection) -> None:
    """By itself, in autocommit; its lock is gone by then."""
    alone = filled.execution_options(isolation_level="AUTOCOMMIT")
    told = seen(alone, "ALTER TABLE t ALTER n TYPE BIGINT;SELECT 1").dangers

    assert ["rewrites t under no lock: ALTER TABLE t ALTER n TYPE BIGINT"] == told


@pytest.mark.parametrize("sql", ["DEALLOCATE ALL", "DISCARD PLANS;DEALLOCATE ALL"])
def test_a_migration_may_forget_what_is_prepared(filled: Connection, sql: str) -> None:
    """What observes it is prepared again."""
    told = seen(filled, f"{sql};CREATE INDEX i ON t (n)").dangers

    assert ["builds i on t without CONCURRENTLY"] == [
        each.partition(",")[0] for each in told
    ]


def test_what_counts_rows_is_no_reading_of_the_migration(filled: Connection) -> None:
    """The rows of a table are counted where many of them have changed."""
    told = seen(filled, "UPDATE t SET n = 0;ALTER TABLE t ADD c INTEGER").dangers

    assert ["changes all rows of t at once: UPDATE t SET n = 0"] == told


def test_a_view_that_holds_nothing_is_not_read(filled: Connection) -> None:
    """A materialized view without data cannot be read at all."""
    filled.exec_driver_sql("CREATE MATERIALIZED VIEW v AS SELECT * FROM t WITH NO DATA")
    filled.commit()

    assert [] == seen(filled, "ALTER TABLE t ADD c INTEGER").dangers


def test_a_history_is_observed(pg_project: Project) -> None:
    """On tables that hold rows; an index that is built concurrently is silent."""
    block = "with op.get_context().autocommit_block():\n    op.execute({!r})"
    table = "CREATE TABLE one (id INTEGER PRIMARY KEY, n INTEGER)"
    pg_project.revision("a1", table, "DROP TABLE one")
    pg_project.revision("a2", "CREATE INDEX i ON one (n)", "DROP INDEX i")
    pg_project.revision(
        "a3", block.format("CREATE INDEX CONCURRENTLY j ON one (n)"), "DROP INDEX j"
    )
    pg_project.revision(
        "a4",
        "CREATE INDEX k ON one (n)",
        "DROP INDEX k",
        head="# asyncdb: locks ok, the table is small",
    )
    runner = pg_project.runner(locks="warn")
    found = {name: runner.locks_of(name) for name in runner.revisions}
    dangers = {name: each.dangers for name, each in found.items() if each is not None}

    assert {"a1", "a2", "a3", "a4"} == set(dangers)
    assert ["a2"] == [name for name, each in dangers.items() if each]
    assert "builds i on one without CONCURRENTLY, under SHARE" in dangers["a2"][0]


def test_locks_are_not_observed_unless_asked_for(project: Project) -> None:
    """It costs a statement for each one."""
    project.revision("a1", "CREATE TABLE one (id INTEGER PRIMARY KEY)", "SELECT 1")

    assert None is project.runner().locks_of("a1")
