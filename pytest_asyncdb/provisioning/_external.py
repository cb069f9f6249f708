"""A given server: a database of our own on it, or the given one if it must be."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from pytest_asyncdb.errors import (
    AsyncDBError,
    DatabaseRefused,
    SourceUnavailable,
    TooManyWorkers,
)
from pytest_asyncdb.provisioning._abilities import check, notes
from pytest_asyncdb.provisioning._administration import Administration
from pytest_asyncdb.provisioning._borrowed import Borrowed
from pytest_asyncdb.provisioning._clones import Clones
from pytest_asyncdb.provisioning._database import Database
from pytest_asyncdb.provisioning._failure import shown
from pytest_asyncdb.provisioning._families import drop_family, sweep_server
from pytest_asyncdb.provisioning._marks import Mark
from pytest_asyncdb.provisioning._naming import (
    OwnerTag,
    database_name,
    lock_key,
    template_name,
)
from pytest_asyncdb.provisioning._nodes import nodes_for
from pytest_asyncdb.provisioning._source import Source
from pytest_asyncdb.provisioning._spares import Spares
from pytest_asyncdb.provisioning._stored import Stored

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import URL

    from pytest_asyncdb.provisioning._source import Setting
    from pytest_asyncdb.typing import SchemaBuilder

__all__ = ["External"]

_RECORD: Final = "external.json"
_CONNECTIONS: Final = 2
"""Of each worker: one for its tests, and one on which databases are made."""


class External(Source):
    """Databases on a server that the run did not start and does not stop.

    The URL's own database is only connected to, unless the role may not create another
    one. The kept connection holds a lock by which other runs see that this one lives.
    """

    name = "url"

    def __init__(
        self, setting: Setting, *, source: str = "url", durable: bool = True
    ) -> None:
        super().__init__(setting)
        self._from = source
        self._durable = durable
        if setting.target.url is None:
            raise SourceUnavailable.unknown(setting.target.product, self.name, ())
        drivername = f"{setting.target.product}+{setting.driver}"
        given = _named_once(setting.target.url.set(drivername=drivername))
        self._nodes = nodes_for(setting.place.worker, given)
        self._kept: Administration | None = None
        self._borrowed: Borrowed | None = None
        self._spares: Spares | None = None

    @cached_property
    def _given(self) -> URL:
        """The worker's own node; where only one of them takes writes, that one.

        A driver would look for it at each connect, and find first a standby that does
        not know of a new database yet.
        """
        if self._server_backend().is_multi_primary or len(self._nodes) == 1:
            return self._nodes[0]
        return self._primary()

    def _primary(self) -> URL:
        refused: AsyncDBError = DatabaseRefused.reads_only(shown(self._nodes[0]))
        for node in self._nodes:
            administration = Administration(node, self._server_backend(), self._thread)
            try:
                check(administration, shown(node))
            except AsyncDBError as error:
                refused = error
            else:
                return node
            finally:
                administration.close()
        raise refused

    @property
    def url(self) -> URL:
        """Where this worker's database will be, if the role may create one.

        Connects only where the URL names several hosts of which one takes writes.
        """
        name = database_name(self._place.short, self._place.worker)
        return self._given.set(database=name)

    def database(self, build: SchemaBuilder, options: Mapping[str, Any]) -> Database:
        """A clone on the given server, or the given database itself.

        Raises `ServerUnreachable`, or `DatabaseRefused` with nothing touched.
        """
        administration = self._administration()
        check(administration, shown(self._given))
        if administration.scalar(administration.backend.may_create):
            return self._cloned(administration, build, options)
        return self._lent(administration, build, options)

    def stored(self) -> Stored:
        """Those of all runs of this role."""
        return Stored(self._administration())

    def close(self) -> list[str]:
        """Drop this worker's database; as the owner all that is left of the run."""
        try:
            if self._spares is not None:
                self._spares.close(drop=True)
            return self._leave()
        except AsyncDBError as error:
            return [f"{error.cause}: {'; '.join(error.tried)}"]
        finally:
            self._forget()

    def _cloned(
        self,
        administration: Administration,
        build: SchemaBuilder,
        options: Mapping[str, Any],
    ) -> Database:
        clones = self._clones(administration)
        with self._place.locked():
            if self._place.read(_RECORD) is None:
                sweep_server(administration)
                self._check_connections(administration)
                self._place.write(_RECORD, "used")
            with self._progress.step("building the template database"):
                clones.ensure_template(build, options)
        clones.replace()
        own = Administration(
            self._given,
            administration.backend,
            self._thread,
            opening=administration.backend.keep_alive,
        )
        spares = self._spares = Spares(self._clones(own))
        return spares.attach(
            self._described(administration, clones.url, clones.replace, lent=False)
        )

    def _check_connections(self, administration: Administration) -> None:
        """Raise `TooManyWorkers` before the server would refuse one of them."""
        workers = self._setting.workers
        free = int(administration.scalar(administration.backend.free_connections))
        if free + 1 < workers * _CONNECTIONS:  # this one is counted already
            raise TooManyWorkers.of(workers, _CONNECTIONS, free + 1)

    def _lent(
        self,
        administration: Administration,
        build: SchemaBuilder,
        options: Mapping[str, Any],
    ) -> Database:
        name = administration.scalar(administration.backend.current)
        given = self._given.set(database=name)
        borrowed = self._borrowed = Borrowed(
            self._place, self._thread, administration, given, self._mark()
        )

        def fill() -> None:
            borrowed.fill(build, options)

        with self._place.locked():
            borrowed.take()
        fill()
        return self._described(administration, given, fill, lent=True)

    def _described(
        self,
        administration: Administration,
        url: URL,
        remake: Callable[[], None],
        *,
        lent: bool,
    ) -> Database:
        return Database(
            url=url,
            product=self._target.product,
            version=administration.version,
            source=self._from,
            backend=administration.backend,
            durable=self._durable,
            remake=remake,
            notes=tuple(notes(administration, lent=lent)),
        )

    def _leave(self) -> list[str]:
        if self._borrowed is not None and self._borrowed.taken:
            borrowed = self._borrowed
            (borrowed.keep if self._place.keep else borrowed.give_back)()
        if self._place.read(_RECORD) is None:
            return []
        if self._place.keep:
            self._mark_kept()
        elif self._place.owner:
            return drop_family(self._answering(), self._place.short)
        elif self._kept is not None:
            self._drop_own(self._kept)
        return []

    def _drop_own(self, administration: Administration) -> None:
        """Drop the worker's database; where its node is gone, the owner will."""
        try:
            self._clones(administration).drop()
        except AsyncDBError:
            if len(self._nodes) == 1 or administration.probe() is None:
                raise

    def _answering(self) -> Administration:
        """On the worker's own node, or where that is gone on another."""
        for other in self._nodes[1:]:
            if self._administration().probe() is None:
                break
            self._forget()
            self._given = other
        return self._administration()

    def _forget(self) -> None:
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.close()

    def _mark_kept(self) -> None:
        if self._kept is not None:
            clones, draft = self._clones(self._kept), template_name(self._place.short)
            for name in [clones.name, *([draft] if clones.template == draft else [])]:
                text = self._mark(kept=True).text()
                statements = self._kept.backend.mark(name, text)
                self._kept.execute(f"marking database {name!r}", *statements)

    def _clones(self, administration: Administration) -> Clones:
        return Clones(
            place=self._place,
            thread=self._thread,
            administration=administration,
            url=self.url,
            durable=self._durable,
            mark=self._mark().text(),
            stays=True,
        )

    def _mark(self, *, kept: bool = False) -> Mark:
        tag = self._place.tag or OwnerTag.here()
        return Mark(self._place.short, tag, kept=kept)

    def _administration(self) -> Administration:
        if self._kept is None:
            backend = self._server_backend()
            hold = backend.hold(lock_key(self._place.short))
            self._kept = Administration(
                self._given, backend, self._thread, opening=(hold, *backend.keep_alive)
            )
        return self._kept


def _named_once(url: URL) -> URL:
    """The URL with its database in its path, not in options that would override it."""
    query = dict(url.query)
    for option in ("dbname", "database"):
        if named := query.pop(option, None):
            url = url.set(database=str(named))
    return url.set(query=query)
