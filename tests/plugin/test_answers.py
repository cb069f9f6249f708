"""Below the traceback of a test: what happened, for nine errors and nothing else."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pytest

from tests.plugin.test_statements import APP, DATABASES, MODELS

if TYPE_CHECKING:
    from tests.plugin.conftest import Project

TITLE: Final = "asyncdb: what happened"
VERSIONED: Final = """
    from models import Base, User

    class Note(Base):
        __tablename__ = "notes"
        id: Mapped[int] = mapped_column(primary_key=True)
        version: Mapped[int] = mapped_column()
        text: Mapped[str] = mapped_column(String(50))
        __mapper_args__ = {"version_id_col": version}
"""
CONFTEST: Final = """
    import pytest
    from models import Base
    from sqlalchemy.pool import AsyncAdaptedQueuePool

    class OwnPool(AsyncAdaptedQueuePool):
        pass

    @pytest.fixture(scope="session")
    def asyncdb_metadata():
        return Base.metadata

    @pytest.fixture(scope="session")
    def asyncdb_capture():
        return lambda engine: False if isinstance(engine.pool, OwnPool) else None
"""
HEAD: Final = """
    import asyncio, contextlib, gc
    import app
    from conftest import OwnPool
    from models import Note, Post
    from sqlalchemy import exc, update
    from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
    from sqlalchemy.orm.exc import DetachedInstanceError, StaleDataError
    from sqlalchemy.pool import AsyncAdaptedQueuePool

    pytestmark = pytest.mark.filterwarnings("ignore")

    @pytest.fixture(autouse=True)
    def collected():
        yield
        gc.collect()

    @pytest.fixture
    async def ann(db_sessionmaker):
        async with db_sessionmaker.begin() as session:
            session.add(User(name="ann"))
            session.add(Note(text="first"))
