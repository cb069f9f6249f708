"""Errors of the checks of concurrent code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_asyncdb.errors._base import AsyncDBError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

__all__ = ["CheckFailed", "CheckRefused"]


class CheckRefused(AsyncDBError):
    """A check of concurrent code has nothing to check, or cannot see it."""

    @classmethod
    def nothing(cls, argument: str, fixture: str) -> Self:
        """The check is given nothing to work on, and no test runs that has it."""
        return cls(
            f"the check has no {argument}, and no test runs that offers one",
            remedies=[f"ask for {fixture} in the test", f"or give {argument}=..."],
        )

    @classmethod
    def unbound(cls) -> Self:
        """The sessionmaker does not say on which engine its sessions are."""
        return cls(
            "the sessionmaker has no engine",
            remedies=["async_sessionmaker(engine), or the fixture db_sessionmaker"],
        )

    @classmethod
    def no_rows(cls, model: str, count: int) -> Self:
        """There is nothing that two could write."""
        rows = "a row" if count == 1 else f"{count} rows"
        return cls(
            f"the check needs {rows} of {model}, committed before it begins",
            remedies=["write them by a session of your own, and commit"],
        )

    @classmethod
    def failed(cls, number: int, result: object) -> Self:
        """A writer has failed for another reason than the other one."""
        return cls(
            f"writer {number} has failed, but not because of the other one: {result!r}",
            remedies=["correct update=, or say what a conflict is: conflict=..."],
        )

    @classmethod
    def no_statements(cls) -> Self:
        """The function has sent nothing."""
        return cls(
            "the function sends no statement on that engine",
            remedies=["give the engine that the function uses"],
        )

    @classmethod
    def level(cls, name: object, known: Sequence[str]) -> Self:
        """There is no such isolation level."""
        return cls(
            f"{name!r} is no isolation level",
            remedies=[f"known are: {', '.join(known)}"],
        )


class CheckFailed(AsyncDBError, AssertionError):
    """Concurrent code is not what it claims to be."""

    # ------------------------------------------------------------ optimistic locking
    @classmethod
    def in_python(cls, model: str) -> Self:
        """Two have read the same version, compared it, and both have written."""
        return cls(
            f"{model}: two writers read the same version, and both were let write: the"
            " first one's change is lost",
            tried=["the version is compared in Python, not where the row is written"],
            remedies=[
                '__mapper_args__ = {"version_id_col": version}, which puts it in WHERE',
            ],
        )

    @classmethod
    def older(cls, model: str) -> Self:
        """Who has seen an old version has written it over a newer one."""
        return cls(
            f"{model}: an object of an old version was written over a newer one",
            tried=["nothing compares the version: merge() copies the old one as well"],
            remedies=['__mapper_args__ = {"version_id_col": version}'],
        )

    @classmethod
    def bypassed(cls, model: str, statement: str, version: str) -> Self:
        """An UPDATE of many rows does not know of the mapper's version."""
        return cls(
            f"{model}: an UPDATE goes past its version: both writers were let write",
            tried=[statement],
            remedies=[
                "load the object and change it",
                f"or add {version} to WHERE and to values(), and look at rowcount",
            ],
        )

    @classmethod
    def not_carried(cls, model: str) -> Self:
        """The version that is compared is not the one that the client has seen."""
        return cls(
            f"{model}: who has seen an old version was let write over a newer one",
            tried=[
                "the row is loaded again, and its own version is compared to itself"
            ],
            remedies=["let the client send the version that it has seen; compare that"],
        )

    @classmethod
    def other_tables(cls, model: str, statements: Sequence[str]) -> Self:
        """What belongs to the object was changed, and the object's version was not."""
        return cls(
            f"{model}: both writers were let write: what they changed does not change"
            " its version",
            tried=list(statements) or ["neither has written anything"],
            remedies=[
                "a changed collection is no change of its owner",
                "set a column of the owner as well, such as updated_at",
            ],
        )

    @classmethod
    def nobody(cls, model: str) -> Self:
        """Both writers were refused."""
        return cls(
            f"{model}: of two writers neither was let write",
            remedies=["one of them has seen the newest version, and is to win"],
        )

    @classmethod
    def half(cls, model: str, lines: Sequence[str]) -> Self:
        """Who was refused has left something behind."""
        return cls(
            f"{model}: one writer has won, but the rows are not what it alone makes",
            tried=lines,
            remedies=["let all that a writer does be one transaction"],
        )

    @classmethod
    def delete_ignored(cls, model: str) -> Self:
        """A DELETE of two rows has deleted neither, and said nothing."""
        return cls(
            f"{model}: rows that somebody has updated were not deleted, and nobody was"
            " told",
            tried=[
                "some drivers do not count the rows of several DELETEs, as asyncpg",
                "there SQLAlchemy checks versions only where a flush deletes one row",
            ],
            remedies=["flush after each session.delete()"],
        )

    @classmethod
    def delete_won(cls, model: str) -> Self:
        """Rows were deleted that somebody has updated since they were seen."""
        return cls(
            f"{model}: rows of an old version were deleted, with what others have"
            " written to them",
            remedies=[
                "delete objects that carry the version which the client has seen"
            ],
        )

    # ------------------------------------------------------------------------ retries
    @classmethod
    def not_retried(cls, condition: str, table: str) -> Self:
        """At some statement the condition is not recovered from."""
        return cls(
            f"the function does not recover from {condition} wherever it comes",
            tried=table.splitlines(),
            remedies=[
                "retry the whole transaction, with its COMMIT, in a new session",
                "tell errors by classify(), not by class: retry_transaction() does",
                "columns that differ in each run: check_retries(..., volatile=[...])",
            ],
        )

    @classmethod
    def endless(cls, fired: int, seconds: float) -> Self:
        """It has not given up."""
        return cls(
            f"the function has not given up after {fired} failures in a row",
            tried=[f"waited up to {seconds:g} s"],
            remedies=["limit its attempts, or the time that they take together"],
        )

    @classmethod
    def swallowed(cls, condition: str) -> Self:
        """It has failed each time, and said nothing."""
        return cls(
            f"each attempt failed with {condition}, and the function has not said so",
            remedies=["let the last error out"],
        )

    @classmethod
    def retries_anything(cls, statement: str) -> Self:
        """It has repeated what fails each time in the same way."""
        return cls(
            "the function repeats after a violated UNIQUE constraint",
            tried=[f"unique_violation at {statement}"],
            remedies=["retry only what is transient: classify(error).transient"],
        )

    @classmethod
    def twice(cls, table: str) -> Self:
        """It was applied, its answer was lost, and it was applied again."""
        return cls(
            "the function is applied twice where the answer to its COMMIT is lost",
            tried=table.splitlines(),
            remedies=[
                "do not repeat where classify(error).outcome_unknown",
                "or find out first: retry_transaction(..., was_applied=...)",
            ],
        )

    @classmethod
    def not_idempotent(cls, lines: Sequence[str]) -> Self:
        """The second call has changed something."""
        return cls(
            "the function, called again, changes the rows again",
            tried=lines,
            remedies=["give each call a key, and make that key unique in a table"],
        )

    # --------------------------------------------------------------------- isolation
    @classmethod
    def level(cls, level: str, needed: str | None, table: str, diagram: str) -> Self:
        """A stronger isolation level is needed than the one that was said."""
        return cls(
            f"{level} is not enough: {needed or 'no level'} has no anomaly",
            tried=[*table.splitlines(), *diagram.splitlines()],
            remedies=[
                "raise the level, and retry: retry_transaction(sessionmaker, fn)",
                "or lock what is read: select(...).with_for_update()",
            ],
        )

    # ------------------------------------------------------------------------- pools
    @classmethod
    def kept(cls, count: int, when: str) -> Self:
        """Connections have not come back."""
        what = "a connection does" if count == 1 else f"{count} connections do"
        return cls(
            f"{what} not come back to the pool {when}",
            remedies=[
                "async with sessionmaker() as session: or async with engine.connect()",
            ],
        )

    @classmethod
    def holds(cls, count: int, size: int) -> Self:
        """One call holds several connections at once."""
        return cls(
            f"one call holds {count} connections at once, more than {size}",
            tried=["as many calls as the pool has connections wait for each other"],
            remedies=[
                "pass the session on, or close it before another one is opened",
                f"allow it: check_pool(..., size={count})",
            ],
        )
