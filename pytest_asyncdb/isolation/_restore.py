"""Putting a database back after real commits, and when it is made anew instead."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from pytest_asyncdb.isolation._driver import scalar
from pytest_asyncdb.isolation._finding import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_asyncdb.backends import Restoration
    from pytest_asyncdb.isolation._commit import RealCommits
    from pytest_asyncdb.isolation._link import Link
    from pytest_asyncdb.isolation._places import Place

__all__ = ["Restorer"]


class Restorer:
    """Knows what the database was like, on a connection of its own.

    `renew` makes the database anew; it is called where nothing else is certain.
    `taken_at` says where the application has taken a session, by its number.
    """

    def __init__(
        self,
        link: Link,
        renew: Callable[[], None],
        taken_at: Callable[[int], Place | None],
    ) -> None:
        self._link = link
        self._renew = renew
        self._taken_at = taken_at
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

    def restore(self, test: RealCommits | None = None) -> list[Finding]:
        """End the test and undo what it committed; what is uncertain is made anew.

        Without one: sandboxes have drawn from sequences, and their session may not have
        said so yet. A finding tells of a session that takes no part, and kept a lock.
        """
        holders: list[str] = []
        if not self._link.bridge.block(self._undo, test, holders):
            return []
        self.forget()
        self._renew()
        return [Finding(fatal=True, text=_locked(holders))] if holders else []

    def _undo(self, test: RealCommits | None, holders: list[str]) -> str:
        """What cannot be undone; empty where all has been. Runs on the bridge."""
        if test is not None:
            test.end()
        if self._real is None or (test is not None and test.unknown):
            return "nobody knows what was changed"
        assert self._how is not None
        driver = self._link.driver
        try:
            if test is None:
                driver.send(self._real, [self._how.worn])
            driver.send_alone(self._real, [self._how.restore])
        except Exception as error:  # noqa: BLE001 - a lock, a dead server: made anew
            with contextlib.suppress(Exception):
                if "lock" not in str(error):
                    return str(error)
                cursor = self._real.cursor()
                cursor.execute(self._how.holders)
                holders += [self._named(*row) for row in cursor.fetchall()]
                cursor.close()
            return str(error)
        return ""

    def _named(self, number: int, text: str) -> str:
        place = self._taken_at(number)
        return text if place is None else f"{text}\n    taken at {place}"

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
