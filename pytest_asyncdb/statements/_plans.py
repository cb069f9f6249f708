"""Plans of statements, and what is expected of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_asyncdb.errors import PlanUnexpected, StatementsRefused
from pytest_asyncdb.statements._explain import PRODUCTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlalchemy import Connection

    from pytest_asyncdb.statements._explain import Access
    from pytest_asyncdb.statements._statement import Statement

__all__ = ["Plan", "Plans", "plans_of", "with_plan"]

_PLANNED: Final = re.compile(r"\s*\(?\s*(?:SELECT|WITH|UPDATE|DELETE)\b", re.IGNORECASE)
_EXPRESSIONS: Final = re.compile(
    r'\b(\w+)"?(?:\s*\([^()]*\))? AS (?:(?:NOT )?MATERIALIZED )?\(', re.IGNORECASE
)
_ALIASES: Final = re.compile(r'[`"]?(\w+)[`"]? AS [`"]?(\w+)', re.IGNORECASE)


@dataclass(frozen=True)
class Plan:
    """How the server finds a statement's rows, where it avoids to read whole tables."""

    statement: Statement
    full_scans: frozenset[str]
    """Tables that it has to read from end to end."""
    indexes: frozenset[str]
    """Names of the indexes that it uses."""
    is_known: bool = True
    """False where the server found without a plan that there are no rows."""

    def __str__(self) -> str:
        return f"{self.statement.shape} at {self.statement.line}"


class Plans(tuple[Plan, ...]):
    """Plans of several statements; the checks are of all of them."""

    __slots__ = ()

    def uses_index(self, name: str) -> None:
        """Check that one of them uses an index. Raises `PlanUnexpected`."""
        __tracebackhide__ = True
        used = {index for each in self for index in each.indexes}
        if name not in used:
            raise PlanUnexpected.unused(name, sorted(used), list(map(str, self)))

    def no_full_scan(self, *tables: str) -> None:
        """Check that none has to read one of these tables, or any, from end to end.

        Raises `PlanUnexpected`, and `StatementsRefused` for a table that no statement
        touches.
        """
        __tracebackhide__ = True
        touched = {table for each in self for table in each.statement.tables}
        for table in tables:
            if table not in touched:
                raise StatementsRefused.untouched(table, sorted(touched))
        for each in self:
            of_interest = not tables or each.statement.tables.intersection(tables)
            if of_interest and not each.is_known:
                raise StatementsRefused.without_rows(str(each))
        found = [
            f"{table}: {each}"
            for each in self
            for table in sorted(each.full_scans)
            if not tables or table in tables
        ]
        if found:
            raise PlanUnexpected.full_scan(found)


def with_plan(statements: Iterable[Statement], *, named: bool) -> Sequence[Statement]:
    """Statements that have a plan, each text once. Raises `StatementsRefused`.

    Of those that the user has `named` all must have one.
    """
    found: dict[str, Statement] = {}
    for each in statements:
        if _PLANNED.match(each.sql):
            found.setdefault(each.sql, each)
        elif named:
            raise StatementsRefused.no_plan(each.shape)
    if not found:
        raise StatementsRefused.nothing_to_plan()
    return list(found.values())


def plans_of(connection: Connection, statements: Iterable[Statement]) -> Plans:
    """Ask for the plans in a transaction that is rolled back."""
    with connection.begin() as transaction:
        plans = Plans(_ask(connection, statements))
        transaction.rollback()
    return plans


def _ask(connection: Connection, statements: Iterable[Statement]) -> Iterator[Plan]:
    product = PRODUCTS.get(connection.dialect.name)
    if product is None:
        raise StatementsRefused.dialect(connection.dialect.name, list(PRODUCTS))
    for text in product.before:
        connection.exec_driver_sql(text)
    for each in statements:
        parameters = each.parameters[0] if each.many else each.parameters
        question = product.explain + each.sql
        rows = connection.exec_driver_sql(question, parameters or None)
        yield _plan(each, product.read(rows.all()))


def _plan(statement: Statement, access: Access) -> Plan:
    names = {alias: table for table, alias in _ALIASES.findall(statement.sql)}
    names |= {each.rpartition(".")[2]: each for each in statement.tables}
    tables = access.scans.difference(_EXPRESSIONS.findall(statement.sql))
    scans = frozenset(names.get(each, each) for each in tables)
    known = access.planned or not statement.tables
    return Plan(statement, scans, frozenset(access.indexes), known)
