"""Which engines share the test's transaction, and which are refused."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_asyncdb.backends import APART, get_backend
from pytest_asyncdb.errors import EngineRefused, TransactionControlRefused
from pytest_asyncdb.isolation._member import Member
from pytest_asyncdb.isolation._places import engine_name
from pytest_asyncdb.isolation._shadow import has_own_creator

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import URL, Engine

    from pytest_asyncdb.isolation._link import Link

__all__ = ["Announced", "Membership"]

_FAMILIES: Final = {
    "asyncpg": "asyncpg",
    "psycopg": "psycopg",
    "psycopg_async": "psycopg",
    "aiosqlite": "sqlite3",
    "pysqlite": "sqlite3",
    "aiomysql": "pymysql",
    "pymysql": "pymysql",
    "asyncmy": "asyncmy",
}


@dataclass(frozen=True, slots=True)
class Announced:
    """What the application may know of the run: for what a refusal says.

    `variables` of the environment hold the URL of the test's database; `first` is the
    one that they held when the application was imported, if it is another one.
    """

    variables: Sequence[str] = ()
    first: URL | None = None


class Membership:
    """The engines that the run's connection serves.

    `joins` is what the project says of an engine: True joins, False connects for real,
    None leaves it to the rules: the run's product and driver, and one database.
    """

    def __init__(
        self,
        link: Link,
        *,
        product: str,
        driver: str,
        url: URL,
        joins: Callable[[Engine], bool | None] | None,
        announced: Announced,
    ) -> None:
        self.joins = joins
        self._announced = announced
        self._link = link
        self._product = product
        self._driver = driver
        self._identities: dict[tuple[object, ...], str] = {
            _identity(url): engine_name(url)
        }
        self._strangers: set[tuple[object, ...]] = set()
        self._members: weakref.WeakKeyDictionary[Engine, Member | None] = (
            weakref.WeakKeyDictionary()
        )
        self._own: weakref.WeakKeyDictionary[Engine, Member] = (
            weakref.WeakKeyDictionary()
        )

    def adopt(self, engine: Engine, *, blocking: bool, learning: bool = False) -> None:
        """An engine of the plugin's own: it joins without being asked."""
        self._own[engine] = Member(
            engine, self._link, blocking=blocking, learning=learning
        )

    def ask(self, joins: Callable[[Engine], bool | None] | None) -> None:
        """From now on, that is what the project says."""
        if joins is not self.joins:
            self.joins = joins
            self._members.clear()

    def let_through(self, url: URL) -> None:
        """Engines for that database, which is no test's, connect for real."""
        self._strangers.add(_identity(url))

    def of(self, engine: Engine) -> Member | None:
        """What the engine is to the sandbox; None for one that is let through.

        Raises EngineRefused for one that cannot share the transaction.
        """
        own = self._own.get(engine)
        if own is not None:
            return own
        if engine not in self._members:
            self._members[engine] = self._admit(engine)
        return self._members[engine]

    def _admit(self, engine: Engine) -> Member | None:
        if APART in engine.get_execution_options():
            return None
        answer = self.joins(engine) if self.joins is not None else None
        if answer is False or _identity(engine.url) in self._strangers:
            return None
        self._refuse_others(engine)
        if answer is not True:
            if has_own_creator(engine.pool):
                raise EngineRefused.creator(engine_name(engine.url))
            self._refuse_second(engine)
        level = getattr(engine.dialect, "_on_connect_isolation_level", None)
        if level == "AUTOCOMMIT":
            raise TransactionControlRefused.autocommit(engine_name(engine.url))
        return Member(engine, self._link, blocking=False)

    def _refuse_others(self, engine: Engine) -> None:
        dialect, run = engine.dialect, f"{self._product}+{self._driver}"
        is_other = dialect.name not in get_backend(self._product).dialects
        is_alien = _FAMILIES.get(dialect.driver) != _FAMILIES[self._driver]
        if (is_other or is_alien) and self._is_for_first(engine):
            raise EngineRefused.first(engine_name(engine.url), run)
        if is_other:
            raise EngineRefused.product(
                engine_name(engine.url),
                dialect.name,
                self._product,
                self._announced.variables,
            )
        if is_alien:
            raise EngineRefused.driver(
                engine_name(engine.url),
                dialect.driver,
                f"{self._product} through {self._driver}",
                f"{self._product}+{dialect.driver}"
                if dialect.driver in _FAMILIES
                else None,
            )

    def _is_for_first(self, engine: Engine) -> bool:
        """Whether the application made it when the run was on another database."""
        first = self._announced.first
        return (
            first is not None
            and first.get_backend_name() == engine.url.get_backend_name()
            and _identity(first) == _identity(engine.url)
        )

    def _refuse_second(self, engine: Engine) -> None:
        """The run's own database and one identity of the application's: no third."""
        identity = _identity(engine.url)
        if identity in self._identities:
            return
        if len(self._identities) > 1:
            first = list(self._identities.values())[1]
            name, database = engine_name(engine.url), engine.url.database
            raise EngineRefused.identity(name, database, first)
        self._identities[identity] = engine_name(engine.url)


def _identity(url: URL) -> tuple[object, ...]:
    """Which database a URL names: host, port and database, whatever driver and user."""
    name = url.database or None
    if url.get_backend_name() == "sqlite":
        return (None if name in (None, ":memory:") else name,)
    host = url.host or url.query.get("host") or url.query.get("unix_socket")
    return (host, url.port, name)
