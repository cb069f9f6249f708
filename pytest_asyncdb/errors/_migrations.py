"""Errors of migrations and their checks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_asyncdb.errors._base import AsyncDBError, AsyncDBWarning

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

__all__ = [
    "AlembicConfigRefused",
    "ChecksFailed",
    "DataRefused",
    "EnvironmentFailed",
    "HistoryRefused",
    "MigrationError",
    "MigrationLockWarning",
    "RedirectRefused",
    "RevisionFailed",
]


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
            remedies=[
                f"run with --asyncdb={dialect}",
                "or let it read its URL from a variable, which asyncdb_env names",
            ],
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


class DataRefused(MigrationError):
    """Rows that a project gives to a revision, or expects after it, are not there."""

    @classmethod
    def nothing(cls, revision: str, name: object) -> Self:
        """The class has neither of the two functions."""
        return cls(
            f"migration_data({revision!r}): {name} has neither before() nor after()",
            remedies=["give it before(connection), after(connection), or both"],
        )

    @classmethod
    def twice(cls, revision: str) -> Self:
        """Two classes speak of one revision."""
        return cls(
            f"migration_data({revision!r}) is there twice",
            remedies=["let one class insert all rows, and look at all of them"],
        )

    @classmethod
    def raised(cls, which: str, error: BaseException) -> Self:
        """One of the functions raised; for `after` that is what it is for."""
        said = str(error).strip() or "no message"
        return cls(f"{which}() of migration_data: {type(error).__name__}: {said}")


class MigrationLockWarning(AsyncDBWarning):
    """A migration would let a live database wait, or running code fail."""
