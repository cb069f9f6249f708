"""Where actors are stopped, and what is known of each of their connections."""

from __future__ import annotations

import asyncio
import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pytest_asyncdb.concurrency._actor import Actor, Lane
from pytest_asyncdb.concurrency._classify import classify
from pytest_asyncdb.concurrency._rules import Transaction
from pytest_asyncdb.concurrency._trace import Kind, Step, Trace
from pytest_asyncdb.errors import ExplorationRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from sqlalchemy import Connection
    from sqlalchemy.orm import Session

    from pytest_asyncdb.backends._footprint import Footprints
    from pytest_asyncdb.concurrency._actor import Function
    from pytest_asyncdb.concurrency._op import Op
    from pytest_asyncdb.concurrency._probe import Probe
    from pytest_asyncdb.concurrency._rules import Rules

__all__ = ["Ground", "Stops", "Tally", "shortened"]

_HURRIED: Final = "asyncdb_hurried"
_LONGEST: Final = 80


@dataclass(slots=True)
class Tally:
    """What happened besides: over all schedules of a search."""

    waits: int = 0
    stalls: set[str] = field(default_factory=set)
    unseen: set[str] = field(default_factory=set)
    others: set[int] = field(default_factory=set)
    """Sessions that are no actor's, and held a lock."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What all schedules of a search have in common."""

    probe: Probe
    footprints: Footprints
    rules: Rules
    wanted: Callable[[Connection], bool]
    isolation: str | None
    patience: float
    """Seconds after which an actor that does nothing is given up."""


