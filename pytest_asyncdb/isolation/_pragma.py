"""PRAGMA of a `connect` listener: most take effect outside of a transaction only."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from pytest_asyncdb.errors import PragmaIgnored

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_asyncdb.isolation._sandbox import Sandbox

__all__ = ["Pragma"]

_SETTING: Final = re.compile(
    r"\s*PRAGMA\s+([\w.]+)\s*(?:=|\()\s*(.+?)\s*\)?\s*;?\s*\Z", re.IGNORECASE
)
_DURABILITY: Final = frozenset({"journal_mode", "synchronous"})


class Pragma:
    """One `PRAGMA name = value`, as a connection of the application sets it."""

    def __init__(self, sql: str) -> None:
        found = _SETTING.match(sql)
        self.sql = sql
        self.name = found[1].lower() if found else ""

    def run(
        self, sandbox: Sandbox, operation: Callable[[], Any], *, blocking: bool
    ) -> None:
        """Set it, and have it set back when the test ends.

        SQLite ignores `foreign_keys` inside a transaction, without a word; there the
        test's transaction is committed first, and the database made anew after the
        test. Raises PragmaIgnored where an open transaction forbids that. What only
        says how safely the data is kept is left as it is.
        """
        if self.name in _DURABILITY:
            return
        before = self._ask(sandbox, blocking=blocking)
        if sandbox.has_begun and self.name == "foreign_keys":
            if self._holds(before):
                return
            if not sandbox.restart(blocking=blocking):
                raise PragmaIgnored.inside_of_transaction(self.sql)
        sandbox.run_unbegun(operation, blocking=blocking)
        if before is not None and before != self._ask(sandbox, blocking=blocking):
            sandbox.traces.session = True
            sandbox.traces.pragmas.append(f"PRAGMA {self.name} = {before}")

    def _ask(self, sandbox: Sandbox, *, blocking: bool) -> Any:
        if not self.name:
            return None

        def ask() -> Any:
            cursor = sandbox.link.real().cursor()
            try:
                cursor.execute(f"PRAGMA {self.name}")
                row = cursor.fetchone()
                return row[0] if row else None
            finally:
                cursor.close()

        return sandbox.run_unbegun(ask, blocking=blocking)

    def _holds(self, value: Any) -> bool:
        """Whether the value is the one that was asked for."""
        found = _SETTING.match(self.sql)
        asked = found[2].strip("'\"").upper() if found else ""
        words = {
            "ON": "1",
            "YES": "1",
            "TRUE": "1",
            "OFF": "0",
            "NO": "0",
            "FALSE": "0",
        }
        return words.get(asked, asked) == str(value).upper() or not self.name
