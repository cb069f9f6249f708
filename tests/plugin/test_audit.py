"""`--asyncdb-audit`: which tests are others with real commits."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Project

DIFFERENT = """
    import asyncio
    from sqlalchemy import event

    async def test_now(db_session):
        first = await db_session.scalar(select(func.now()))
        await db_session.commit()
        assert first == await db_session.scalar(select(func.now()))

    async def test_skip_locked(db_session, db_sessionmaker):
        db_session.add(User(name="ann"))
        await db_session.commit()
        taken = select(User.id).with_for_update(skip_locked=True)
        await db_session.execute(taken)
        async with db_sessionmaker() as other:
            assert [] != list(await other.scalars(taken))

    async def test_advisory_lock(db_session, db_sessionmaker):
        mine = text("SELECT pg_try_advisory_xact_lock(7)")
        assert await db_session.scalar(mine)
        async with db_sessionmaker() as other:
            assert await other.scalar(mine)

    async def test_uncommitted(db_session, db_sessionmaker):
        db_session.add(User(name="ann"))
        await db_session.flush()
        async with db_sessionmaker() as other:
            assert 1 == await other.scalar(COUNT)

    async def test_level(db_engine):
        engine = db_engine.execution_options(isolation_level="SERIALIZABLE")
        async with engine.connect() as connection:
            asked = text("SELECT current_setting('transaction_isolation')")
            assert "read committed" == await connection.scalar(asked)

    async def test_notify(db_engine):
        heard = []
        async with db_engine.connect() as listener:
            raw = (await listener.get_raw_connection()).driver_connection
            await raw.add_listener("news", lambda *said: heard.append(said))
            async with db_engine.begin() as connection:
                await connection.execute(text("NOTIFY news"))
            await asyncio.sleep(0.2)
            await raw.remove_listener("news", heard.append)
        assert not heard

    async def test_connections(db_engine):
        pid = text("SELECT pg_backend_pid()")
        async with db_engine.connect() as one, db_engine.connect() as two:
            assert await one.scalar(pid) == await two.scalar(pid)

    async def test_autocommit(db_engine):
        engine = db_engine.execution_options(isolation_level="AUTOCOMMIT")
        async with engine.connect() as connection:
            await connection.execute(insert(User).values(name="ann"))
"""
SAME = """
    @pytest.mark.parametrize("number", range(11))
    async def test_same(db_session, db_sessionmaker, number):
        db_session.add(User(name=f"user {number}"))
        await db_session.commit()
        async with db_sessionmaker() as other:
            assert 1 == await other.scalar(COUNT)

    async def test_fails_anyhow(db_session):
        assert 1 == await db_session.scalar(COUNT)
"""


def test_the_tests_that_are_others_are_listed(project: Project) -> None:
    """Those eight of twenty, each with the first line of what it says."""
    project.test(DIFFERENT, SAME)
    report = project.path / "audit.json"

    result = project.run(
        "--asyncdb=postgresql", "--asyncdb-audit", f"--asyncdb-audit-json={report}"
    )
    found = {each["test"] for each in json.loads(report.read_text())}
    expected = {f"test_it.py::{name}" for name in re.findall(r"def (\w+)", DIFFERENT)}

    result.stdout.fnmatch_lines(
        [
            "*audit: sandbox against real commits*",
            "*test_now: passed in the sandbox, failed with real commits",
            "    AssertionError: *",
            "8 of 20 tests differ",
        ]
    )
    assert expected == found
    assert 2 == result.parseoutcomes()["failed"]


@pytest.mark.parametrize("workers", [0, 2])
def test_rows_that_only_one_of_them_leaves_are_a_difference(
    project: Project, workers: int
) -> None:
    """Also where the verdict is the same; and under xdist."""
    project.test(
        """
        @pytest.mark.parametrize("name", ["ann", "bob"])
        async def test_leaves(db_session, asyncdb, _asyncdb_isolation, name):
            pid = text("SELECT pg_backend_pid()")
            first = await db_session.scalar(pid)
            async with _asyncdb_isolation.engine.begin() as connection:
                if first != await connection.scalar(pid):
                    await connection.execute(insert(User).values(name=name))

        async def test_same(db_session):
            db_session.add(User(name="ann"))
            await db_session.commit()

        def test_other():
            pass
        """
    )

    result = project.run(
        "--asyncdb=postgresql",
        "--asyncdb-audit",
        f"-n{workers}",
        plugins=("asyncdb", "asyncio", "xdist.plugin"),
    )

    result.assert_outcomes(passed=7)
    result.stdout.fnmatch_lines(
        [
            "*test_leaves[[]ann[]]: passed in the sandbox, passed with real commits",
            "    rows: 1 added in users, with real commits alone",
            "2 of 3 tests differ",
        ]
    )


def test_tests_of_unittest_run_twice_too(project: Project) -> None:
    """They take no parameters; both runs have the name of the one test."""
    project.test(
        """
        import unittest
        from sqlalchemy.ext.asyncio import create_async_engine

        engine = create_async_engine("sqlite+aiosqlite:///must-not-be-made.db")

        async def add(connection):
            await connection.execute(insert(User).values(name="ann"))

        @pytest.mark.asyncdb
        class TestIt(unittest.IsolatedAsyncioTestCase):
            async def test_same(self):
                async with engine.begin() as connection:
                    await add(connection)

            async def test_sees_what_is_not_committed(self):
                async with engine.connect() as one, engine.connect() as other:
                    await add(one)
                    assert 1 == await other.scalar(COUNT)
        """
    )

    result = project.run("--asyncdb-audit")

    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(
        [
            "*test_sees_what_is_not_committed: passed in the sandbox, failed with*",
            "1 of 2 tests differ",
        ]
    )
    assert not (project.path / "must-not-be-made.db").exists()
