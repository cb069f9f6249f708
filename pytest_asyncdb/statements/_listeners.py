"""What tells recorders of statements: three listeners, which they share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import Engine, event

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection, ExceptionContext

__all__ = ["Ears", "Listeners", "everywhere"]

_REST: Final = 20


class Ears(NamedTuple):
    """What a recorder wants to be called with."""

    before: Callable[[Connection, str, Any, Any, bool], None]
    """Connection, SQL, parameters, context, and whether they are many."""
    after: Callable[[Any, Any], None]
    """The driver's cursor, and the context."""
    failed: Callable[[ExceptionContext], None]


class Listeners:
    """Listens on an engine, or on all engines of the process, while it has recorders.

    With `lingers` also for some tests after that: to add listeners to all engines and
    to remove them takes as long as recording three statements.
    """

    def __init__(self, target: Engine | type[Engine], *, lingers: bool = False) -> None:
        self._target = target
        self._lingers = lingers
        self._ears: list[Ears] = []
        self._idle = 0
        self._events: tuple[tuple[str, Callable[..., Any], dict[str, Any]], ...] = (
            ("before_cursor_execute", self._before, {"retval": True}),
            ("after_cursor_execute", self._after, {}),
            ("handle_error", self._failed, {}),
        )
        self._listens = False

    def add(self, ears: Ears) -> None:
        """Tell a recorder of statements from here on."""
        self._ears.append(ears)
        self._idle = 0
        if not self._listens:
            self._listens = True
            for name, listener, options in self._events:
                event.listen(self._target, name, listener, **options)

    def remove(self, ears: Ears) -> None:
        """Tell it no more."""
        self._ears.remove(ears)
        if not self._lingers:
            self._rest()

    def end_test(self) -> None:
        """A test has ended: after some without a recorder, listen no more."""
        self._idle += 1
        if self._idle > _REST:
            self._rest()

    def _rest(self) -> None:
        if self._listens and not self._ears:
            self._listens = False
            for name, listener, _ in self._events:
                event.remove(self._target, name, listener)

    def _before(
        self,
        connection: Connection,
        _cursor: object,
        sql: str,
        parameters: Any,  # noqa: ANN401 - as the driver takes them
        context: Any,  # noqa: ANN401 - attributes may be set on it
        many: bool,  # noqa: FBT001 - SQLAlchemy's signature
    ) -> tuple[str, Any]:
        for ears in self._ears:
            ears.before(connection, sql, parameters, context, many)
        return sql, parameters

    def _after(
        self,
        _connection: Connection,
        cursor: Any,  # noqa: ANN401 - whatever the driver gives
        _sql: str,
        _parameters: object,
        context: Any,  # noqa: ANN401 - see above
        _many: bool,  # noqa: FBT001
    ) -> None:
        for ears in self._ears:
            ears.after(cursor, context)

    def _failed(self, failure: ExceptionContext) -> None:
        for ears in self._ears:
            ears.failed(failure)


everywhere: Final = Listeners(Engine, lingers=True)
