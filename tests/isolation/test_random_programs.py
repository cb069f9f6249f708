"""Random programs of concurrent sessions: in the sandbox as on real connections.

Tasks run freely, so the final state must not depend on who is faster: sessions change
rows of their own; those that all share they only add to or delete, in any order.
`ASYNCDB_PROGRAMS` and `ASYNCDB_SEED` ask for more programs, or for other ones.
"""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import os
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from pytest_asyncdb.errors import RollbackRefused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterator

    from sqlalchemy.ext.asyncio import AsyncEngine

    from pytest_asyncdb.isolation import Finding, Isolation

PROGRAMS: Final = int(os.environ.get("ASYNCDB_PROGRAMS", "1000"))
SEED: Final = int(os.environ.get("ASYNCDB_SEED", "20261121"))
numbers: Final = itertools.count()
counts: Final[Counter[str]] = Counter()
LOCK_WAIT: Final = "40ms"
"""A statement that waits longer for a lock makes its program one that blocks."""

RESET: Final = (
    "TRUNCATE items",
    "INSERT INTO items VALUES (0, 0, 0), (1, 0, 0), (2, 0, 0), (3, 0, 0)",
)
TABLE: Final = "CREATE TABLE items (id int PRIMARY KEY, owner int, n int)"
PAUSES: Final = (None, None, 0.0, 0.0, 0.001, 0.003)

VERBS: Final = {
    "insert": 8,
    "update": 4,
    "delete": 2,
    "bump": 1.2,
    "drop": 0.2,
    "clash": 0.7,
    "read": 4,
    "nest": 2,
    "unnest": 2,
    "undo": 1,
    "commit": 6,
    "rollback": 1.2,
    "close": 0.8,
}
"""What a step does, and how often. `undo` rolls the innermost savepoint back, `bump`
and `drop` change a shared row, `clash` inserts in a savepoint what is there already."""
WRITES: Final = frozenset({"insert", "update", "delete", "bump", "drop", "clash"})
UNDOES: Final = frozenset({"undo", "rollback", "close", "clash"})


@dataclass(frozen=True)
class Step:
    """What one task does next, with one of its sessions."""

    task: int
    session: int
    verb: str
    row: int
    pause: float | None

    @property
    def owner(self) -> int:
        """The number of the session, whose rows begin with it."""
        return 10 * (self.task + 1) + self.session

    def __str__(self) -> str:
        pause = "" if self.pause is None else f"  after {self.pause} s"
        return f"task {self.task} session {self.session}: {self.verb} {self.row}{pause}"


def random_program(number: int) -> list[Step]:
    """The program of that number: steps of two to five tasks."""
    random_ = random.Random(f"{SEED} {number}")  # noqa: S311 - nothing secret
    kind = random_.choice(("any", "any", "commits"))
    verbs = {
        verb: weight
        for verb, weight in VERBS.items()
        if kind == "any" or verb not in UNDOES
    }
    program = []
    for task in range(random_.randint(2, 5)):
        sessions = random_.choice((1, 1, 1, 2))
        for _ in range(random_.randint(3, 12)):
            (verb,) = random_.choices(list(verbs), list(verbs.values()))
            session, row = random_.randrange(sessions), random_.randint(1, 3)
            program.append(Step(task, session, verb, row, random_.choice(PAUSES)))
        if kind == "commits":
            program += [Step(task, each, "commit", 0, None) for each in range(sessions)]
    return program


# ------------------------------------------------------------------- running one
@dataclass
class Event:
    """One step of a session, with its start and end in the order of all."""

    transaction: tuple[int, int]
    verb: str
    start: int
    end: int | None = None


@dataclass
class Run:
    """What happened when a program ran."""

    events: list[Event] = field(default_factory=list)
    reads: dict[int, list[Any]] = field(default_factory=dict)
    errors: list[BaseException] = field(default_factory=list)
    state: list[Any] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    clock: int = 0

    def tick(self) -> int:
        """The next place in the order."""
        self.clock += 1
        return self.clock

    @property
    def refused(self) -> bool:
        """Whether the sandbox refused a rollback."""
        return any(isinstance(error, RollbackRefused) for error in self.errors)

    def may_refuse(self) -> bool:
        """Whether some rollback came after another transaction's write inside it."""
        begun: dict[tuple[int, int], int] = {}
        for event in self.events:
            begun.setdefault(event.transaction, event.start)
        return any(
            write.transaction != undo.transaction
            and write.end is not None
            and write.start < undo.start
            and write.end > begun[undo.transaction]
            for undo in self.events
            if undo.verb in UNDOES
            for write in self.events
            if write.verb in WRITES
        )


