"""Putting a database back after real commits, and when it is made anew instead."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from pytest_asyncdb.isolation._driver import scalar
from pytest_asyncdb.isolation._finding import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_asyncdb.backends import Restoration
    from pytest_asyncdb.isolation._link import Link

__all__ = ["Restorer"]


class Restorer:
    """Knows what the database was like, on a connection of its own.

    `renew` makes the database anew; it is called where nothing else is certain.
    """

    def __init__(self, link: Link, renew: Callable[[], None]) -> None:
        self._link = link
        self._renew = renew
        self._real: Any = None
        self._is_supported = True

    @property
    def is_prepared(self) -> bool:
        """Whether the server counts what is changed, by whomever."""
        return self._real is not None

    @property
    def flush(self) -> Sequence[str]:
        """What each session says that has written, before it is given back."""
        return self._how.flush if self._real is not None and self._how else ()

    @property
    def _how(self) -> Restoration | None:
        return self._link.database.backend.restoration

    def prepare(self) -> None:
        """Look at the database while nothing has touched it."""
        if self._how is not None and self._is_supported and self._real is None:
            self._link.bridge.block(self._look, self._how)

    def _look(self, how: Restoration) -> None:
        real = self._link.another()
        self._is_supported = bool(scalar(real, how.supported))
        if not self._is_supported:
            real.close()
            return
        for statement in how.prepare:
            self._link.driver.send(real, [statement])
        self._real = real

    def restore(self, *, certain: bool, worn: bool = False) -> list[Finding]:
        """Undo what was committed; unless `certain` of all sessions, make it anew.

        `worn`: a sandbox has drawn from sequences, and its session may not have said so
        yet. A finding tells of a session that takes no part, and kept a lock.
        """
        holders: list[str] = []
        known = self._real is not None and certain
        if known and not self._link.bridge.block(self._undo, holders, worn):
            return []
        self.forget()
        self._renew()
        return [Finding(fatal=True, text=_locked(holders))] if holders else []

    def _undo(self, holders: list[str], worn: bool) -> str:  # noqa: FBT001
        """What cannot be undone; empty where all has been."""
        assert self._how is not None
        try:
            if worn:
                self._link.driver.send(self._real, [self._how.worn])
            return str(scalar(self._real, self._how.restore))
        except Exception as error:  # noqa: BLE001 - a lock, a dead server: made anew
            with contextlib.suppress(Exception):
                if "lock" not in str(error):
                    return str(error)
                cursor = self._real.cursor()
                cursor.execute(self._how.holders)
                holders += [text for (text,) in cursor.fetchall()]
                cursor.close()
            return str(error)

    def forget(self) -> None:
        """Close the connection: the database is about to be another one."""
        real, self._real = self._real, None
        if real is not None:
            with contextlib.suppress(Exception):
                self._link.bridge.block(real.close)


def _locked(holders: Sequence[str]) -> str:
    sessions = "".join(f"\n  {each}" for each in holders)
    return (
        "what the test committed could not be undone: another session holds a lock"
        f"{sessions}\n  what helps:\n    - end the session before the test ends; the"
        " database has been made anew, which ended it"
    )