class Stops:
    """The actors of one run, and the listener that lets them stop."""

    def __init__(
        self,
        ground: Ground,
        functions: Mapping[str, Function],
        tally: Tally,
    ) -> None:
        self.trace = Trace(tuple(functions), row_locks=not ground.rules.is_file)
        self.actors = [
            Actor(number, name, fn)
            for number, (name, fn) in enumerate(functions.items())
        ]
        self.touched: set[str] = set()
        """Tables that were written, or `EVERYTHING`."""
        self.inserted = False
        self._ground = ground
        self._probe = ground.probe
        self._tally = tally
        self._over = False
        self._refusal: BaseException | None = None
        self._arrival: asyncio.Future[None] | None = None
        self._owners: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()

    # ------------------------------------------------------------------ what is told
    def wants(self, connection: Connection) -> bool:
        """Whether the connection is one of those that are watched."""
        return self._ground.wanted(connection)

    def connected(self, actor: int, connection: Connection) -> None:
        """Set the level that was asked for, where the application names none."""
        if not self.wants(connection):
            return
        self.driver_begins(actor)
        try:
            self._hurry(connection)
            level = self._ground.isolation
            if level is not None and "isolation_level" not in _options(connection):
                connection.execution_options(isolation_level=level)
        finally:
            self.driver_ends(actor)

    def _hurry(self, connection: Connection) -> None:
        """Let the server look for deadlocks at once on the connection's behalf."""
        hurry, info = self._probe.deadlocks.hurry, connection.info
        if hurry is None or info.get(_HURRIED):
            return
        info[_HURRIED] = True
        driver: Any = connection.connection.dbapi_connection
        cursor = driver.cursor()
        cursor.execute(hurry)
        cursor.close()
        driver.commit()

    def began(self, actor: int, session: Session) -> None:
        """Two actors must not share a session."""
        self._own(actor, session)

    def _own(self, actor: int, thing: Any) -> None:
        owner = self._owners.setdefault(thing, actor)
        if owner != actor:
            names = self.actors[owner].name, self.actors[actor].name
            self._refuse(ExplorationRefused.shared_session(*names))

    def _refuse(self, error: BaseException) -> None:
        self._refusal = self._refusal or error
        self._wake()
        raise error

    def unseen(self, sql: str) -> None:
        """A statement was sent that nobody could keep waiting."""
        self._tally.unseen.add(shortened(sql))

    def driver_begins(self, actor: int) -> None:
        """Making a connection takes as long as it takes."""
        self.actors[actor].in_driver += 1

    def driver_ends(self, actor: int) -> None:
        """It was made, or taken from a pool."""
        self.actors[actor].in_driver = max(0, self.actors[actor].in_driver - 1)

    def returned(self, actor: int, connection: object) -> None:
        """What it had sent has been answered."""
        lane = self.actors[actor].lanes.get(connection)
        if lane is not None:
            self._landed(lane)

    def _landed(self, lane: Lane) -> None:
        """It has been answered; one that waited goes on, before anybody has asked."""
        if lane.waits:
            self._actor_of(lane).moves = True
        lane.flies = lane.waits = lane.is_quiet = False
        self._probe.answered(lane.session)

    def answered(self, actor: int, connection: object, rows: int | None) -> None:
        """The statement has succeeded."""
        lane = self.actors[actor].lanes.get(connection)
        if lane is None:
            return
        self._landed(lane)
        step = lane.step
        if step is not None and rows is not None and rows >= 0 and not step.outcome:
            step.outcome = f"{rows} row{'' if rows == 1 else 's'}"

    def failed(self, actor: int, connection: object, error: BaseException) -> None:
        """What was sent has failed."""
        lane = self.actors[actor].lanes.get(connection)
        if lane is None:
            return
        self._landed(lane)
        if lane.step is not None and lane.step.error is None:
            condition = classify(error)
            lane.step.error = error
            lane.step.outcome = condition.name if condition else type(error).__name__

    # -------------------------------------------------------------------- what stops
    def statement(
        self, actor: int, connection: Connection, sql: str, parameters: object
    ) -> Coroutine[Any, Any, None] | None:
        """Keep the statement waiting until it is chosen."""
        if self._over:
            return None
        footprint = self._ground.footprints.of(sql)
        lane = self._lane(actor, connection)
        if footprint.defines:
            self._refuse(
                ExplorationRefused.schema(self.actors[actor].name, shortened(sql))
            )
        if footprint.level is not None:
            lane.transaction.said = footprint.level
        if footprint.quiet:
            self._probe.sent(lane.session, Kind.READ, sql)
            lane.is_quiet = True
            return None
        if footprint.writes:
            self.touched |= footprint.tables
            self.inserted |= "INSERT" in sql.upper() or "MERGE" in sql.upper()
        op = lane.transaction.statement(sql, footprint)
        return self._park(self.actors[actor], lane, op, parameters)

    def end(
        self, actor: int, connection: Connection, kind: Kind
    ) -> Coroutine[Any, Any, None] | None:
        """Keep the end waiting until it is chosen, where it concerns anybody."""
        if self._over:
            return None
        lane = self._lane(actor, connection)
        op = lane.transaction.end(kind)
        if op is None:
            self._probe.sent(lane.session, kind, kind.value)
            if kind is not Kind.ROLLBACK_TO:
                lane.transaction.clear()
            return None
        return self._park(self.actors[actor], lane, op, None)

    def _lane(self, number: int, connection: Connection) -> Lane:
        self._own(number, connection)
        actor, key = self.actors[number], connection.connection.dbapi_connection
        lane = actor.lanes.get(key)
        if lane is None:
            session = self._probe.session(connection.connection.driver_connection)
            transaction = Transaction(self._ground.rules)
            lane = Lane(len(actor.lanes) + 1, session, transaction)
            actor.lanes[key] = lane
        lane.transaction.level = _level(connection)
        return lane

    async def _park(self, actor: Actor, lane: Lane, op: Op, parameters: object) -> None:
        self._landed(lane)
        lane.pending, lane.waits = op, False
        actor.moves, actor.stalled = actor.in_driver > 0, False
        lane.resume = asyncio.get_running_loop().create_future()
        self._wake()
        try:
            await lane.resume
        finally:
            lane.pending = None
        if self._over:
            return
        lane.step = Step(
            actor.name,
            op.kind,
            op.sql,
            lane.number,
            op.tables,
            parameters=parameters,
        )
        self.trace.steps.append(lane.step)
        lane.flies = True
        lane.transaction.sent(op)
        self._probe.sent(lane.session, op.kind, op.sql)

    def _wake(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    def _lanes(self) -> list[Lane]:
        return [lane for actor in self.actors for lane in actor.lanes.values()]

    def _actor_of(self, lane: Lane) -> Actor:
        return next(each for each in self.actors if lane in each.lanes.values())


def _options(connection: Connection) -> Mapping[str, Any]:
    return connection.get_execution_options()


def _level(connection: Connection) -> str:
    """The isolation level, as far as it is known without asking the server."""
    dialect: Any = connection.dialect
    said = (
        _options(connection).get("isolation_level")
        or getattr(dialect, "_on_connect_isolation_level", None)
        or getattr(dialect, "default_isolation_level", None)
        or ""
    )
    return str(said).upper().replace("_", " ")


def shortened(sql: str) -> str:
    """A statement on one line, cut where it is long."""
    text = " ".join(sql.split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
