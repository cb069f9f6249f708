"""Building a template: the schema and the seed rows, all of them or nothing."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from pytest_asyncdb.errors import DatabaseRefused, TemplateBuildFailed
from pytest_asyncdb.provisioning._failure import Translated

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import URL
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from pytest_asyncdb.typing import SchemaBuilder

__all__ = ["build_template"]

_OWN: Final = frozenset(
    {
        "async_creator",
        "creator",
        "isolation_level",
        "max_overflow",
        "pool",
        "poolclass",
    }
)
_DESTINATION: Final = frozenset(
    {
        "database",
        "dbname",
        "dsn",
        "host",
        "hostaddr",
        "passfile",
        "password",
        "port",
        "service",
        "user",
    }
)


async def build_template(
    url: URL,
    build: SchemaBuilder,
    *,
    options: Mapping[str, Any],
    current: str | None = None,
    prepare: Callable[[AsyncEngine], None] | None = None,
) -> None:
    """Let `build` fill the empty database at `url`, in one transaction.

    `options` are the project's engine options, without those that say how or where to
    connect. `current` is SQL for the name of the session's database: where it is not
    that of `url`, nothing is built. Raises `TemplateBuildFailed` with the original as
    its cause; an error of this package's own is left as it is.
    """
    engine = plain_engine(url, options, prepare)
    try:
        with Translated(partial(TemplateBuildFailed.of, url.get_backend_name())):
            async with engine.begin() as connection:
                if current is not None:
                    await _check(connection, current, str(url.database))
                await build(connection)
    finally:
        await engine.dispose()


def plain_engine(
    url: URL,
    options: Mapping[str, Any],
    prepare: Callable[[AsyncEngine], None] | None,
) -> AsyncEngine:
    """An engine without a pool, with what of `options` is for any database."""
    engine = create_async_engine(url, poolclass=NullPool, **_usable(options))
    if prepare is not None:
        prepare(engine)
    return engine


async def _check(connection: AsyncConnection, current: str, wanted: str) -> None:
    found = str((await connection.execute(text(current))).scalar())
    if found != wanted:
        raise DatabaseRefused.elsewhere(wanted, found)


def _usable(options: Mapping[str, Any]) -> dict[str, Any]:
    kept = {
        name: value
        for name, value in options.items()
        if name not in _OWN and not name.startswith("pool_")
    }
    arguments: Mapping[str, Any] = kept.pop("connect_args", {})
    kept["connect_args"] = {
        name: value for name, value in arguments.items() if name not in _DESTINATION
    }
    return kept
