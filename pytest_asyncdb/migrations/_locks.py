"""What a migration does to a live PostgreSQL, observed after each of its statements.

The migration's own connection is asked: which locks it holds on tables that were there
before, which of them have another file now, which were read from end to end. Which
locks conflict is in the manual's section "Explicit Locking". Cannot be seen: how large
tables are in production, and what a statement in autocommit has locked meanwhile.
"""

from __future__ import annotations

import contextlib
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import event

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from sqlalchemy import Connection

__all__ = ["Locks", "accepts_locks", "observed"]

_MODES: Final = (
    *("AccessShareLock", "RowShareLock", "RowExclusiveLock"),
    *("ShareUpdateExclusiveLock", "ShareLock", "ShareRowExclusiveLock"),
    *("ExclusiveLock", "AccessExclusiveLock"),
)
"""The weakest first; from ShareLock on nobody else writes."""
_NO_WRITES: Final = _MODES.index("ShareLock")
_NOTHING: Final = _MODES.index("AccessExclusiveLock")
_WORD: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
_LONG: Final = 0.5
"""Seconds of a statement that is long whatever it does."""
_SHOWN: Final = 100
_COMMENT: Final = re.compile(
    r"#\s*asyncdb:\s*locks (?:are )?(?:ok|meant)\b", re.IGNORECASE
)
_LOOK: Final = """SELECT c.oid, n.nspname, c.relname, c.relkind::text,
    pg_relation_filenode(c.oid), i.indrelid,
    (SELECT string_agg(DISTINCT l.mode, ',') FROM pg_locks l
        WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation'
        AND l.relation = c.oid AND l.granted),
    pg_stat_get_xact_numscans(c.oid),
    pg_stat_get_xact_tuples_updated(c.oid) + pg_stat_get_xact_tuples_deleted(c.oid)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_index i ON i.indexrelid = c.oid
    WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p', 'm', 'i')
    AND left(n.nspname, 3) <> 'pg_'"""
_COLUMNS: Final = """SELECT a.attrelid, a.attnum, a.attname FROM pg_attribute a
    WHERE a.attrelid >= 16384 AND a.attnum > 0 AND NOT a.attisdropped"""