"""


@pytest.fixture
def project(project: Project) -> Project:
    """A project with users, their posts, and notes that have a version."""
    note = VERSIONED.replace("    from models import Base, User\n", "")
    project.write("models", MODELS + note)
    project.write("app", APP)
    project.write("conftest", CONFTEST)
    return project


FAILING: Final = {
    "missing_greenlet": """
        async def test_it(ann, db_session, db_statements):
            user = (await app.users(db_session))[0]
            user.posts
    """,
    "expired": """
        async def test_it(ann, db_engine, db_statements):
            async with AsyncSession(db_engine) as session:
                user = (await app.users(session))[0]
                await session.commit()
                user.name
    """,
    "detached": """
        async def test_it(ann, db_sessionmaker, db_statements):
            async with db_sessionmaker() as session:
                user = (await app.users(session))[0]
            user.posts
    """,
    "pending_rollback": """
        async def test_it(ann, db_session):
            db_session.add(User(name="ann"))
            with contextlib.suppress(exc.IntegrityError):
                await db_session.flush()
            await app.users(db_session)
    """,
    "begun": """
        async def test_it(db_session, db_statements):
            await app.users(db_session)
            async with db_session.begin():
                pass
    """,
    "pool": """
        async def test_it(asyncdb):
            engine = create_async_engine(
                asyncdb.url, poolclass=AsyncAdaptedQueuePool,
                pool_size=1, max_overflow=0, pool_timeout=0.05)
            async with engine.connect():
                async with engine.connect():
                    pass
    """,
    "integrity": """
        async def test_it(ann, db_session):
            db_session.add(User(name="ann"))
            await db_session.commit()
    """,
    "stale": """
        async def test_it(ann, db_session, db_sessionmaker):
            note = await db_session.scalar(select(Note))
            await db_session.commit()
            async with db_sessionmaker.begin() as other:
                await other.execute(update(Note).values(version=7))
            note.text = "second"
            await db_session.commit()
    """,
}
ANSWERS: Final = {
    "missing_greenlet": (
        "User.posts was loaded lazily at test_it.py:* in test_it, in code that*",
        "*selectinload(User.posts)) to the query of User at app.py:7 in users*",
    ),
    "expired": (
        (
            "User.name had expired at test_it.py:* in test_it, and was loaded again*"
            " in code that nothing awaits (the User was loaded at app.py:7 in users)*"
        ),
        "*expire_on_commit=False*",
    ),
    "detached": (
        "User.posts was loaded lazily at test_it.py:* of a User that belongs to no*",
        "*to the query of User at app.py:7 in users*",
    ),
    "pending_rollback": (
        (
            "the session was used at app.py:7 in users, but its flush at test_it.py:*"
            " in test_it had failed before (IntegrityError: *"
        ),
        "*await session.rollback() where the error of test_it.py:* is caught*",
    ),
    "begun": (
        (
            "begin() of a session at test_it.py:* in test_it, but it was in one since"
            " the statement at app.py:7 in users*"
        ),
        "*leave the begin() out*",
    ),
    "pool": (
        (
            "a connection was waited for at test_it.py:* had been taken and was not"
            " given back: test_it.py:* in test_it*"
        ),
        "*use `async with`*",
    ),
    "integrity": (
        (
            "the INSERT at test_it.py:* in test_it failed: users has the row already:"
            " id=*, name='ann'*"
        ),
        "*factory.Sequence*",
    ),
    "stale": (
        (
            "a flush at test_it.py:* in test_it changed a row that is not as it was"
            " read: Note * is of version 7 by now, not of 1*"
        ),
        "*with_for_update()*",
    ),
}


@pytest.mark.parametrize("error", FAILING)
@DATABASES
def test_an_error_is_explained(project: Project, database: str, error: str) -> None:
    """By the attribute, the row and the lines of the application that are its cause."""
    project.test(HEAD, FAILING[error])
    result = project.run(f"--asyncdb={database}")

    result.assert_outcomes(failed=1)
    what, remedy = ANSWERS[error]
    result.stdout.fnmatch_lines([f"*- {TITLE} -*", _escaped(what), _escaped(remedy)])


def _escaped(pattern: str) -> str:
    """Brackets are no set of letters here."""
    return re.sub(r"[\[]", "[[]", pattern)


@pytest.mark.parametrize("isolation", ["sandbox", "commit"])
@pytest.mark.parametrize("database", ["postgresql", "mariadb"])
def test_a_connection_of_another_loop(
    project: Project, database: str, isolation: str
) -> None:
    """Where an engine that is not captured had opened it, and in which test."""
    project.test(
        HEAD,
        """
        engines = []

        async def connected(asyncdb):
            if not engines:
                engines.append(create_async_engine(asyncdb.url, poolclass=OwnPool))
            async with engines[0].connect() as connection:
                await connection.execute(text("SELECT 1"))

        async def test_first(asyncdb, db_session):
            await connected(asyncdb)

        async def test_second(asyncdb, db_session):
            await connected(asyncdb)
        """,
    )
    mode = f"--asyncdb-isolation={isolation}"
    result = project.run(f"--asyncdb={database}", mode)

    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            f"*- {TITLE} -*",
            (
                "a connection of * was used at test_it.py:* in connected, but belongs"
                " to the loop on which it was opened: test_it.py:* in connected (of"
                " test_it.py::test_first)*"
            ),
            "*asyncdb_capture returns True for it*",
        ]
    )


@pytest.mark.parametrize("database", ["sqlite", "mariadb"])
def test_a_session_of_two_tasks(project: Project, database: str) -> None:
    """Where SQLAlchemy refuses it, the line is named."""
    project.test(
        HEAD,
        """
        async def test_it(db_session):
            await asyncio.gather(app.users(db_session), app.users(db_session))
        """,
    )
    result = project.run(f"--asyncdb={database}", "--asyncdb-isolation=commit")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "a session or connection was used at app.py:7 in users while it was in*",
            "*give each task a session of its own*",
        ]
    )


@DATABASES
def test_near_misses(project: Project, database: str) -> None:
    """Of errors that only look like one of them, or of another cause, nothing is said.

    The last one is refused by the server for a reason that no row has.
    """
    project.test(
        HEAD,
        """
        async def test_greenlet(db_session, db_statements):
            raise exc.MissingGreenlet("greenlet_spawn has not been called")

        async def test_detached(db_session, db_statements):
            raise DetachedInstanceError("Instance is not bound to a Session")

        async def test_pending(db_session, db_statements):
            raise exc.PendingRollbackError("Can't reconnect until invalid transaction")

        async def test_not_persistent(db_session, db_statements):
            await db_session.refresh(User(name="ann"))

        async def test_future_of_another_loop(db_session):
            other = asyncio.new_event_loop()
            try:
                await other.create_future()
            finally:
                other.close()

        async def test_no_such_column(db_session, db_statements):
            await db_session.execute(text("SELECT nothing FROM users"))

        async def test_timeout(db_session):
            async with asyncio.timeout(0):
                await asyncio.sleep(1)

        async def test_stale(db_session, db_statements):
            raise StaleDataError("UPDATE expected to update 1 row(s); 0 were matched")

        async def test_not_null(ann, db_session, db_statements):
            db_session.add(User(name=None))
            await db_session.commit()
        """,
    )
    result = project.run(f"--asyncdb={database}")

    result.assert_outcomes(failed=9)
    assert TITLE not in str(result.stdout)
