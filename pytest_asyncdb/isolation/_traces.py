"""What a test leaves on a connection that a rollback does not undo."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_asyncdb.backends._text import Text

__all__ = ["Locals", "Settings", "Traces"]


class Traces:
    """What the statements of one test have touched besides rows."""

    def __init__(self, *, resets: bool) -> None:
        self._resets = resets
        self.session = False
        """Session state that a statement of the driver's resets: locks, LISTEN, SET."""
        self.sticky = False
        """What only another connection gets rid of: PREPARE, the driver's own calls."""
        self.schema = False
        """DDL, after which the driver's plans may be invalid."""
        self.defers = False
        """Constraints are deferred that the schema alone would not tell of."""
        self.committed = False
        """The test's transaction was committed; the database has to be made anew."""
        self.pragmas: list[str] = []
        """What sets the PRAGMAs back that `connect` listeners set."""

    def note(self, text: Text) -> None:
        """A statement is about to be sent."""
        self.session |= text.session
        self.sticky |= text.sticky or (text.session and not self._resets)
        self.schema |= text.defines
        self.defers |= text.defers

    def add(self, other: Traces) -> None:
        """Those of an example, which outlast it."""
        self.session |= other.session
        self.sticky |= other.sticky
        self.schema |= other.schema
        self.pragmas += other.pragmas

    def __bool__(self) -> bool:
        return self.session or self.sticky or self.committed


class Settings:
    """Server settings that engines connect with, applied to each one's transactions.

    Engines share the connection; what they would have said when connecting travels as
    SET LOCAL with the next statement, when it differs from what holds.
    """

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._current: Mapping[str, str] | None = {}

    def unknown(self) -> None:
        """A rollback may have undone some."""
        self._current = None

    def statements(self, wanted: Mapping[str, str]) -> list[str]:
        """What has to be sent before a statement of an engine that wants these."""
        self._seen |= wanted.keys()
        if self._current == wanted or not self._seen:
            self._current = wanted
            return []
        self._current = dict(wanted)
        return [
            f"SET LOCAL {name} TO {_quoted(wanted[name])}"
            if name in wanted
            else f"SET LOCAL {name} TO DEFAULT"
            for name in sorted(self._seen)
        ]


class Locals:
    """Settings that SET LOCAL changes until its transaction ends, which here goes on.

    What held before is kept in a setting of our own, and put back after the COMMIT;
    both travel with the next statement.
    """

    def __init__(self) -> None:
        self._count = 0

    def keep(self, names: Iterable[str], kept: Mapping[str, str]) -> dict[str, str]:
        """Where the values of those settings are to be kept that are not kept yet."""
        new = [name.lower() for name in names if name.lower() not in kept]
        self._count += len(new)
        return {name: f"asyncdb.kept_{self._count - at}" for at, name in enumerate(new)}

    @staticmethod
    def statements(slots: Mapping[str, str]) -> list[str]:
        """What keeps them."""
        return [
            f"SELECT set_config('{slot}', "
            f"coalesce(current_setting('{name}', true), ''), true)"
            for name, slot in slots.items()
        ]

    @staticmethod
    def restoring(slots: Mapping[str, str]) -> list[str]:
        """What puts them back, once their transaction has been committed."""
        return [
            f"SELECT set_config('{name}', current_setting('{slot}'), true)"
            for name, slot in slots.items()
        ]


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
