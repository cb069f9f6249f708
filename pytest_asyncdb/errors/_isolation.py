"""Errors of isolation: what a test may not do, and what it left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_asyncdb.errors._base import REAL_COMMITS, AsyncDBError, AsyncDBWarning

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Self

__all__ = [
    "EngineRefused",
    "ExamplesRefused",
    "FinishedTest",
    "IsolationError",
    "IsolationWarning",
    "LeftoverWarning",
    "Leftovers",
    "PragmaIgnored",
    "RollbackRefused",
    "SandboxBroken",
    "StatementInFlight",
    "TransactionControlRefused",
    "UnrequestedConnection",
    "UnrequestedWarning",
    "WriteOutsideTest",
]


_FOR_REAL: Final = (
    "or let it connect for real: let the fixture asyncdb_capture return a function that"
    " gives False for it: lambda engine: False if "
)
_JOINS: Final = (
    "let the fixture asyncdb_capture return a function that gives True for it:"
    " lambda engine: True"
)


class IsolationError(AsyncDBError):
    """Base of what the isolation of a test refuses."""


class RollbackRefused(IsolationError):
    """A rollback would have taken along rows that another transaction wrote.

    All transactions of a test share one connection, where a rollback undoes everything
    that came after its start. Raised by the rollback, and by every later statement of
    the test; the test fails even where the application swallows it.
    """

    @classmethod
    def of(cls, rolled_back: object, others: Iterable[object]) -> Self:
        """Name the transaction that rolls back, and those that wrote after it began."""
        return cls(
            f"{rolled_back} cannot be rolled back in the sandbox: rows of another "
            "transaction would vanish with it",
            tried=[f"{other} wrote after it had begun" for other in others],
            remedies=[
                "end transactions that overlap in the reverse order of their beginning",
                "use one session where the code needs no two",
                f"let the test commit for real: {REAL_COMMITS}",
            ],
        )


class SandboxBroken(IsolationError):
    """The test's own transaction is gone, so nothing could be rolled back any more.

    Raised by the statement after which the server had no transaction, and by every
    later one of the test. The database is made anew before the next test.
    """

    @classmethod
    def ended_by(cls, statement: str) -> Self:
        """Name the statement after which the transaction was gone."""
        return cls(
            "the transaction around this test has been ended by the server",
            tried=[f"the last statement was: {statement}"],
            remedies=[
                (
                    "a procedure or a conflict clause (ON CONFLICT ROLLBACK) that ends "
                    f"the transaction needs real commits: {REAL_COMMITS}"
                ),
            ],
        )

    @classmethod
    def not_transactional(cls) -> Self:
        """The server could not roll back all that the test has written."""
        return cls(
            "the test wrote to a table that has no transactions, so its rows stayed",
            tried=[
                "ROLLBACK: the server says that some tables could not be rolled back"
            ],
            remedies=[
                "make the table in InnoDB, where it is another engine's only by chance",
                "the database has been made anew for the next test",
            ],
        )

    @classmethod
    def lost(cls, database: str, reason: str) -> Self:
        """The connection to a database is gone; say how."""
        return cls(
            f"the connection of this test was lost: {reason}",
            tried=[f"a statement on {database}"],
            remedies=["the next test gets another connection; nothing has been kept"],
        )


class TransactionControlRefused(IsolationError):
    """SQL text, or a mode of the connection, would end the sandbox's transaction.

    Raised before anything is sent.
    """

    @classmethod
    def text(cls, word: str, statement: str) -> Self:
        """`word` in the text of a statement begins or ends a transaction."""
        return cls(
            f"{word} as SQL text would end the transaction around this test",
            tried=[f"statement: {statement}"],
            remedies=[
                (
                    "use commit() and rollback() of the session or connection, "
                    "begin_nested() for savepoints"
                ),
                f"let the test commit for real: {REAL_COMMITS}",
            ],
        )

    @classmethod
    def implicit_commit(cls, word: str, statement: str) -> Self:
        """MySQL and MariaDB commit the transaction before and after the statement."""
        return cls(
            f"{word} would commit the test's transaction, as MySQL and MariaDB do"
            f" before such a statement: {statement}",
            remedies=[
                "make what the test needs part of the schema: asyncdb_schema",
                "for rows that go by themselves, use CREATE TEMPORARY TABLE",
                f"let the test commit for real: {REAL_COMMITS}",
            ],
        )

    @classmethod
    def autocommit(cls, engine: str) -> Self:
        """A connection in AUTOCOMMIT would write outside of the transaction."""
        return cls(
            f"a connection of {engine} is in AUTOCOMMIT: no sandbox can roll it back",
            remedies=[
                "run the test without isolation_level='AUTOCOMMIT'",
                f"let the test commit for real: {REAL_COMMITS}",
            ],
        )

    @classmethod
    def two_phase(cls) -> Self:
        """A prepared transaction survives a rollback."""
        return cls(
            "two-phase transactions cannot be rolled back in the sandbox",
            remedies=[
                "set twophase=False for the test's sessions",
            ],
        )

    @classmethod
    def nameless(cls) -> Self:
        """What XA PREPARE leaves cannot be told from what others have left."""
        return cls(
            "XA transactions cannot be undone after the test, in no isolation",
            tried=["XA RECOVER does not say which database a transaction is of"],
            remedies=["set twophase=False for the test's sessions"],
        )


class FinishedTest(IsolationError):
    """A task or connection that belongs to a finished test used the database."""

    @classmethod
    def named(cls, test: str) -> Self:
        """`test` is the one that left the task or the connection behind."""
        return cls(
            f"this connection belongs to a test that has finished: {test}",
            remedies=[
                "await or cancel the tasks that the test starts before it ends",
                "close the sessions and connections that the test opens",
                "what has to live longer belongs into a fixture of wider scope",
            ],
        )


class WriteOutsideTest(IsolationError):
    """A write outside of any test; every test would see it.

    Raised before the statement is sent, while a fixture wider than a function is set up
    or torn down, or between two tests.
    """

    @classmethod
    def by(cls, what: str, statement: str) -> Self:
        """`what` is the fixture that was being set up or torn down."""
        return cls(
            f"a write outside of any test: {what}",
            tried=[f"statement: {statement}"],
            remedies=[
                "rows that every test starts with belong into the fixture asyncdb_seed",
                "or write in a fixture of function scope",
            ],
        )


class EngineRefused(IsolationError):
    """An engine cannot share the test's transaction, and may not connect elsewhere."""

    @classmethod
    def product(
        cls, engine: str, product: str, run: str, variables: Sequence[str]
    ) -> Self:
        """The engine is one of another product than the run's."""
        names = f", which sets {', '.join(variables)}" if variables else ""
        return cls(
            f"{engine} is an engine for {product}, but this run is on {run}",
            remedies=[
                f"run on that product: --asyncdb={product}",
                f"or let it take its URL from the run: ini asyncdb_env{names}",
                f"{_FOR_REAL}engine.dialect.name == {product!r} else None",
            ],
        )

    @classmethod
    def first(cls, engine: str, run: str) -> Self:
        """The run has several databases, and the application was told of the first."""
        return cls(
            f"{engine} was made for the run's first database, and this one is {run}",
            tried=["the application made it at import, where variables are read once"],
            remedies=[
                f"run once on each: --asyncdb={run}",
                "or let the application make its engine when it starts, for each test",
            ],
        )

    @classmethod
    def driver(cls, engine: str, driver: str, run: str, word: str | None) -> Self:
        """The engine's driver cannot use the run's connection.

        `word` chooses that driver for the run; None where no run can be on it.
        """
        other = [f"run on that driver: --asyncdb={word}"] if word else []
        return cls(
            f"{engine} uses {driver}, which cannot share a transaction of {run}",
            remedies=[
                *other,
                f"use an engine of {run} in the test",
                f"{_FOR_REAL}engine.dialect.driver == {driver!r} else None",
            ],
        )

    @classmethod
    def identity(cls, engine: str, database: str | None, first: str) -> Self:
        """A second database, where the run has one."""
        return cls(
            f"{engine} is a second database of this run; the first one is {first}",
            remedies=[
                f"if both are the test's database, {_JOINS}",
                f"{_FOR_REAL}engine.url.database == {database!r} else None",
            ],
        )

    @classmethod
    def creator(cls, engine: str) -> Self:
        """Nobody knows where `creator` or `async_creator` would connect to."""
        return cls(
            f"{engine} was made with a creator of its own, so its database is unknown",
            remedies=[
                f"if it is the test's database, {_JOINS}",
                f"{_FOR_REAL}engine is my_engine.sync_engine else None",
            ],
        )

    @classmethod
    def wide(cls, engine: str, test: str) -> Self:
        """A connection of a wider fixture, in a test that commits for real."""
        return cls(
            f"a connection of {engine} was opened by a fixture that is wider than a"
            f" test, so it cannot take part in one with real commits: {test}",
            remedies=[
                "open the connection in the test, or in a fixture of scope 'function'",
                "an engine may be as wide as it likes: it connects anew in each test",
            ],
        )

    @classmethod
    def bypass(cls, engine: str) -> Self:
        """A connection was asked of the pool, past the engine."""
        return cls(
            f"a connection was opened past {engine}, from its pool or its dialect",
            remedies=["use engine.connect() or engine.raw_connection()"],
        )

    @classmethod
    def forked(cls) -> Self:
        """The connection belongs to the parent process."""
        return cls(
            "this process was forked from the one that runs the test",
            remedies=["start a new process instead, and let it make its own engine"],
        )


