"""Empty databases of every product, projects with migrations, and their runners."""

from __future__ import annotations

import contextlib
import textwrap
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_asyncdb.errors import DriverMissing, SourceUnavailable
from pytest_asyncdb.migrations import Runner
from pytest_asyncdb.provisioning import Run
from pytest_asyncdb.settings import parse_target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncConnection

    from pytest_asyncdb.provisioning import Database

TARGETS: Final = ("sqlite@file", "postgresql:18@embedded", "mariadb@local")


class _Empty:
    """Builds nothing."""

    key = None

    async def __call__(self, connection: AsyncConnection, /) -> None:
        """Leave the database empty."""


class Databases:
    """One database of each target, which the first test that asks for it starts."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self.get: Callable[[str], Database] = cache(self._get)

    def _get(self, word: str) -> Database:
        run = Run(parse_target(word))
        self._stack.callback(run.close)
        return run.database(_Empty())

    def empty(self, word: str) -> Database:
        """The database with nothing in it; skips where it cannot be had."""
        try:
            made = self.get(word)
        except (SourceUnavailable, DriverMissing) as error:
            pytest.skip(f"{word}: {error.cause}")
        made.replace()
        return made

    def close(self) -> None:
        """Stop all servers."""
        self._stack.close()


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    """Databases of every product."""
    made = Databases()
    yield made
    made.close()


@pytest.fixture(params=TARGETS)
def database(request: pytest.FixtureRequest, databases: Databases) -> Database:
    """An empty database of each product."""
    return databases.empty(request.param)


@pytest.fixture
def postgresql(databases: Databases) -> Database:
    """An empty database on PostgreSQL."""
    return databases.empty("postgresql:18@embedded")


ASYNC_ENV: Final = """
    import asyncio
    from logging.config import fileConfig
    from alembic import context
    from sqlalchemy import pool
    from sqlalchemy.ext.asyncio import create_async_engine

    def run(connection):
        context.configure(connection=connection, target_metadata=None)
        with context.begin_transaction():
            context.run_migrations()

    async def main():
        engine = create_async_engine(URL, poolclass=pool.NullPool)
        async with engine.connect() as connection:
            await connection.run_sync(run)
        await engine.dispose()

    if context.is_offline_mode():
        context.configure(url=URL, literal_binds=True)
        with context.begin_transaction():
            context.run_migrations()
    else:
        asyncio.run(main())
"""
ELSEWHERE: Final = {
    "sqlite": "sqlite+aiosqlite:////nowhere/production.db",
    "postgresql": "postgresql+asyncpg://app:secret@db.invalid/production",
    "mariadb": "mysql+asyncmy://app:secret@db.invalid/production",
}
"""What env.py says itself: none of these can be reached."""


class Project:
    """A folder with alembic.ini, an env.py that names a server, and revisions."""

    def __init__(self, path: Path, database: Database) -> None:
        self.path = path
        self.database = database
        self.url = ELSEWHERE[database.product]
        self._last: str | None = None
        self.ini("script_location = migrations")
        (path / "migrations" / "versions").mkdir(parents=True)
        self.env(ASYNC_ENV)

    def ini(self, *lines: str) -> None:
        """Write alembic.ini."""
        self.write("alembic.ini", "\n".join(["[alembic]", *lines]))

    def write(self, name: str, text: str) -> None:
        """Write a file."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")

    def env(self, text: str) -> None:
        """Write env.py, with the URL of a server that is not there."""
        plain = textwrap.dedent(text).strip()
        self.write("migrations/env.py", f"URL = {self.url!r}\n{plain}\n")

    def revision(
        self,
        name: str,
        up: str = "pass",
        down: str = "pass",
        *,
        after: str | tuple[str, ...] | None = "",
        head: str = "",
        folder: str = "migrations/versions",
    ) -> None:
        """Write a revision after the last one; SQL is executed, Python is run."""
        before = self._last if after == "" else after
        lines = [
            f'"""{name} it."""',
            "import sqlalchemy as sa",
            "from alembic import op",
            f"revision, down_revision = {name!r}, {before!r}",
            textwrap.dedent(head),
            f"def upgrade():\n{_body(up)}",
            f"def downgrade():\n{_body(down)}",
        ]
        self.write(f"{folder}/{name}.py", "\n".join(lines))
        self._last = name

    def runner(self, given: object = "alembic.ini", **options: Any) -> Runner:
        """The runner of the project, on its database."""
        return Runner(
            given,  # type: ignore[arg-type]
            self.database.url,
            root=self.path,
            reset=self.database.replace,
            **options,
        )


def _body(text: str) -> str:
    plain = textwrap.dedent(text).strip()
    if plain.partition(" ")[0].isupper():
        plain = f"for each in {plain!r}.split(';'):\n    op.execute(each)"
    return textwrap.indent(plain, "    ")


@pytest.fixture
def project(tmp_path: Path, database: Database) -> Project:
    """A project on each product."""
    return Project(tmp_path, database)


@pytest.fixture
def pg_project(tmp_path: Path, postgresql: Database) -> Project:
    """A project on PostgreSQL."""
    return Project(tmp_path, postgresql)
