"""What counts as a read: its transaction holds nothing, and its end refuses nothing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, inspect, select, text

from pytest_asyncdb.backends._text import _PURE, classify
from pytest_asyncdb.errors import RollbackRefused

if TYPE_CHECKING:
    from pytest_asyncdb.isolation import Isolation
    from tests.isolation.conftest import Application, Ending

postgresql = pytest.mark.parametrize("kind", ["asyncpg", "psycopg"])

READS = [
    "SELECT count(*) FILTER (WHERE name = 'a') FROM users",
    "SELECT DISTINCT ON (name) name, id FROM users ORDER BY name, id",
    "SELECT row_number() OVER (PARTITION BY name ORDER BY id) FROM users",
    "SELECT row_number() OVER w FROM users WINDOW w AS (ORDER BY id)",
    "SELECT * FROM users WHERE (id, name) IN (SELECT 1, 'a')",
    "SELECT * FROM users u JOIN LATERAL (SELECT 1) AS l (one) ON true",
    "SELECT g.n FROM generate_series(1, 3) AS g(n)",
    "SELECT x.a FROM json_to_recordset('[{\"a\": 1}]') AS x(a int)",
    "SELECT * FROM unnest(ARRAY[1, 2]) WITH ORDINALITY AS u (value, place)",
    "WITH RECURSIVE t(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM t) TABLE t LIMIT 9",
    "WITH a AS (SELECT 1 AS x), b AS MATERIALIZED (SELECT 2 AS y) SELECT * FROM a, b",
    "SELECT CAST(id AS numeric(10, 2)), name::varchar(20) FROM users",
    "SELECT now()::timestamp(0), CURRENT_DATE, current_timestamp(3)",
    "SELECT to_tsvector('simple', name) @@ to_tsquery('a') FROM users",
    "SELECT pg_catalog.format_type(23, NULL)",
    "SELECT EXISTS (SELECT 1 FROM users), coalesce(NULL, 1), greatest(1, 2)",
    "SELECT extract(year FROM now()), position('a' IN 'b'), substring('a' FROM 1)",
    "SELECT string_agg(name, ',' ORDER BY name) FROM users GROUP BY ROLLUP (name)",
    "SELECT jsonb_path_query_array('[1]', '$[*]'), jsonb_pretty('{}')",
    "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY id) FROM users",
    "SELECT array_to_json(ARRAY[1]), array_replace(ARRAY[1], 1, 2)",
    "SELECT daterange(NULL, NULL), int4range(1, 2), lower_inc(int4range(1, 2))",
    "SELECT regexp_match('a', 'a'), regexp_substr('a', 'a'), string_to_array('a', ',')",
    "SELECT jsonb_insert('[]', '{0}', '1'), json_object_keys('{}'), jsonb_object('{}')",
    "SELECT pg_size_pretty(1::bigint), pg_total_relation_size('users'), txid_current()",
    "SELECT convert_from('a', 'UTF8'), sha256('a'), bit_count('a'::bytea)",
    "SELECT justify_interval('1 day'), make_interval(days => 1), isfinite(now())",
    "SELECT num_nonnulls(1, NULL), gcd(4, 6), cosd(60), width_bucket(1, 0, 9, 3)",
    "SELECT host('::1'::inet), masklen('::1'::inet), col_description(1, 1)",
    "VALUES (1), (2)",
    "TABLE users",
    "SHOW work_mem",
    "EXPLAIN SELECT * FROM users",
    "(SELECT 1) UNION (SELECT 2)",
    "/* hint */ SELECT 1",
]

WRITES = [
    "SELECT nextval('users_id_seq')",
    "SELECT * FROM users FOR UPDATE",
    "SELECT * FROM users FOR NO KEY UPDATE SKIP LOCKED",
    "SELECT * FROM users FOR SHARE",
    "WITH x AS (INSERT INTO users (name) VALUES ('cte') RETURNING id) SELECT * FROM x",
    "WITH x AS (DELETE FROM users RETURNING id) SELECT * FROM x",
    "EXPLAIN ANALYZE INSERT INTO users (name) VALUES ('explained')",
    "EXPLAIN (ANALYZE, COSTS off) INSERT INTO users (name) VALUES ('explained')",
    "SELECT 1 AS x INTO made",
    "SELECT query_to_xml('SELECT nextval(''users_id_seq'')', true, true, '')",
    "SELECT set_config('work_mem', '1MB', true)",
    "SELECT setval('users_id_seq', 5000)",
    "SELECT pg_notify('a', 'b')",
    "SELECT lo_create(0)",
    "SELECT \"nextval\"('users_id_seq')",
    "SELECT pg_catalog.nextval('users_id_seq')",
    "SELECT pg_catalog . nextval ('users_id_seq')",
    "SELECT nextval/* comment */('users_id_seq')",
    "SELECT public.count(1) FROM users",
    "MERGE INTO users USING seeds ON false WHEN NOT MATCHED THEN DO NOTHING",
    "LOCK TABLE users",
    "SELECT 1; INSERT INTO users (name) VALUES ('second')",
    "COPY (SELECT 1) TO STDOUT",
    "CALL something()",
    "REFRESH MATERIALIZED VIEW some_view",
]


@pytest.mark.parametrize("statement", READS)
def test_statements_that_read(statement: str) -> None:
    """A read too many on the other list only costs; here the tests would be refused."""
    assert classify(statement).reads


@pytest.mark.parametrize("statement", WRITES)
def test_statements_that_write(statement: str) -> None:
    """A write taken for a read is a row that is lost without a word."""
    assert not classify(statement).reads


@postgresql
@pytest.mark.parametrize("statement", READS)
async def test_a_reader_rolls_back_over_anothers_row(
    app: Application, statement: str
) -> None:
    """Every one of those statements runs, and the end of its transaction is free."""
    async with app.engine.connect() as connection:
        await connection.exec_driver_sql(statement)
        await app.add("kept")
        await connection.rollback()

    assert ["kept"] == await app.names()


@postgresql
async def test_a_writer_by_a_function_does_not(
    app: Application, ending: Ending
) -> None:
    """SELECT of a function that inserts, then another's row, then the rollback."""
    ending.fatal("cannot be rolled back")
    async with app.engine.begin() as connection:
        await connection.exec_driver_sql(
            "CREATE FUNCTION enlist(n text) RETURNS bigint LANGUAGE sql AS "
            "$$ INSERT INTO users (id, name) VALUES (-5, n) RETURNING id $$"
        )
    async with app.session() as session:
        await session.scalar(select(func.enlist("by a function")))
        await app.add("other")
        with pytest.raises(RollbackRefused):
            await session.rollback()


