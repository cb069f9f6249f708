"""Rows of the models of all examples, and of the tests': every product takes them.

`ASYNCDB_ROWS` asks for more rows on each product than the few of every run.
"""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import strategies as st
from sqlalchemy import MetaData
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from pytest_asyncdb.strategies import db_persist, from_model
from tests.databases import KINDS, Databases
from tests.strategies.conftest import drawn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sqlalchemy.ext.asyncio import AsyncEngine

ROOT: Final = Path(__file__).parents[2]
ROWS: Final = int(os.environ.get("ASYNCDB_ROWS", "100"))
ACCEPTED: Final = 0.995
MODULES: Final = {
    "auth.models": "examples/auth/src",
    "bank.models": "examples/bank/src",
    "blog.models": "examples/blog",
    "inventory.models": "examples/inventory",
    "patterns.models": "examples/patterns/src",
    "projects.models": "examples/projects/src",
    "snippets.models": "examples/copied_snippets/src",
    "tenants.models": "examples/tenants/src",
    "tests.factories.library": ".",
    "tests.strategies.shop": ".",
}


def bases(module: str) -> Iterator[Any]:
    """The declarative bases that a module of models defines."""
    for each in vars(import_module(module)).values():
        is_base = isinstance(each, type) and hasattr(each, "registry")
        if is_base and each.__module__ == module and not hasattr(each, "__mapper__"):
            yield each


@pytest.fixture(scope="module")
def servers() -> Iterator[Databases]:
    """One of each product, with a database that is empty."""
    made = Databases(MetaData())
    yield made
    made.close()


@pytest.fixture
def examples(monkeypatch: pytest.MonkeyPatch) -> None:
    """The models' modules can be imported."""
    for folder in {*MODULES.values()}:
        monkeypatch.syspath_prepend(ROOT / folder)


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


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("examples")
async def test_nearly_every_row_is_accepted(
    servers: Databases, kind: str, record_property: Callable[[str, object], None]
) -> None:
    """Lists of objects of each model, as they are drawn."""
    written, refused = 0, []
    for module in MODULES:
        for base in bases(module):
            engine = await servers.engine(kind)
            tried = Acceptance(engine, base.metadata)
            models = sorted((each.class_ for each in base.registry.mappers), key=str)
            await tried.add(models, ROWS // len(MODULES))
            written += tried.written
            refused += tried.refused
            await engine.dispose()
    record_property("rows", written)
    record_property("refused", len(refused))

    assert ROWS <= written
    assert ACCEPTED <= written / (written + len(refused)), "\n".join(refused)