class Actor:
    """One session of a task, which does what the steps say."""

    def __init__(self, run: Run, session: AsyncSession, owner: int) -> None:
        self.run = run
        self.session = session
        self.owner = owner
        self.serial = 0
        self.inserted = 0
        self.nested: list[Any] = []

    async def do(self, step: Step) -> None:
        """One step; what makes no sense at this place does nothing."""
        event = Event((self.owner, self.serial), step.verb, self.run.tick())
        self.run.events.append(event)
        await getattr(self, f"_{step.verb}")(step)
        event.end = self.run.tick()

    async def _execute(self, sql: str) -> Any:
        return await self.session.execute(text(sql))

    async def _insert(self, _: Step) -> None:
        self.inserted += 1
        number = 1000 * self.owner + self.inserted
        await self._execute(f"INSERT INTO items VALUES ({number}, {self.owner}, 0)")

    async def _update(self, step: Step) -> None:
        await self._execute(f"UPDATE items SET n = n + 1 WHERE {self._some(step)}")

    async def _delete(self, step: Step) -> None:
        await self._execute(f"DELETE FROM items WHERE {self._some(step)}")

    def _some(self, step: Step) -> str:
        return f"owner = {self.owner} AND id % 3 = {step.row % 3}"

    async def _bump(self, step: Step) -> None:
        await self._execute(f"UPDATE items SET n = n + 1 WHERE id = {step.row}")

    async def _drop(self, step: Step) -> None:
        await self._execute(f"DELETE FROM items WHERE id = {step.row}")

    async def _clash(self, _: Step) -> None:
        with pytest.raises(IntegrityError):
            async with self.session.begin_nested():
                await self._execute("INSERT INTO items VALUES (0, 0, 0)")

    async def _read(self, _: Step) -> None:
        rows = await self._execute(
            f"SELECT count(*), sum(n) FROM items WHERE owner = {self.owner}"
        )
        self.run.reads.setdefault(self.owner, []).append(tuple(rows.one()))

    async def _nest(self, _: Step) -> None:
        self.nested.append(await self.session.begin_nested())

    async def _unnest(self, _: Step) -> None:
        if self.nested:
            await self.nested.pop().commit()

    async def _undo(self, _: Step) -> None:
        if self.nested:
            await self.nested.pop().rollback()

    async def _commit(self, _: Step) -> None:
        await self._end(self.session.commit)

    async def _rollback(self, _: Step) -> None:
        await self._end(self.session.rollback)

    async def _close(self, _: Step) -> None:
        await self._end(self.session.close)

    async def _end(self, end: Callable[[], Awaitable[None]]) -> None:
        self.nested.clear()
        self.serial += 1
        await end()


async def run_task(run: Run, engine: AsyncEngine, steps: list[Step]) -> None:
    """One task: its steps, one after the other, then it closes its sessions."""
    actors: dict[int, Actor] = {}
    try:
        for step in steps:
            if step.pause is not None:
                await asyncio.sleep(step.pause)
            if step.session not in actors:
                actors[step.session] = Actor(run, AsyncSession(engine), step.owner)
            await actors[step.session].do(step)
    finally:
        for actor in actors.values():
            try:
                await actor.do(Step(steps[0].task, 0, "close", 0, None))
            except RollbackRefused as error:
                run.errors.append(error)


async def run_program(engine: AsyncEngine, program: list[Step]) -> Run:
    """All tasks at once; then what is in the table."""
    run = Run()
    tasks: dict[int, list[Step]] = {}
    for step in program:
        tasks.setdefault(step.task, []).append(step)
    answers = await asyncio.gather(
        *(run_task(run, engine, steps) for steps in tasks.values()),
        return_exceptions=True,
    )
    run.errors += [answer for answer in answers if answer is not None]
    if not run.refused:
        async with engine.connect() as connection:
            rows = await connection.execute(text("SELECT * FROM items ORDER BY id"))
            run.state = [tuple(row) for row in rows]
    return run