def accepts_locks(path: str | None) -> bool:
    """Whether a revision file has the comment `# asyncdb: locks ok`."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return bool(path and _COMMENT.search(Path(path).read_text(encoding="utf-8")))
    return False


@dataclass(frozen=True, slots=True)
class _Relation:
    """A table or an index at one moment; counts are of the session."""

    name: str
    kind: str
    file: int | None
    table: int | None
    """The table of an index."""
    mode: int
    """Place of the strongest lock in `_MODES`; -1 for none."""
    scans: int
    changed: int


@dataclass(slots=True)
class Locks:
    """What was seen of one upgrade."""

    strongest: dict[str, str] = field(default_factory=dict)
    """By table that was there before: its strongest lock, and for which share of the
    time it was held. Being read is no lock that anybody feels.
    """
    dangers: list[str] = field(default_factory=list)


@contextlib.contextmanager
def observed(connection: Connection, ignored: Collection[str]) -> Iterator[Locks]:
    """While the block runs, look after each statement; what was seen is in `Locks`."""
    watch = _Watch(connection, ignored)
    event.listen(connection, "before_cursor_execute", watch.before)
    event.listen(connection, "after_cursor_execute", watch.after)
    try:
        yield watch.locks
    finally:
        event.remove(connection, "before_cursor_execute", watch.before)
        event.remove(connection, "after_cursor_execute", watch.after)
    watch.end()


class _Watch:
    """Compares what is after a statement with what was before it."""

    def __init__(self, connection: Connection, ignored: Collection[str]) -> None:
        self.locks = Locks()
        self._connection = connection
        self._ignored = ignored
        self._busy = False
        self._began = self._sent = time.perf_counter()
        self._first = {
            oid: each for oid, each in self._relations().items() if each.kind != "i"
        }
        self._columns = self._names()
        self._rows = {oid: self._count(each) for oid, each in self._first.items()}
        self._last = self._relations()  # behind what was counted
        self._taken: dict[int, tuple[int, float]] = {}

    # ---------------------------------------------------------------------- reading
    def _execute(self, sql: str) -> Any:  # noqa: ANN401  (rows)
        self._busy = True
        try:
            return self._connection.exec_driver_sql(sql).all()
        finally:
            self._busy = False

    def _relations(self) -> dict[int, _Relation]:
        found = {}
        for (
            oid,
            schema,
            name,
            kind,
            file,
            table,
            modes,
            scans,
            changed,
        ) in self._execute(_LOOK):
            if name not in self._ignored:
                full = name if schema == "public" else f"{schema}.{name}"
                mode = (
                    max(map(_MODES.index, modes.split(",")), default=-1)
                    if (modes)
                    else -1
                )
                found[oid] = _Relation(full, kind, file, table, mode, scans, changed)
        return found

    def _names(self) -> dict[tuple[int, int], str]:
        return {
            (table, number): name for table, number, name in self._execute(_COLUMNS)
        }

    def _count(self, table: _Relation) -> int:
        schema, _, name = table.name.rpartition(".")
        quoted = ".".join(f'"{each}"' for each in (schema or "public", name))
        return int(self._execute(f"SELECT count(*) FROM {quoted}")[0][0])  # noqa: S608

    # --------------------------------------------------------------------- statements
    def before(self, *_: object) -> None:
        """A statement is about to be sent."""
        if not self._busy:
            self._sent = time.perf_counter()

    def after(self, _: object, __: object, statement: str, *___: object) -> None:
        """A statement has been executed."""
        if self._busy:
            return
        took = time.perf_counter() - self._sent
        now = self._relations()
        self._judge(" ".join(statement.split())[:_SHOWN], now, took)
        for oid, each in now.items():
            if oid in self._first and each.mode > self._taken.get(oid, (0, 0.0))[0]:
                since = self._taken.get(oid, (0, self._sent))[1]
                self._taken[oid] = each.mode, since
        self._last = now

    def _judge(self, statement: str, now: dict[int, _Relation], took: float) -> None:
        told = len(self.locks.dangers)
        works = took > _LONG
        for oid in self._first.keys() & now.keys() & self._last.keys():
            was, is_ = self._last[oid], now[oid]
            scanned, changed = is_.scans > was.scans, is_.changed - was.changed
            works = works or scanned or changed > 0
            self._judge_table(statement, oid, now, scanned=scanned, changed=changed)
        held = [
            each.name
            for oid, each in self._last.items()
            if oid in self._first
            and each.mode == _NOTHING
            and oid in now
            and now[oid].mode == _NOTHING
        ]
        if works and held and told == len(self.locks.dangers):
            names = ", ".join(sorted(held))
            self._tell(f"holds ACCESS EXCLUSIVE on {names} while it runs", statement)

    def _judge_table(
        self,
        statement: str,
        oid: int,
        now: dict[int, _Relation],
        *,
        scanned: bool,
        changed: int,
    ) -> None:
        was, is_ = self._last[oid], now[oid]
        built = [
            each.name
            for place, each in now.items()
            if each.table == oid and place not in self._last
        ]
        if was.file != is_.file:
            self._tell(f"rewrites {is_.name} under {_said(is_.mode)}", statement)
        elif scanned and built and is_.mode >= _NO_WRITES:
            what = f"builds {', '.join(built)} on {is_.name} without CONCURRENTLY"
            self._tell(f"{what}, under {_said(is_.mode)}", statement)
        elif scanned and is_.mode >= _NO_WRITES:
            self._tell(f"reads all of {is_.name} under {_said(is_.mode)}", statement)
        elif changed > 1 and changed >= self._rows[oid]:
            self._tell(f"changes all rows of {is_.name} at once", statement)

    def _tell(self, what: str, statement: str) -> None:
        self.locks.dangers.append(f"{what}: {statement}")

    # --------------------------------------------------------------------------- end
    def end(self) -> None:
        """What is gone in the end, and how strong the locks were."""
        total = max(time.perf_counter() - self._began, 1e-9)
        now, names = self._relations(), self._names()
        for oid, each in self._first.items():
            if oid not in now:
                self.locks.dangers.append(f"{each.name} is gone, which code may use")
            elif now[oid].name != each.name:
                what = f"{each.name} is now named {now[oid].name}"
                self.locks.dangers.append(f"{what}; code may use the old name")
        for (table, number), name in self._columns.items():
            if table in self._first and table in now:
                self._column(table, name, names.get((table, number)))
        for oid, (mode, since) in self._taken.items():
            share = (time.perf_counter() - since) / total
            text = f"{_said(mode)} ({min(share, 1):.0%})"
            self.locks.strongest[self._first[oid].name] = text
        all_taken = [
            self._first[oid].name
            for oid, (mode, _) in self._taken.items()
            if mode == _NOTHING
        ]
        if len(all_taken) > 1:
            listed = ", ".join(sorted(all_taken))
            self.locks.dangers.append(f"locks {listed} in one transaction")

    def _column(self, table: int, name: str, new: str | None) -> None:
        where = f"{self._first[table].name}.{name}"
        if new is None:
            self.locks.dangers.append(f"{where} is gone, which code may use")
        elif new != name:
            what = f"{where} is now named {new}; code may use the old name"
            self.locks.dangers.append(what)


def _said(mode: int) -> str:
    """As the manual writes it: ACCESS EXCLUSIVE."""
    if mode < 0:
        return "no lock"
    return _WORD.sub(" ", _MODES[mode].removesuffix("Lock")).upper()