class StatementInFlight(IsolationError):
    """A statement can never be sent: the one before it waits for this very thread."""

    @classmethod
    def blocked_by(cls, holder: object) -> Self:
        """`holder` is the transaction whose statement has not ended."""
        return cls(
            "a statement of another task has not ended, and its loop is blocked",
            tried=[f"waited for {holder}"],
            remedies=["do not block an event loop while its tasks use the database"],
        )


class IsolationWarning(AsyncDBWarning):
    """A test left something open, or something of it was not as it should be."""


class PragmaIgnored(IsolationError):
    """SQLite ignores this PRAGMA inside a transaction, without a word."""

    @classmethod
    def inside_of_transaction(cls, statement: str) -> Self:
        """`statement` is the PRAGMA of a `connect` listener."""
        return cls(
            f"{statement} has no effect inside a transaction, and one is open",
            tried=["committing the test's own transaction first"],
            remedies=[
                "connect the application's engine before the test opens a transaction",
                "or set it for every connection: the fixture asyncdb_engine_options",
            ],
        )


class Leftovers(AsyncDBError):
    """A test left behind what it may not; it has failed for that."""

    @classmethod
    def of(cls, test: str, findings: Sequence[str]) -> Self:
        """`findings` say each what, where from, and what to do."""
        return cls("\n".join([f"{test} left behind:", *findings]))


