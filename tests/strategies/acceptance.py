"""A program: rows of the models of all examples, and of the tests', on one product.

`python -m tests.strategies.acceptance KIND ROWS` prints as JSON how many rows were
written, and why others were refused. It has a process of its own, as some models bring
listeners to all engines and sessions along.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hypothesis import strategies as st
from sqlalchemy import MetaData
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from pytest_asyncdb.strategies import db_persist, from_model
from tests.databases import Databases
from tests.strategies.conftest import drawn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy.ext.asyncio import AsyncEngine

EXAMPLES: Final = Path(__file__).parents[2] / "examples"
MODULES: Final = {
    "auth.models": "auth/src",
    "bank.models": "bank/src",
    "blog.models": "blog",
    "inventory.models": "inventory",
    "patterns.models": "patterns/src",
    "projects.models": "projects/src",
    "snippets.models": "copied_snippets/src",
    "tenants.models": "tenants/src",
    "tests.factories.library": "",
    "tests.strategies.shop": "",
}


def bases(module: str) -> Iterator[Any]:
    """The declarative bases that a module of models defines."""
    for each in vars(import_module(module)).values():
        is_base = isinstance(each, type) and hasattr(each, "registry")
        if is_base and each.__module__ == module and not hasattr(each, "__mapper__"):
            yield each


class Acceptance:
    """How many rows an engine's product has taken, and why it has refused others.

    `tables` are in no schema of their own there.
    """

    def __init__(self, engine: AsyncEngine, tables: MetaData) -> None:
        schemas = {each.schema: None for each in tables.sorted_tables}
        self._engine = engine.execution_options(schema_translate_map=schemas)
        self._tables = tables
        self.written = 0
        self.refused: list[str] = []

    async def add(self, models: Sequence[type[Any]], rows: int) -> None:
        """Write some `rows` of the models, each list of them by itself."""
        async with self._engine.begin() as connection:
            await connection.run_sync(self._tables.create_all)
        async with AsyncSession(self._engine, expire_on_commit=False) as session:
            for model in models:
                graphs = st.lists(from_model(model), min_size=1, max_size=3)
                for graph in drawn(graphs, -(-rows // (2 * len(models)))):
                    await self._write(session, graph)
        async with self._engine.begin() as connection:
            await connection.run_sync(self._tables.drop_all)

    async def _write(self, session: AsyncSession, graph: Sequence[Any]) -> None:
        try:
            await db_persist(graph, session=session)
        except DBAPIError as error:
            self.refused.append(f"{type(graph[0]).__name__}: {error.orig}")
        else:
            self.written += sum(1 for _ in session)
        await session.rollback()
        session.expunge_all()


async def _tried(kind: str, rows: int) -> dict[str, Any]:
    written, refused = 0, list[str]()
    with contextlib.closing(Databases(MetaData())) as servers:
        for module in MODULES:
            for base in bases(module):
                engine = await servers.engine(kind)
                tried = Acceptance(engine, base.metadata)
                models = sorted(
                    (each.class_ for each in base.registry.mappers), key=str
                )
                await tried.add(models, rows // len(MODULES))
                written += tried.written
                refused += tried.refused
                await engine.dispose()
    return {"rows": written, "refused": refused}


if __name__ == "__main__":
    sys.path += [str(EXAMPLES / folder) for folder in MODULES.values() if folder]
    sys.stdout.write(json.dumps(asyncio.run(_tried(sys.argv[1], int(sys.argv[2])))))
