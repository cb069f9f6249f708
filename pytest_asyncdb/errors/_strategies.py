"""Errors of strategies and examples."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_asyncdb.errors._base import AsyncDBError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self

__all__ = ["BackendsDiffer", "PropertyFailed", "StrategyRefused"]


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

    @classmethod
    def no_schema(cls) -> Self:
        """`compare_backends` was called where no test of ours runs."""
        return cls(
            "compare_backends has no schema: no test runs that uses our fixtures",
            remedies=["let the test ask for a fixture of ours, such as db_session"],
        )

    @classmethod
    def too_few(cls, words: object) -> Self:
        """There is nothing to compare with."""
        return cls(
            f"compare_backends needs two different words, on={words!r} is none such",
            remedies=['give words as for --asyncdb: on=("sqlite", "postgresql")'],
        )

    @classmethod
    def not_a_coroutine_function(cls, value: object) -> Self:
        """`compare_backends` was given something else."""
        return cls(
            f"{value!r} is no coroutine function that compare_backends can call",
            remedies=[
                "give the function itself: async def fn(session: AsyncSession) -> ..."
            ],
        )

    @classmethod
    def own_engine(cls, engine: str) -> Self:
        """What is compared is not on the database that it is compared on."""
        return cls(
            f"the function that is compared sends a statement to {engine}",
            remedies=[
                (
                    "let it use the session that it is given: an engine of its own"
                    " leads to the test's database, whatever it is compared on"
                )
            ],
        )

    @classmethod
    def written(cls, row: object) -> Self:
        """A row for several databases is already one of a session's."""
        return cls(
            f"{row!r} belongs to a session or has been written",
            remedies=[
                "give rows that are new: User(name=...), or what from_model() draws",
                "let rows that are always there be written by asyncdb_seed",
            ],
        )

    @classmethod
    def incomparable(cls, value: object) -> Self:
        """No two objects of this type are ever equal."""
        return cls(
            f"{value!r} cannot be compared: it is equal to itself only",
            remedies=[
                "return what it holds: result.all(), result.scalars().all()",
                "return values, rows, mapped objects or dataclasses, or lists of them",
            ],
        )


class BackendsDiffer(AsyncDBError, AssertionError):
    """A function does not give the same on databases of several products."""

    @classmethod
    def between(
        cls,
        name: str,
        outcomes: Mapping[str, str],
        first: str,
        *,
        reordered: bool,
    ) -> Self:
        """What came of it, by database, and where the first difference is."""
        order = "only the order differs: order_by() what is unique, and x.is_(None) in"
        return cls(
            f"{name} does not give the same on {', '.join(outcomes)}",
            tried=[
                *(f"{where}: {said}" for where, said in outcomes.items()),
                *([f"the first difference: {first}"] if first else []),
            ],
            remedies=[f"{order} front of an x that may be NULL"] if reordered else [],
        )


class PropertyFailed(AsyncDBError, AssertionError):
    """Rows do not have a property that those of any schema should have."""

    @classmethod
    def round_trip(cls, wrong: Sequence[str]) -> Self:
        """Values are read otherwise than they were written."""
        return cls("what was written is not what is read", tried=wrong)

    @classmethod
    def gone(cls, model: str) -> Self:
        """A row cannot be found by its key."""
        return cls(f"a {model} that was written cannot be read by its primary key")

    @classmethod
    def equivalent(cls, name: str, wrong: Sequence[str]) -> Self:
        """An attribute is not the same in Python and in SQL."""
        return cls(f"{name} differs between Python and SQL", tried=wrong)

    @classmethod
    def not_deleted(cls, said: str) -> Self:
        """The database refuses to delete an object."""
        return cls(
            f"it cannot be deleted: {said}",
            remedies=['let its relationship cascade: cascade="all, delete-orphan"'],
        )

    @classmethod
    def orphans(cls, left: Sequence[str]) -> Self:
        """Rows are left that should have gone with their parent."""
        return cls(
            "rows are left whose parent is gone",
            tried=left,
            remedies=[
                (
                    "let the foreign key say ON DELETE CASCADE, or the relationship"
                    " delete its objects: no passive_deletes"
                )
            ],
        )

    @classmethod
    def disagree(
        cls,
        model: str,
        values: Mapping[str, object],
        python: Exception | None,
        sql: Exception | None,
    ) -> Self:
        """One of the class and the database accepts what the other refuses."""
        refuses, accepts = ("the database", model) if python is None else (model, "it")
        accepts = accepts if python is None else "the database"
        return cls(
            f"{accepts} accepts what {refuses} refuses: {values!r}",
            tried=[str(getattr(sql, "orig", None) or python)],
        )

    @classmethod
    def schema(cls, name: str, wrong: Sequence[str]) -> Self:
        """A schema loses or changes values."""
        return cls(f"{name} does not give back what it has read", tried=wrong)
