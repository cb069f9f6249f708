"""Leading every connection that env.py makes to the test database.

In the context of a run, and in the threads that it starts, an engine's connections are
made anew with the address of the test database, whatever its URL; those that it already
has are not used. All else in the process connects as ever.
"""

from __future__ import annotations

import contextlib
import contextvars
import threading
import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import MissingGreenlet
from sqlalchemy.pool import NullPool
from sqlalchemy.util.concurrency import in_greenlet

from pytest_asyncdb.backends import get_backend
from pytest_asyncdb.errors import RedirectRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import URL, PoolProxiedConnection
    from sqlalchemy.engine import RootTransaction

__all__ = ["Redirect", "current", "redirected"]

_ADDRESS: Final = frozenset(
    {
        *("async_creator_fn", "creator", "database", "db", "dbname", "dsn", "host"),
        *("hostaddr", "passfile", "passwd", "password", "port", "service", "ssl"),
        *("sslcert", "sslkey", "sslmode", "sslrootcert", "unix_socket", "user"),
        *("username", "read_default_file", "read_default_group"),
    }
)
_ALIASES: Final = {"postgres": "postgresql"}
_LOCK: Final = threading.RLock()


@dataclass(eq=False)
class Redirect:
    """Where the connections of one run of env.py go."""

    url: URL
    begun: weakref.WeakSet[RootTransaction] = field(default_factory=weakref.WeakSet)
    """Transactions that were begun by name, not by the first statement."""
    _pools: weakref.WeakKeyDictionary[Engine, NullPool] = field(
        default_factory=weakref.WeakKeyDictionary
    )

    def connect(self, engine: Engine) -> PoolProxiedConnection:
        """A connection of the engine's to the test database.

        Raises `RedirectRefused`.
        """
        self.check(engine.dialect)
        pool = engine.pool
        if getattr(pool._creator, "__module__", None) != "sqlalchemy.engine.create":
            raise RedirectRefused.creator(_shown(engine.url))
        return self._pool(engine).connect()

    def check(self, dialect: Any) -> None:  # noqa: ANN401  (one of any product)
        """Refuse the dialect of another product; raises `RedirectRefused`."""
        product = self.url.get_backend_name()
        product = _ALIASES.get(product, product)
        if dialect.name not in get_backend(product).dialects:
            raise RedirectRefused.dialect(dialect.name, product)

    def arguments(
        self,
        dialect: Any,  # noqa: ANN401
        given: dict[str, Any],
    ) -> tuple[list[Any], dict[str, Any]]:
        """What the dialect connects with: our address, and the rest as it was given."""
        name = f"{dialect.name}+{dialect.driver}"
        arguments, ours = dialect.create_connect_args(self.url.set(drivername=name))
        others = {key: value for key, value in given.items() if key not in _ADDRESS}
        return list(arguments), {**others, **ours}

    def _pool(self, engine: Engine) -> NullPool:
        """With the events of the engine's own; an engine left open keeps nothing."""
        if engine not in self._pools:
            pool = engine.pool
            self._pools[engine] = NullPool(
                pool._creator,
                reset_on_return=pool._reset_on_return,
                dialect=pool._dialect,
            )
            self._pools[engine].dispatch = pool.dispatch
        return self._pools[engine]


_CURRENT: Final[contextvars.ContextVar[Redirect | None]] = contextvars.ContextVar(
    "asyncdb_redirect", default=None
)


def current() -> Redirect | None:
    """The redirect that holds here."""
    return _CURRENT.get()


def _shown(url: URL) -> str:
    return url.render_as_string(hide_password=True)


@contextlib.contextmanager
def redirected(url: URL) -> Iterator[Redirect]:
    """What connects in this context, connects to `url`; one such block at a time."""
    with _LOCK, _installed():
        redirect = Redirect(url)
        token = _CURRENT.set(redirect)
        try:
            yield redirect
        finally:
            _CURRENT.reset(token)


# ---------------------------------------------------------------------------- hooks
@contextlib.contextmanager
def _installed() -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        stack.enter_context(_replaced(Engine, "raw_connection", _raw_connection))
        stack.enter_context(_replaced(Connection, "begin", _begin))
        stack.enter_context(_replaced(threading.Thread, "start", _start))
        event.listen(Engine, "do_connect", _do_connect, insert=True)
        stack.callback(event.remove, Engine, "do_connect", _do_connect)
        yield


@contextlib.contextmanager
def _replaced(
    owner: type[Any], name: str, make: Callable[[Any], Callable[..., Any]]
) -> Iterator[None]:
    """While the block runs, a method is what `make` makes of it."""
    original = getattr(owner, name)
    ours = make(original)
    setattr(owner, name, ours)
    try:
        yield
    finally:
        if getattr(owner, name) is ours:
            setattr(owner, name, original)


def _raw_connection(original: Any) -> Callable[..., Any]:  # noqa: ANN401
    def raw_connection(self: Engine) -> PoolProxiedConnection:
        redirect = _CURRENT.get()
        if redirect is None:
            connection: PoolProxiedConnection = original(self)
            return connection
        return redirect.connect(self)

    return raw_connection


def _begin(original: Any) -> Callable[..., Any]:  # noqa: ANN401
    def begin(self: Connection) -> RootTransaction:
        transaction: RootTransaction = original(self)
        redirect = _CURRENT.get()
        if redirect is not None:
            redirect.begun.add(transaction)
        return transaction

    return begin


def _start(original: Any) -> Callable[..., Any]:  # noqa: ANN401
    """A thread that is started in the context runs in a copy of it."""

    def start(self: threading.Thread) -> None:
        if _CURRENT.get() is not None:
            run, context = self.run, contextvars.copy_context()
            self.run = lambda: context.run(run)  # type: ignore[method-assign]
        original(self)

    return start


def _do_connect(
    dialect: Any,  # noqa: ANN401
    _record: object,
    _arguments: list[Any],
    parameters: dict[str, Any],
) -> Any:  # noqa: ANN401  (a driver's connection)
    """Connect ourselves, before a listener of the application's says where to."""
    redirect = _CURRENT.get()
    if redirect is None:
        return None
    redirect.check(dialect)
    if dialect.is_async and not in_greenlet():
        message = f"a sync engine connects through {dialect.driver}, which is async"
        raise MissingGreenlet(message)
    arguments, ours = redirect.arguments(dialect, parameters)
    return dialect.connect(*arguments, **ours)