class LeftoverWarning(AsyncDBWarning):
    """A test left something open; it was closed for it."""


class UnrequestedConnection(AsyncDBError):
    """A test that asked for no fixture of ours connects to a database."""

    @classmethod
    def by(cls, test: str) -> Self:
        """`test` opened the connection."""
        return cls(
            f"{test} opened a database connection, and is not isolated",
            tried=["none of our fixtures is asked for, so nothing is rolled back"],
            remedies=[
                "ask for db_session, db_sessionmaker, db_engine or db_run in the test",
                "or mark it: @pytest.mark.asyncdb",
                "or set asyncdb_unrequested = allow",
            ],
        )


class UnrequestedWarning(AsyncDBWarning):
    """The first connection of a run that no fixture of ours was asked for."""


class ExamplesRefused(IsolationError):
    """The examples of a test could not all begin in the same state."""

    @classmethod
    def real_commits(cls, test: str) -> Self:
        """Fixtures have committed what nothing would put back between examples."""
        return cls(
            f"fixtures of {test} have committed rows, and nothing would bring them back"
            " after its first example",
            remedies=[
                'isolate the test by @pytest.mark.asyncdb(isolation="sandbox")',
                "or write the rows in the test itself, or by asyncdb_seed",
            ],
        )

    @classmethod
    def connections(cls, held: Sequence[str]) -> Self:
        """Fixtures hold these connections, with whatever they have done on them."""
        return cls(
            "a fixture has a connection open that all examples of the test would share",
            tried=[f"a connection of {each}" for each in held],
            remedies=[
                "let the fixture close its session or connection before it yields",
                "write by the fixture db_session, which is committed for it",
            ],
        )
