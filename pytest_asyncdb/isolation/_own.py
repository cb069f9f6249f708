"""Ways to isolate a test that a project has itself, besides the built-in ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from sqlalchemy import NullPool
from sqlalchemy.ext.asyncio import create_async_engine

from pytest_asyncdb.errors import SettingRefused
from pytest_asyncdb.isolation._commit import RealCommits
from pytest_asyncdb.isolation._finding import Finding
from pytest_asyncdb.isolation._stock import Stock
from pytest_asyncdb.provisioning import unguarded
from pytest_asyncdb.settings import ISOLATIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from pytest_asyncdb.isolation._link import Link

__all__ = ["IsolationStrategy", "OwnPlace", "isolation_strategy", "own_isolations"]

T = TypeVar("T", bound="IsolationStrategy")


class IsolationStrategy(Protocol):
    """What a project says of its own way to isolate: how a test is undone.

    There is one instance in each process. The sessions of its tests commit for real, on
    a database that no test isolated in another way sees. It may have a method
    `begin(connection)` too, which is called before each test. Both run in a transaction
    of their own, which is committed.
    """

    def end(self, connection: Connection, /) -> None:
        """Undo what the test has committed; called where it has used the database.

        What is raised fails the test, and the database is made anew.
        """


_OWN: Final[dict[str, type[IsolationStrategy]]] = {}


def isolation_strategy(name: str) -> Callable[[type[T]], type[T]]:
    """Let tests be isolated as the class says: `@pytest.mark.asyncdb(isolation=name)`.

    Write it where it is imported before the tests are collected: conftest.py.

    Raises `SettingRefused` for a name that is taken, and a class without `end`.
    """

    def decorate(chosen: type[T]) -> type[T]:
        what = f"isolation_strategy({name!r})"
        known = _OWN.get(name)
        if name in ISOLATIONS or (known is not None and not _same(known, chosen)):
            raise SettingRefused.kind(what, name, "a name that nobody else has")
        if not callable(getattr(chosen, "end", None)):
            raise SettingRefused.kind(what, chosen, "a class with end(connection)")
        _OWN[name] = chosen
        return chosen

    return decorate


def own_isolations() -> tuple[str, ...]:
    """The names that have been given so far."""
    return tuple(_OWN)


def _same(known: type[Any], chosen: type[Any]) -> bool:
    """Whether it is written in one place: a module may be imported twice."""
    names = ("__module__", "__qualname__")
    return all(getattr(known, each) == getattr(chosen, each) for each in names)


class OwnPlace:
    """The database of the tests of one strategy in this process.

    `run` runs a coroutine function from sync code.
    """

    def __init__(self, link: Link, name: str, run: Callable[..., None]) -> None:
        self._name = name
        self._database = database = link.database.clone()
        self._stock = Stock(link, lambda: database)
        self._strategy = _OWN[name]()
        self._run = run

    def enclose(self, test: str) -> RealCommits:
        """A test on it; raises what `begin` does."""
        begin = getattr(self._strategy, "begin", None)
        if begin is not None:
            self._run(self._call, begin)
        return RealCommits(self._stock, test, self._end)

    def _end(self, test: RealCommits) -> list[Finding]:
        if not test.connected:
            return []
        try:
            self._run(self._call, self._strategy.end)
        except Exception as error:  # noqa: BLE001 - a project's own code
            self._stock.clear()
            self._database.replace()
            return [Finding(fatal=True, text=_failed(self._name, error))]
        return []

    async def _call(self, fn: Callable[[Connection], object]) -> None:
        engine = create_async_engine(self._database.url, poolclass=NullPool)
        with unguarded(), self._database.connecting():
            connection = await engine.connect()
        try:
            async with connection.begin():
                await connection.run_sync(fn)
        finally:
            await connection.close()

    def close(self) -> None:
        """Close the connections, and remove the database."""
        self._stock.clear()
        self._database.drop()


def _failed(name: str, error: Exception) -> str:
    return (
        f"what the test committed could not be undone by the isolation {name!r}:"
        f" {type(error).__name__}: {error}\n"
        "  what helps:\n    - mend its end(); its database has been made anew"
    )
