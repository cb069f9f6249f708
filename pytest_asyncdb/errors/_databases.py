"""Errors on the way from a server to a database with the project's schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_asyncdb.errors._servers import ProvisioningError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

__all__ = [
    "CloneRefused",
    "DatabaseFailed",
    "DatabaseRefused",
    "LeftBehind",
    "TemplateBuildFailed",
    "WrongSource",
]


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
