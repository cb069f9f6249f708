"""A project with a synthetic history, as large as it is asked for."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["write"]

_ENV: Final = """
import asyncio

import models
from alembic import context
from sqlalchemy import pool
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine


def run(connection):
    context.configure(connection=connection, target_metadata=models.metadata)
    with context.begin_transaction():
        context.run_migrations()


async def main(engine):
    async with engine.connect() as connection:
        await connection.run_sync(run)
    await engine.dispose()


given = context.config.attributes.get("connection")
if given is None:
    asyncio.run(main(create_async_engine(URL, poolclass=pool.NullPool)))
elif isinstance(given, AsyncEngine):
    asyncio.run(main(given))
else:
    with given.connect() as connection:
        run(connection)
"""
_PARENT: Final = """parent = sa.Column("parent", sa.Integer, sa.ForeignKey("t{n}.id"))
op.add_column("t{n}", parent)"""
_KIND: Final = """op.execute("CREATE TYPE kind{n} AS ENUM ('a', 'b')")
kind = postgresql.ENUM("a", "b", name="kind{n}", create_type=False)
op.add_column("t{n}", sa.Column("kind", kind))"""
_STEPS: Final = (
    (
        'op.create_table("t{n}", sa.Column("id", sa.Integer, primary_key=True))',
        'op.drop_table("t{n}")',
    ),
    (
        'op.add_column("t{n}", sa.Column("name", sa.String(50)))',
        'op.drop_column("t{n}", "name")',
    ),
    (
        _PARENT,
        'op.drop_column("t{n}", "parent")',
    ),
    (
        _KIND,
        'op.drop_column("t{n}", "kind")\nop.execute("DROP TYPE kind{n}")',
    ),
    (
        'op.create_index("i{n}", "t{n}", ["name"])',
        'op.drop_index("i{n}", "t{n}")',
    ),
)
_TABLE: Final = """
Table(
    "t{n}",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(50)),
    Column("parent", ForeignKey("t{n}.id")),
    Column("kind", Enum("a", "b", name="kind{n}")),
    Index("i{n}", "name"),
)
"""


def write(folder: Path, revisions: int, url: str) -> None:
    """Lay down `revisions` of them, an async env.py that names `url`, and models."""
    versions = folder / "migrations" / "versions"
    versions.mkdir(parents=True)
    ini = "[alembic]\nscript_location = %(here)s/migrations\npath_separator = os\n"
    (folder / "alembic.ini").write_text(ini + "prepend_sys_path = %(here)s\n")
    (folder / "migrations" / "env.py").write_text(f"URL = {url!r}\n{_ENV}")
    tables = "".join(_TABLE.format(n=n) for n in range(revisions // len(_STEPS)))
    (folder / "models.py").write_text(
        "from sqlalchemy import Column, Enum, ForeignKey, Index, Integer\n"
        "from sqlalchemy import MetaData, String, Table\n"
        f"metadata = MetaData()\n{tables}"
    )
    for number in range(revisions):
        (versions / f"r{number:04}.py").write_text(_revision(number))


def _revision(number: int) -> str:
    up, down = _STEPS[number % len(_STEPS)]
    table = number // len(_STEPS)
    before = f"r{number - 1:04}" if number else None
    return "\n".join(
        [
            "import sqlalchemy as sa",
            "from alembic import op",
            "from sqlalchemy.dialects import postgresql",
            f"revision, down_revision = 'r{number:04}', {before!r}",
            "def upgrade():",
            textwrap.indent(up.format(n=table), "    "),
            "def downgrade():",
            textwrap.indent(down.format(n=table), "    "),
            "",
        ]
    )