# --------------------------------------------------------------------- comparing
class Comparison:
    """Runs programs on real connections and in the sandbox, on one database."""

    def __init__(self, isolation: Isolation, runner: asyncio.Runner) -> None:
        url = isolation._link.database.url
        self.isolation = isolation
        self.engine = create_async_engine(url, pool_size=0)
        self.real = create_async_engine(
            url,
            pool_size=12,
            connect_args={"server_settings": {"lock_timeout": LOCK_WAIT}},
        )
        self._runner = runner

    def _run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(coroutine, context=contextvars.copy_context())

    def outcome(self, program: list[Step]) -> tuple[str, str]:
        """What became of a program; the second part is empty unless that is wrong."""
        self._run(self._reset())
        real = self._run(run_program(self.real, program))
        self._run(self._reset())
        self.isolation.open("a random program")
        try:
            sandboxed = self._run(run_program(self.engine, program))
        finally:
            findings = self.isolation.close()
        sandboxed.findings = findings
        return _judged(real, sandboxed)

    async def _reset(self) -> None:
        async with self.real.begin() as connection:
            for statement in RESET:
                await connection.execute(text(statement))

    def smallest(self, program: list[Step]) -> list[Step]:
        """Leave out what is not needed for the program to go wrong."""
        for step in program:
            fewer = [each for each in program if each is not step]
            if any(self.outcome(fewer)[1] for _ in range(3)):
                program = fewer
        return program

    def close(self) -> None:
        """Close the real connections."""
        self._run(self.real.dispose())


def _judged(real: Run, sandboxed: Run) -> tuple[str, str]:
    if sandboxed.refused:
        return "refused", _wrong_refusal(sandboxed)
    if sandboxed.findings:
        return "found", f"left behind: {sandboxed.findings}"
    if real.errors:
        surprising = [each for each in real.errors if not isinstance(each, DBAPIError)]
        return "blocked or failed", f"by itself: {surprising}" if surprising else ""
    return "compared", _difference(real, sandboxed)


def _wrong_refusal(sandboxed: Run) -> str:
    if 1 != sum(finding.fatal for finding in sandboxed.findings):
        return f"refused, and found: {sandboxed.findings}"
    return "" if sandboxed.may_refuse() else "refused without a reason"


def _difference(real: Run, sandboxed: Run) -> str:
    if sandboxed.errors:
        return f"only the sandbox failed: {sandboxed.errors}"
    ends = [(run.state, run.reads) for run in (real, sandboxed)]
    return "" if ends[0] == ends[1] else "real {}\nsandbox {}".format(*ends)


@pytest.fixture
def comparison(make_isolation: Callable[..., Isolation]) -> Iterator[Comparison]:
    """Both ways to run a program."""
    with asyncio.Runner() as runner:
        comparison = Comparison(
            make_isolation("asyncpg", extra=(TABLE, RESET[1])), runner
        )
        yield comparison
        comparison._run(comparison._reset())
        comparison.close()


def test_random_programs_end_as_on_real_connections(
    comparison: Comparison,
    guard: Callable[[], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """No silent difference, no refusal without a reason, at least 60 % compared.

    In a run of several rounds each goes on where the one before ended.
    """
    for number in itertools.islice(numbers, PROGRAMS):
        guard()
        program = random_program(number)
        outcome, wrong = comparison.outcome(program)
        counts[outcome] += 1
        if wrong:
            _fail(comparison, number, program, wrong, guard)
    with capsys.disabled():
        print(f"\n{counts.total()} random programs, seed {SEED}: {dict(counts)}")  # noqa: T201

    assert 0.6 * counts.total() <= counts["compared"]


def _fail(
    comparison: Comparison,
    number: int,
    program: list[Step],
    wrong: str,
    guard: Callable[[], None],
) -> None:
    guard()
    small = comparison.smallest(program)
    lines = "\n".join(map(str, small))
    pytest.fail(f"program {number} of seed {SEED}: {wrong}\n{lines}")