SIZES = ["DATABASE", "INDEXES", "RELATION", "TABLE", "TOTAL_RELATION"]


@pytest.mark.parametrize("kind", ["asyncpg"])
async def test_the_server_calls_pure_what_we_call_pure(app: Application) -> None:
    """Volatile functions may write; of the list only clocks, chance and sizes are."""
    question = text(
        "SELECT DISTINCT upper(proname) FROM pg_proc "
        "WHERE provolatile = 'v' AND upper(proname) = ANY (:names)"
    )
    async with app.engine.connect() as connection:
        found = await connection.scalars(question, {"names": sorted(_PURE)})

        assert set(found) <= {
            "CLOCK_TIMESTAMP",
            "GEN_RANDOM_UUID",
            "PG_SLEEP",
            "RANDOM",
            "TIMEOFDAY",
            "UUIDV4",
            "UUIDV7",
        } | {f"PG_{what}_SIZE" for what in SIZES}


INSPECTIONS = [
    "get_multi_columns",
    "get_multi_indexes",
    "get_multi_foreign_keys",
    "get_multi_check_constraints",
    "get_multi_unique_constraints",
    "get_multi_pk_constraint",
    "get_view_names",
    "get_schema_names",
    "get_table_names",
]


@pytest.mark.parametrize("question", INSPECTIONS)
async def test_the_inspector_only_reads(app: Application, question: str) -> None:
    """Reflection on either product: catalog queries, and PRAGMA with arguments."""
    async with app.engine.connect() as connection:
        await connection.run_sync(lambda sync: getattr(inspect(sync), question)())
        await app.add("kept")
        await connection.rollback()

    assert ["kept"] == await app.names()


def test_create_all_of_what_is_there_only_reads(
    app: Application, isolation: Isolation
) -> None:
    """A lifespan that calls it, as tutorials do, passes outside of tests."""

    async def lifespan() -> None:
        async with app.engine.begin() as connection:
            await connection.run_sync(app.User.metadata.create_all)

    with isolation.outside("fixture lifespan is set up"):
        isolation.run(lifespan)


def test_classifying_a_long_text_takes_no_time() -> None:
    """Ten thousand rows in one INSERT, a long literal, a function of 1,000 lines."""
    lines = "IF x THEN y := 'it''s'; END IF; -- comment\n" * 1_000
    began = time.perf_counter()
    for long in (
        "INSERT INTO t VALUES " + ", ".join(["('it''s', $1, $$x$$)"] * 10_000),
        "SELECT '" + "it''s " * 25_000 + "'",
        "SELECT 1 IN (" + "$1::int, " * 25_000 + "1)",
        f"CREATE FUNCTION f() AS $$ BEGIN {lines} END $$ LANGUAGE plpgsql",
        f"DO $$ BEGIN {lines} END $$",
    ):
        classify.__wrapped__(long)

    assert 10 > time.perf_counter() - began
