"""The driver's own connection, whose calls are statements of the test."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Coroutine
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Final

from pytest_asyncdb.backends._text import classify
from pytest_asyncdb.errors import TransactionControlRefused
from pytest_asyncdb.isolation._bridge import await_, greenlet_spawn

if TYPE_CHECKING:
    from collections.abc import Generator

    from pytest_asyncdb.isolation._strategy import EnclosedConnection

__all__ = ["Facade"]

_DRIVERS: Final = (
    "aiomysql.",
    "aiosqlite.",
    "asyncmy.",
    "asyncpg.",
    "psycopg.",
    "sqlite3",
)
_ENDS: Final = frozenset({"commit", "rollback", "tpc_begin", "close", "terminate"})
_UNCONTROLLED: Final = frozenset({"executescript", "pipeline", "notifies"})
_ASKING: Final = ("get_", "is_", "cursor", "fileno", "thread_id")
_WRITE: Final = "-- a call of the driver's own connection"
_READ: Final = "SELECT 1 -- what a driver asks of a new connection"


class Facade:
    """An object of the driver, whose coroutines run where its connection lives.

    What it returns of the driver's objects, cursors and prepared statements, is wrapped
    in the same way. `isinstance` sees the driver's class.
    """

    def __init__(self, connection: EnclosedConnection, real: Any) -> None:
        self.__dict__["_asyncdb"] = (connection, real)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return type(self.__dict__["_asyncdb"][1])

    def __getattr__(self, name: str) -> Any:
        connection, real = self.__dict__["_asyncdb"]
        if name == "lock":  # psycopg's; the sandbox keeps statements apart itself
            return contextlib.nullcontext()
        if name == "transaction":
            return partial(connection.driver_transaction, real)
        found = getattr(real, name)
        if not callable(found) or inspect.isclass(found):
            return _wrapped(connection, found)

        def method(*args: Any, **kwargs: Any) -> Any:
            if connection.installs_itself(name, kwargs):
                return _nothing()
            _check(connection, real, name, (*args, *kwargs.values()))
            arguments = [_unwrapped(each) for each in args]
            answer = found(*arguments, **kwargs)
            if inspect.iscoroutine(answer):
                return _over_the_bridge(connection, _text(args), answer)
            if inspect.isasyncgen(answer):
                return Facade(connection, answer)
            if inspect.isawaitable(answer):
                return _Awaitable(connection, _text(args), answer)
            if not name.startswith(_ASKING):
                connection.changed()
            return _wrapped(connection, answer)

        return method

    def __setattr__(self, name: str, value: Any) -> None:
        connection, real = self.__dict__["_asyncdb"]
        if name in {"isolation_level", "autocommit"} and connection.refuses_control:
            raise TransactionControlRefused.autocommit(connection.member.name)
        connection.changed()
        setattr(real, name, value)

    # ------------------------------------------- what Python looks up on the type
    def __await__(self) -> Generator[Any, Any, Any]:
        return self._special("__await__").__await__()  # type: ignore[no-any-return]

    async def __aenter__(self) -> Any:
        return await self._special("__aenter__")

    async def __aexit__(self, *exception: object) -> Any:
        return await self._special("__aexit__", *exception)

    def __aiter__(self) -> Any:
        connection, real = self.__dict__["_asyncdb"]
        return Facade(connection, real.__aiter__())

    async def __anext__(self) -> Any:
        return await self._special("__anext__")

    def _special(self, name: str, *args: Any) -> Any:
        connection, real = self.__dict__["_asyncdb"]
        return _over_the_bridge(connection, _WRITE, _awaiting(real, name, args))


class _Awaitable:
    """What a driver returns to be awaited, or entered as a context that closes it."""

    def __init__(self, connection: EnclosedConnection, sql: str, answer: Any) -> None:
        self._connection = connection
        self._sql = sql
        self._answer = answer
        self._result: Any = None

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._wait().__await__()

    async def _wait(self) -> Any:
        waiting = _awaiting(self._answer, "__await__", ())
        try:
            return await _over_the_bridge(self._connection, self._sql, waiting)
        finally:
            if isinstance(self._answer, Coroutine):  # it may never have been begun
                with contextlib.suppress(AttributeError):  # aiomysql's may be a future
                    self._answer.close()

    def __aiter__(self) -> Any:
        return Facade(self._connection, self._answer.__aiter__())

    async def __aenter__(self) -> Any:
        self._result = await self
        return self._result

    async def __aexit__(self, *_: object) -> None:
        await self._result.close()


async def _awaiting(real: Any, name: str, args: tuple[Any, ...]) -> Any:
    if name == "__await__":
        return await real
    return await getattr(real, name)(*args)


async def _nothing() -> None:
    """What the connection already has needs no doing."""


async def _over_the_bridge(
    connection: EnclosedConnection, sql: str, answer: Any
) -> Any:
    """Await the driver's coroutine as a statement of the connection's transaction."""
    try:
        if connection.connecting:
            sql = _READ
        connection.changed()
        if connection.is_there(sql):  # a `connect` listener that awaits, in sync code
            return _wrapped(connection, await answer)
        alone = connection.commits_driver_calls()
        result = await greenlet_spawn(
            connection.statement, sql, lambda: await_(answer), awaits=True
        )
    finally:
        answer.close()
    if alone:
        await greenlet_spawn(connection.commit)
    return _wrapped(connection, result)


def _wrapped(connection: EnclosedConnection, value: Any) -> Any:
    return Facade(connection, value) if _awaits(type(value)) else value  # type: ignore[arg-type]


@lru_cache(maxsize=256)
def _awaits(kind: Any) -> bool:
    """Whether objects of that class are the driver's, and have something to await."""
    if not f"{kind.__module__}.".startswith(_DRIVERS):
        return False
    return not issubclass(kind, BaseException) and any(
        inspect.iscoroutinefunction(getattr(kind, name, None)) for name in dir(kind)
    )


def _unwrapped(value: Any) -> Any:
    held = getattr(value, "__dict__", {}).get("_asyncdb") if value is not None else None
    return held[1] if held else value


def _text(args: tuple[Any, ...]) -> str:
    """The SQL of a call, or what stands for a write where it has none."""
    return args[0] if args and isinstance(args[0], str) else _WRITE


def _check(
    connection: EnclosedConnection, real: Any, name: str, values: tuple[Any, ...]
) -> None:
    """Refuse what would end a transaction that is not the application's own."""
    if not connection.refuses_control:
        return
    is_end = name in _ENDS and hasattr(real, "cursor")
    if is_end or name in _UNCONTROLLED:
        raise TransactionControlRefused.text(f"{name}()", "the driver's connection")
    for text in map(_as_text, values):
        control = classify(text).control
        if control is not None:
            raise TransactionControlRefused.text(control, text)


def _as_text(value: Any) -> str:
    """SQL in any of the shapes that drivers take it in; nothing for what is none."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if hasattr(value, "as_string"):
        return str(value.as_string(None))
    return value if isinstance(value, str) else ""
