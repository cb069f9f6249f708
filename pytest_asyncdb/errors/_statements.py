"""Errors of budgets, plans and the schema's rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_asyncdb.errors._base import AsyncDBError, AsyncDBWarning

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

__all__ = [
    "BudgetExceeded",
    "NPlusOneFound",
    "NPlusOneWarning",
    "PlanUnexpected",
    "SchemaProblems",
    "StatementsRefused",
]


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


class SchemaProblems(AsyncDBError, AssertionError):
    """The schema has what is likely to be wrong."""

    @classmethod
    def of(cls, rule: str, problems: Sequence[str]) -> Self:
        """What the lint has found by one rule."""
        return cls(
            f"the schema has problems ({rule})",
            tried=problems,
            remedies=["what is meant to be so: add its name to asyncdb_lint_ignore"],
        )
