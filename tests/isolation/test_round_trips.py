"""How often something is sent to the server, counted at the socket."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pytest_asyncdb.isolation import Isolation
    from tests.isolation.conftest import Application, Databases

postgresql = pytest.mark.parametrize("kind", ["asyncpg", "psycopg"])


class Relay:
    """Stands between client and server on a unix socket, and counts the client's turns.

    A turn is what the client sends until the server answers: one round trip.
    """

    def __init__(self, directory: Path, server: str) -> None:
        self.directory = directory
        self.turns = 0
        self._client_spoke = False
        self._server = server
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(directory / ".s.PGSQL.5432"))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._server)
                for ends in ((client, server, True), (server, client, False)):
                    threading.Thread(target=self._copy, args=ends, daemon=True).start()

    def _copy(
        self,
        source: socket.socket,
        sink: socket.socket,
        client: bool,  # noqa: FBT001
    ) -> None:
        with contextlib.suppress(OSError), source, sink:
            while data := source.recv(65536):
                self.turns += client and not self._client_spoke
                self._client_spoke = client
                sink.sendall(data)
            sink.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Accept nobody any more; who is connected may go on."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


async def unit_of_work(app: Application, name: str = "one") -> None:
    """Add, commit, select by name: what performance is measured by."""
    async with app.session() as session:
        session.add(app.User(name=name))
        await session.commit()
        (await session.scalars(select(app.User).filter_by(name=name))).one()


@pytest.fixture
def relay(kind: str, databases: Databases, tmp_path: Path) -> Iterator[Relay]:
    """A relay in front of the server."""
    url = databases.get(kind).url
    relay = Relay(tmp_path, f"{url.query['host']}/.s.PGSQL.5432")
    with contextlib.closing(relay):
        yield relay


@postgresql
def test_the_unit_of_work_takes_five_round_trips_at_the_socket(
    kind: str, relay: Relay, make_isolation: Callable[..., Isolation], make_app: Any
) -> None:
    """From open to close, counted outside of all of us; without isolation it is six."""
    isolation = make_isolation(kind, through=relay.directory)
    app = make_app()
    found = []
    for number in range(4):
        before = relay.turns, isolation.round_trips
        isolation.open(f"test {number}")
        asyncio.run(unit_of_work(app))
        assert [] == isolation.close()
        found.append((relay.turns - before[0], isolation.round_trips - before[1]))

    assert (5, 5) == found[-1]


@postgresql
def test_a_test_without_statements_takes_none_at_the_socket(
    kind: str, relay: Relay, make_isolation: Callable[..., Isolation]
) -> None:
    """Sessions, engines and transactions that send nothing included."""
    isolation = make_isolation(kind, through=relay.directory)
    isolation.open("the first")
    isolation.close()
    before = relay.turns

    async def nothing() -> None:
        async with isolation.sessionmaker() as session, session.begin():
            pass
        async with isolation.engine.begin():
            pass

    for number in range(3):
        isolation.open(f"test {number}")
        asyncio.run(nothing())
        isolation.close()

    assert before == relay.turns


def test_the_unit_of_work_as_the_isolation_counts_it(
    app: Application, isolation: Isolation, next_test: Callable[..., None]
) -> None:
    """Five, on every driver that sends anything anywhere."""
    asyncio.run(unit_of_work(app))
    next_test()
    before = isolation.round_trips
    asyncio.run(unit_of_work(app))
    next_test()

    if isolation._link.driver.__class__.__name__ in {"Asyncpg", "Psycopg"}:
        assert 5 == isolation.round_trips - before


@postgresql
async def test_each_further_transaction_costs_its_statements_and_no_more(
    app: Application, isolation: Isolation
) -> None:
    """SAVEPOINT, RELEASE and ROLLBACK TO travel together, before the next statement."""
    await unit_of_work(app, "first")
    spent = []
    for name in ("one", "two", "three"):
        before = isolation.round_trips
        async with app.engine.begin() as connection:
            await connection.execute(text("SELECT 1"))
            await connection.execute(text("SELECT 2"))
        await app.add(name)
        spent.append(isolation.round_trips - before)

    assert spent[0] == spent[1] == spent[2]
    assert 5 >= spent[0]


@postgresql
async def test_a_new_engine_asks_the_server_nothing(
    make_app: Callable[..., Application], isolation: Isolation
) -> None:
    """What its dialect asks on the first connect is known already."""
    app = make_app()
    before = isolation.round_trips
    async with app.engine.connect():
        pass

    assert before == isolation.round_trips
