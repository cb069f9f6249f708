"""The fixture `db_faults`: on the application's own engines, in real commits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Project

TARGETS = (
    "sqlite",
    "postgresql+asyncpg:18@embedded",
    "postgresql+psycopg:18@embedded",
    "mariadb+asyncmy@local",
    "mariadb+aiomysql@local",
)
MODELS = """
    from sqlalchemy import String
    from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

    class Base(DeclarativeBase):
        pass

    class User(Base):
        __tablename__ = "users"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(String(20), unique=True)
"""


@pytest.mark.parametrize("target", TARGETS)
def test_faults_in_an_application(project: Project, target: str) -> None:
    """Its own engine, its retries, a sweep, and nothing of it is left behind."""
    project.write(
        "app",
        """
        from models import User
        from sqlalchemy import select
        from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
        from pytest_asyncdb import retry_transaction

        def sessions(url):
            return async_sessionmaker(create_async_engine(url))

        async def rename(sessionmaker, name):
            async def work(session):
                user = (await session.scalars(select(User))).one()
                user.name = name

            await retry_transaction(sessionmaker, work, delay=0)
        """,
    )
    project.write("models", MODELS)
    project.test(
        """
        import app
        from sqlalchemy.exc import SQLAlchemyError
        from pytest_asyncdb import classify

        @pytest.fixture
        async def ann(db_sessionmaker):
            async with db_sessionmaker.begin() as session:
                session.add(User(name="ann"))

        async def test_inject(asyncdb, ann, db_faults, db_sessionmaker):
            sessionmaker = app.sessions(asyncdb.url)
            with db_faults.inject("deadlock_detected", matching="UPDATE users"):
                await app.rename(sessionmaker, "bob")
            db_faults.inject("lock_not_available", at_commit=True, times=9)
            with pytest.raises(SQLAlchemyError) as caught:
                await app.rename(sessionmaker, "cid")
            assert classify(caught.value).transient
            async with db_sessionmaker() as session:
                assert "bob" == await session.scalar(select(User.name))

        async def test_sweep(asyncdb, ann, db_faults, db_sessionmaker):
            sessionmaker = app.sessions(asyncdb.url)
            sweep = db_faults.sweep("serialization_failure", recovers=True)
            async for fault in sweep:
                async with fault:
                    await app.rename(sessionmaker, "bob")
            assert ["ok"] * 3 == sweep.verdicts

        async def test_lost(asyncdb, ann, db_faults, db_sessionmaker):
            if asyncdb.product == "sqlite":
                pytest.skip("has no connection to be lost")
            sessionmaker = app.sessions(asyncdb.url)
            for moment, name in (("before", "ann"), ("during", "ann"), ("after", "b")):
                with db_faults.inject("connection_failure", at_commit=moment):
                    with pytest.raises(SQLAlchemyError) as caught:
                        await app.rename(sessionmaker, "b")
                assert classify(caught.value).outcome_unknown
                async with db_sessionmaker() as session:
                    assert name == await session.scalar(select(User.name))

        async def test_nothing_is_left(db_session):
            assert 0 == await db_session.scalar(COUNT)
        """
    )

    result = project.run(f"--asyncdb={target}")

    outcomes = {"passed": 3, "skipped": 1} if target == "sqlite" else {"passed": 4}
    if "no mariadb server" in result.stdout.str():
        pytest.skip("no mariadb server is installed")
    result.assert_outcomes(**outcomes)


SHAPES = {
    "postgresql+asyncpg:18@embedded": """
        deadlock_detected DBAPIError 40P01 False DBAPIError
        lock_not_available DBAPIError 55P03 False DBAPIError
        unique_violation IntegrityError 23505 False DBAPIError
    """,
    "postgresql+psycopg:18@embedded": """
        deadlock_detected OperationalError 40P01 False InternalError
        lock_not_available OperationalError 55P03 False InternalError
        unique_violation IntegrityError 23505 False InternalError
        admin_shutdown OperationalError 57P01 True PendingRollbackError
    """,
    "mariadb+asyncmy@local": """
        deadlock_detected OperationalError 1213 False none
        lock_not_available OperationalError 1205 False none
        unique_violation IntegrityError 1062 False none
    """,
    "mariadb+aiomysql@local": """
        deadlock_detected OperationalError 1213 False none
        lock_not_available OperationalError 1205 False none
        unique_violation IntegrityError 1062 False none
    """,
}


@pytest.mark.parametrize("target", SHAPES)
def test_errors_are_the_driver_s(project: Project, target: str) -> None:
    """Also where the driver's connection is on a loop of the plugin's own."""
    project.write("models", MODELS)
    rows = [tuple(line.split()) for line in SHAPES[target].split("\n") if line.strip()]
    project.test(
        f"ROWS = {rows}\n",
        """
        @pytest.mark.parametrize("condition, kind, code, lost, following", ROWS)
        async def test_it(db_faults, db_engine, condition, kind, code, lost, following):
            async with db_engine.connect() as connection:
                await connection.execute(COUNT)
                with db_faults.inject(condition), pytest.raises(Exception) as caught:
                    await connection.execute(COUNT)
                orig = caught.value.orig
                found = getattr(orig, "sqlstate", None)
                if isinstance(orig.args[0], int):
                    found = orig.args[0]
                error = None
                try:
                    await connection.execute(COUNT)
                except Exception as raised:
                    error = raised
            assert (kind, code, lost) == (
                type(caught.value).__name__,
                str(found),
                str(caught.value.connection_invalidated),
            )
            assert following == ("none" if error is None else type(error).__name__)

        async def test_nothing_is_left(db_session):
            assert 0 == await db_session.scalar(COUNT)
        """,
    )

    result = project.run(f"--asyncdb={target}")

    if "no mariadb server" in result.stdout.str():
        pytest.skip("no mariadb server is installed")
    result.assert_outcomes(passed=len(rows) + 1)


def test_what_a_passing_error_means(project: Project) -> None:
    """A test that one fails says below the traceback what helps."""
    project.test(
        """
        async def test_it(db_faults, db_sessionmaker):
            db_faults.inject("deadlock_detected")
            async with db_sessionmaker.begin() as session:
                await session.execute(COUNT)
        """
    )

    result = project.run()

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*asyncdb: what the database said*",
            "lock_not_available (5): the statement was undone, what came before it*",
            "  - retry_transaction(sessionmaker, fn), around the whole transaction",
        ]
    )


def test_a_sandbox_is_refused(project: Project) -> None:
    """At collection where the mark says so; a wider default gives way."""
    project.ini(asyncdb_isolation="sandbox")
    project.test(
        """
        @pytest.mark.asyncdb(isolation="sandbox")
        async def test_sandboxed(db_faults):
            pass
        """
    )
    refused = project.run()
    project.test(
        """
        async def test_real(db_faults, request):
            pass

        @pytest.mark.asyncdb(isolation="database")
        async def test_own(db_faults):
            pass

        async def test_late(db_session, request):
            request.getfixturevalue("db_faults")
        """
    )
    late = project.run()

    refused.assert_outcomes(errors=1)
    refused.stdout.fnmatch_lines(
        [
            '*test_sandboxed: isolation="sandbox" puts all sessions into one trans*',
        ]
    )
    late.assert_outcomes(passed=2, failed=1)
    late.stdout.fnmatch_lines(["*test_late asks for real commits when its sandbox is*"])


def test_the_library_in_a_sandbox(project: Project) -> None:
    """A fault, and a check, say that nothing would be real, and what helps."""
    project.test(
        """
        from pytest_asyncdb import Faults, check_idempotent

        async def test_fault(db_engine, db_session):
            faults = Faults(db_engine)
            faults.inject("deadlock_detected")
            try:
                async with db_engine.connect() as connection:
                    await connection.execute(COUNT)
            finally:
                faults.close()

        async def test_check(db_engine):
            async def nothing():
                pass

            await check_idempotent(nothing, engine=db_engine)
        """
    )

    result = project.run()

    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "*the test is in a sandbox, where no transaction is a real one*",
            "*ask for the fixture db_faults*",
            "*the test is in a sandbox, where no transaction is a real one*",
        ]
    )


def test_checks_use_what_the_test_asks_for(project: Project) -> None:
    """No engine has to be given; without the fixture it is said which one."""
    project.test(
        """
        from pytest_asyncdb import (
            CheckFailed, CheckRefused, check_deadlock_free, check_idempotent,
            check_isolation, check_optimistic_lock, check_retries, retry_transaction)

        @pytest.fixture
        async def ann(db_session):
            db_session.add(User(name="ann"))
            await db_session.commit()

        @pytest.fixture
        def rename(db_sessionmaker):
            async def work(session):
                (await session.scalar(select(User))).name = "bob"

            return lambda: retry_transaction(db_sessionmaker, work)

        async def test_of_faults(ann, rename, db_faults):
            await check_retries(rename, on={"lock_not_available"})
            await check_idempotent(rename)

        async def test_of_interleavings(ann, rename, db_concurrency):
            await check_deadlock_free(rename)
            assert (await check_isolation(rename)).level is not None

        async def test_of_sessions(ann, db_concurrency):
            async def update(session, seen, number):
                (await session.get_one(User, seen.id)).name = f"{number}"

            with pytest.raises(CheckFailed):
                await check_optimistic_lock(User, update=update)

        async def test_of_nothing(rename, db_session):
            with pytest.raises(CheckRefused, match="ask for db_faults in the test"):
                await check_idempotent(rename)
        """
    )

    result = project.run("--asyncdb=postgresql")

    result.assert_outcomes(passed=4)


def test_a_fault_that_is_never_reached(project: Project) -> None:
    """It fails the test, and says which statements there were."""
    project.test(
        """
        async def test_it(db_faults, db_session):
            db_faults.inject("deadlock_detected", matching="UPDATE orders")
            await db_session.scalar(COUNT)
        """
    )

    result = project.run()

    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*deadlock_detected at statement 1 matching 'UPDATE orders' was never*",
            "*SELECT count(*",
        ]
    )


def test_two_faults_on_one_statement(project: Project) -> None:
    """It can fail in one way only; swallowing the refusal does not help."""
    project.test(
        """
        async def test_it(db_faults, db_session):
            db_faults.inject("deadlock_detected")
            db_faults.inject("serialization_failure")
            try:
                await db_session.scalar(COUNT)
            except Exception:
                pass
        """
    )

    result = project.run()

    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*two faults are due at one statement: SELECT count*"])


def test_the_table_of_a_sweep(project: Project) -> None:
    """A failed sweep shows each position; so does any one with -rP."""
    project.test(
        """
        async def test_wrong(db_faults, db_sessionmaker):
            async for fault in db_faults.sweep("deadlock_detected"):
                async with fault, db_sessionmaker() as session:
                    session.add(User(name="ann"))
                    await session.commit()
                    session.add(User(name="bob"))
                    await session.commit()

        async def test_right(db_faults, db_sessionmaker):
            async for fault in db_faults.sweep("deadlock_detected"):
                async with fault, db_sessionmaker.begin() as session:
                    session.add(User(name="ann"))
        """
    )

    result = project.run("-rP")

    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "E * deadlock_detected, 4 positions",
            "E *  1  INSERT INTO users*failed cleanly (OperationalError)",
            "E *  3  INSERT INTO users*wrong state (OperationalError)",
            "E *users: id='new 2' name='bob' is missing",
            "*asyncdb: sweep*",
            "  2  COMMIT  *failed cleanly (OperationalError)",
        ]
    )


@pytest.mark.parametrize("target", TARGETS[1:])
def test_a_server_is_restarted(project: Project, target: str) -> None:
    """With pre-ping the application goes on; without it one request fails, at once."""
    project.test(
        """
        import asyncio, time
        from sqlalchemy.exc import DBAPIError
        from sqlalchemy.ext.asyncio import create_async_engine
        from pytest_asyncdb import classify

        @pytest.mark.parametrize("pre_ping", [True, False])
        async def test_restart(db_faults, pre_ping):
            async with db_faults.private_server() as server:
                engine = create_async_engine(server.url, pool_pre_ping=pre_ping)
                async with engine.begin() as connection:
                    await connection.execute(insert(User), {"name": "ann"})
                await server.restart()
                began = time.monotonic()
                try:
                    async with engine.connect() as connection:
                        found = await connection.scalar(select(User.name))
                except DBAPIError as error:
                    condition = classify(error)
                    assert condition.disconnected and condition.transient
                    found = condition
                assert time.monotonic() - began < 5
                assert pre_ping == (found == "ann")
                async with engine.connect() as connection:
                    assert "ann" == await connection.scalar(select(User.name))
                await engine.dispose()

        async def test_others_have_noticed_nothing(db_session):
            assert 0 == await db_session.scalar(COUNT)
        """
    )
    project.write("models", MODELS)

    result = project.run(f"--asyncdb={target}")

    if "no mariadb server" in result.stdout.str():
        pytest.skip("no mariadb server is installed")
    result.assert_outcomes(passed=3)


def test_a_server_that_nobody_may_restart(project: Project) -> None:
    """SQLite has none, and one at a URL is somebody else's."""
    project.test(
        """
        async def test_it(db_faults):
            async with db_faults.private_server():
                pass
        """
    )

    result = project.run()

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*a server from the source 'memory' is not started*"])
