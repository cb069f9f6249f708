"""The PostgreSQL server of a run: one that was named, or an embedded one."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import URL, NullPool, make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from pytest_asyncdb.provisioning import Run
from pytest_asyncdb.settings import ServerOptions, parse_target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.ext.asyncio import AsyncConnection

__all__ = ["Server", "serving"]


@dataclass(frozen=True, slots=True)
class Server:
    """A server on which every contender has a database of its own."""

    address: URL
    made: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where a plugin that makes its own databases may connect to."""
        return self.address.render_as_string(hide_password=False)

    def database(self, name: str) -> str:
        """Make an empty database; its URL."""
        full = f"benchmark_{name}_{secrets.token_hex(4)}"
        asyncio.run(self._send(f"CREATE DATABASE {full}"))
        self.made.append(full)
        return self.address.set(database=full).render_as_string(hide_password=False)

    def drop(self) -> None:
        """Drop what was made here."""
        for name in self.made:
            asyncio.run(self._send(f"DROP DATABASE {name} WITH (FORCE)"))

    async def _send(self, statement: str) -> None:
        engine = create_async_engine(
            self.address, poolclass=NullPool, isolation_level="AUTOCOMMIT"
        )
        async with engine.connect() as connection:
            await connection.execute(text(statement))


class _NoSchema:
    """Builds nothing: each contender brings its own tables."""

    key = "benchmark"

    async def __call__(self, connection: AsyncConnection, /) -> None:
        """Leave the database empty."""


@contextlib.contextmanager
def serving(url: str | None, *, tcp: bool = False) -> Iterator[Server]:
    """Give the server of that URL, or start an embedded one and stop it afterwards.

    With `tcp` that one is reached by host and port, as some contenders know no socket.
    """
    with contextlib.ExitStack() as stack:
        address = make_url(url) if url else _embedded(stack, tcp=tcp)
        server = Server(address)
        stack.callback(server.drop)
        yield server


def _embedded(stack: contextlib.ExitStack, *, tcp: bool) -> URL:
    options = ServerOptions(tcp=tcp)
    run = Run(parse_target("postgresql+asyncpg@embedded"), server=options)
    stack.callback(run.close)
    return run.database(_NoSchema()).url
