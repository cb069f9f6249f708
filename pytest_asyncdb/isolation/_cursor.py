"""A cursor whose statement and rows cross the bridge in one go."""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_asyncdb.isolation._link import Answer
    from pytest_asyncdb.isolation._strategy import EnclosedConnection

__all__ = ["BufferedCursor"]


class BufferedCursor:
    """A DBAPI cursor. Rows are buffered, unless the cursor is one of the server's."""

    __slots__ = (
        "__weakref__",
        "_arguments",
        "_changed",
        "_connection",
        "_invalidate_schema_cache_asof",
        "_keywords",
        "_real",
        "_rows",
        "_server_side",
        "arraysize",
        "description",
        "lastrowid",
        "rowcount",
    )

    def __init__(
        self,
        connection: EnclosedConnection,
        arguments: tuple[Any, ...],
        keywords: dict[str, Any],
    ) -> None:
        self._connection = connection
        self._arguments = arguments
        self._keywords = keywords
        self._server_side = any(arguments) or any(keywords.values())
        self._real: Any = None
        self._rows: collections.deque[Any] = collections.deque()
        self._invalidate_schema_cache_asof: float = 0
        self._changed: int | None = None
        self.arraysize = 1
        self.description: Any = None
        self.lastrowid: Any = None
        self.rowcount = -1

    # ----------------------------------------------------------------- execution
    def execute(self, operation: str, parameters: Any = None) -> BufferedCursor:
        """Execute one statement; raises what the driver raises."""
        arguments = (operation,) if parameters is None else (operation, parameters)
        return self._execute("execute", arguments)

    def executemany(self, operation: str, parameters: Any) -> BufferedCursor | int:
        """Execute one statement with many sets of parameters.

        Of drivers for MySQL it gives the number of rows, which SQLAlchemy takes from
        there: the cursor's own is that of the last set.
        """
        self._execute("executemany", (operation, parameters))
        return self if self._changed is None else self._changed

    def _execute(self, method: str, arguments: tuple[Any, ...]) -> BufferedCursor:
        sql = str(arguments[0])
        known = self._connection.member.known_answer(self._connection, arguments)
        known = known or self._connection.answer(sql)
        if known is None:
            self._connection.statement(sql, lambda: self._run(method, arguments))
        else:
            self._take(known)
        return self

    def _run(self, method: str, arguments: tuple[Any, ...]) -> None:
        """On the bridge: the driver executes, and hands over its rows."""
        connection = self._connection
        real = connection.take().cursor(*self._arguments, **self._keywords)
        if self._invalidate_schema_cache_asof:
            real._invalidate_schema_cache_asof = self._invalidate_schema_cache_asof
        try:
            returned = getattr(real, method)(*arguments)
        except Exception:
            real.close()
            raise
        except BaseException:
            connection.abandon_cursor(real)
            raise
        self._changed = returned if isinstance(returned, int) else None
        self._read(real)
        connection.member.learn(connection, arguments, self)

    def _read(self, real: Any) -> None:
        self.description = real.description
        self.rowcount = real.rowcount
        self.lastrowid = getattr(real, "lastrowid", None)
        if self._server_side:
            self._real = real
            self._connection.opened(self)
            return
        if real.description:
            self._rows = collections.deque(real.fetchall())
        real.close()

    def _take(self, answer: Answer) -> None:
        self.description = answer.description
        self.rowcount = answer.rowcount
        self._rows = collections.deque(answer.rows)

    @property
    def buffered(self) -> Sequence[Any]:
        """The rows that have not been fetched."""
        return tuple(self._rows)

    # ---------------------------------------------------------------------- rows
    def fetchone(self) -> Any:
        """The next row, or None."""
        if self._real is not None:
            return self._connection.fetch(self._real.fetchone)
        return self._rows.popleft() if self._rows else None

    def fetchmany(self, size: int | None = None) -> Sequence[Any]:
        """The next rows, `arraysize` of them where no size is given."""
        count = self.arraysize if size is None else size
        if self._real is not None:
            real = self._real
            rows: Sequence[Any] = self._connection.fetch(lambda: real.fetchmany(count))
            return rows
        return [self._rows.popleft() for _ in range(min(count, len(self._rows)))]

    def fetchall(self) -> Sequence[Any]:
        """All rows that are left."""
        if self._real is not None:
            rest: Sequence[Any] = self._connection.fetch(self._real.fetchall)
            return rest
        rows, self._rows = list(self._rows), collections.deque()
        return rows

    def __iter__(self) -> Iterator[Any]:
        return iter(self.fetchone, None)

    # ----------------------------------------------------------------------- end
    def close(self) -> None:
        """Forget the rows; a cursor of the server's is closed there."""
        self._rows.clear()
        real, self._real = self._real, None
        if real is None:
            return
        try:
            self._connection.fetch(real.close)
        except Exception:  # noqa: BLE001  # with its transaction the cursor is gone
            self._connection.drop_cursor(real)

    def drop(self) -> None:
        """Its transaction has ended, and the server has closed it."""
        real, self._real = self._real, None
        if real is not None:
            self._connection.drop_cursor(real)

    async def _async_soft_close(self) -> None:
        """SQLAlchemy closes cursors early; the real one is closed already."""

    def setinputsizes(self, *sizes: Any) -> None:
        """DBAPI asks for it; no driver here uses it."""
