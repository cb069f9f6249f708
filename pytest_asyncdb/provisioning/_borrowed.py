"""The given database itself, for a role that may not create one."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from pytest_asyncdb.errors import AsyncDBError, DatabaseFailed, DatabaseRefused
from pytest_asyncdb.provisioning._families import is_owned
from pytest_asyncdb.provisioning._marks import Mark
from pytest_asyncdb.provisioning._naming import lock_key
from pytest_asyncdb.provisioning._template import build_template

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import URL

    from pytest_asyncdb.provisioning._administration import Administration
    from pytest_asyncdb.provisioning._place import Place
    from pytest_asyncdb.provisioning._thread import LoopThread
    from pytest_asyncdb.typing import SchemaBuilder

__all__ = ["Borrowed"]

_RECORD: Final = "borrowed.json"
_SHOWN: Final = 10


@dataclass(slots=True)
class Borrowed:
    """A database that must be empty or marked, and is emptied again at the end."""

    place: Place
    thread: LoopThread
    administration: Administration
    url: URL
    mark: Mark
    taken: bool = False

    @property
    def name(self) -> str:
        """The given database."""
        return str(self.url.database)

    def take(self) -> None:
        """Make sure that it may be used, and mark it; the caller holds the run's lock.

        Raises `DatabaseRefused`, having touched nothing.
        """
        user = self.place.read(_RECORD)
        if user not in {None, self.place.worker}:
            raise DatabaseRefused.taken(self.name, f"worker {user}")
        with self._alone():
            self.mark = replace(self.mark, extensions=self._check())
            self._attach(self.mark)
        self.place.write(_RECORD, self.place.worker)
        self.taken = True

    def fill(self, build: SchemaBuilder, options: Mapping[str, Any]) -> None:
        """Build schema and seed in it, after removing what an earlier run left."""
        self.clear()
        current = self.administration.backend.current
        try:
            self.thread.run(
                lambda: build_template(
                    self.url, build, options=options, current=current
                )
            )
        except AsyncDBError:
            self.give_back()
            raise

    def clear(self) -> None:
        """End other sessions on it, and remove all that is in it."""
        backend = self.administration.backend
        what = f"emptying database {self.name!r}"
        self.administration.play(what, backend.terminate(self.name))
        clear = backend.clear(self.name, spared=self.mark.extensions)
        self.administration.play(what, clear)

    def give_back(self) -> None:
        """Empty it, and take the mark away."""
        self.clear()
        for statement in self.administration.backend.unmark_own(self.name):
            self._try(statement)
        self.place.forget(_RECORD)
        self.taken = False

    def keep(self) -> None:
        """Leave everything; the mark says that the user asked for it."""
        self._attach(replace(self.mark, kept=True))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let no other run look at the database and mark it at the same time."""
        key, backend = lock_key(self.name), self.administration.backend
        self.administration.scalar(backend.seize(key))
        try:
            yield
        finally:
            self.administration.scalar(backend.release(key))

    def _check(self) -> tuple[str, ...]:
        backend = self.administration.backend
        earlier = Mark.parse(self.administration.scalar(backend.own_mark))
        if earlier is None:
            found = [name for (name,) in self.administration.rows(backend.contents)]
            if found:
                raise DatabaseRefused.dirty(self.name, self._role(), found[:_SHOWN])
            return tuple(
                name for (name,) in self.administration.rows(backend.extensions)
            )
        if earlier.short != self.mark.short and is_owned(self.administration, earlier):
            raise DatabaseRefused.taken(self.name, "another run")
        return earlier.extensions

    def _attach(self, mark: Mark) -> None:
        ways = self.administration.backend.mark_own(self.name, mark.text())
        if not any(self._try(*statements) for statements in ways):
            raise DatabaseRefused.foreign(self.name, self._role())

    def _try(self, *statements: str) -> bool:
        try:
            self.administration.execute("marking the database", *statements)
        except DatabaseFailed as error:
            if error.code not in self.administration.backend.denied:
                raise
            return False
        return True

    def _role(self) -> str:
        return str(self.administration.scalar(self.administration.backend.role))
