"""What builds a template: the project's schema, then its seed."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from sqlalchemy import MetaData, create_mock_engine
from sqlalchemy.ext.asyncio import AsyncSession

from pytest_asyncdb.errors import SettingRefused

if TYPE_CHECKING:
    from sqlalchemy import ClauseElement
    from sqlalchemy.ext.asyncio import AsyncConnection

    from pytest_asyncdb.typing import SchemaFunction, Seed

__all__ = [
    "Build",
    "CreateAll",
    "Known",
    "check_coroutine_function",
    "check_metadata",
    "rendered",
]


@runtime_checkable
class Known(Protocol):
    """A schema that knows by itself what it depends on."""

    async def __call__(self, connection: AsyncConnection) -> None:
        """Build it on `connection`."""

    def material(self, drivername: str) -> str | None:
        """All of it as text; None where it cannot be known."""


@dataclass(frozen=True)
class CreateAll:
    """The schema of a project that says nothing else: the tables of its metadata."""

    metadata: MetaData

    async def __call__(self, connection: AsyncConnection) -> None:
        """Create every table that there is not."""
        await connection.run_sync(self.metadata.create_all)

    def material(self, drivername: str) -> str | None:
        """The DDL of the tables; None where it cannot be known without a server."""
        return rendered(self.metadata, drivername)


@dataclass(frozen=True)
class Build:
    """Builds the schema and adds the seed; None for what a project does not have."""

    schema: SchemaFunction | None
    seed: Seed | None
    template_key: str | None
    drivername: str
    """Of the database's URL: what DDL is like depends on it."""

    @cached_property
    def key(self) -> str | None:
        """All that the template depends on, as text; None where it cannot be known.

        Tables of a MetaData are known by their DDL, migrations by their files. What a
        coroutine function does, and all that it imports, is known to nobody but the
        project.
        """
        said = self.template_key
        if self.seed is not None and said is None:
            return None
        if isinstance(self.schema, Known):
            material = self.schema.material(self.drivername)
            return None if material is None else f"{said}\n{material}"
        return said if self.schema is not None else f"{said}\n"

    async def __call__(self, connection: AsyncConnection) -> None:
        """Build on `connection`; the caller commits."""
        if self.schema is not None:
            await self.schema(connection)
        if self.seed is not None:
            async with AsyncSession(connection, expire_on_commit=False) as session:
                await self.seed(session)
                await session.commit()


def rendered(metadata: MetaData, drivername: str) -> str | None:
    """The DDL that `create_all` would run, and what its event listeners execute.

    None where a listener needs a real connection.
    """
    said: list[str] = []

    def note(statement: ClauseElement, *parameters: object, **_: object) -> None:
        compiled = statement.compile(dialect=engine.dialect)
        said.append(f"{compiled}{parameters or ''}")

    engine = create_mock_engine(f"{drivername}://", note)
    try:
        metadata.create_all(engine, checkfirst=False)
    except Exception:  # noqa: BLE001 - a listener may raise anything
        return None
    return "\n".join(said)


def check_metadata(name: str, value: object) -> MetaData:
    """`value`, if it is a MetaData that knows tables.

    Raises `SettingRefused` otherwise.
    """
    if not isinstance(value, MetaData):
        hint = ""
        if isinstance(getattr(value, "metadata", None), MetaData):
            hint = f"write {getattr(value, '__name__', 'Base')}.metadata"
        elif inspect.iscoroutine(value):
            value.close()
            hint = f"let {name} be an ordinary function: def, not async def"
        elif isinstance(value, str):
            hint = f"a path is for the ini file ({name} = {value}); a fixture returns"
            hint += " the object itself"
        elif isinstance(value, list | tuple):
            hint = "copy the tables of all into one: table.to_metadata(one)"
        raise SettingRefused.kind(name, value, "a sqlalchemy.MetaData", hint=hint)
    if not value.tables:
        raise SettingRefused.no_tables(name)
    return value


def check_coroutine_function(name: str, value: object, takes: str) -> None:
    """Raise `SettingRefused` unless calling `value` gives a coroutine."""
    call = getattr(value, "__call__", None)  # noqa: B004  (an object's own coroutine)
    if not callable(value) or not (
        inspect.iscoroutinefunction(inspect.unwrap(value))
        or inspect.iscoroutinefunction(call)
        or inspect.iscoroutinefunction(getattr(value, "func", None))
    ):
        raise SettingRefused.kind(name, value, f"a coroutine function of {takes}")
