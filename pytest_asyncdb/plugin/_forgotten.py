"""Coroutines of SQLAlchemy that nobody awaited: what they should do was not done."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import warnings
    from collections.abc import Iterator

    from pytest_asyncdb.plugin._terminal import Line

__all__ = ["Forgotten"]

_NEVER: Final = re.compile(
    r"coroutine '(Async(?:Session|Connection|Transaction|SessionTransaction)\.\w+)'"
    " was never awaited"
)


class Forgotten:
    """Collects Python's own warnings of the run, here and in its workers."""

    def __init__(self) -> None:
        self._seen: dict[str, list[str]] = {}

    def pytest_warning_recorded(
        self, warning_message: warnings.WarningMessage, nodeid: str
    ) -> None:
        """Note the method, if it is one that the database has not heard of."""
        found = _NEVER.match(str(warning_message.message))
        if found is not None:
            self._seen.setdefault(nodeid, []).append(found[1])

    @property
    def lines(self) -> Iterator[Line]:
        """For each test, what it called."""
        for test, methods in self._seen.items():
            names = ", ".join(dict.fromkeys(methods))
            text = (
                f"asyncdb: {test or 'a test'} did not await {names}, so nothing was"
                " done; in a sync test ask for db_sync_session, or db_run"
            )
            yield text, "yellow"
