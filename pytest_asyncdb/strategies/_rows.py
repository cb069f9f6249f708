"""CHECK constraints that are more than bounds of one column, tried on drawn rows."""

from __future__ import annotations

import contextlib
import warnings
from random import Random
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import create_engine
from sqlalchemy.exc import SAWarning, SQLAlchemyError
from sqlalchemy.pool import StaticPool

from pytest_asyncdb.backends import APART
from pytest_asyncdb.errors import StrategyRefused, ValueUnknown
from pytest_asyncdb.values import Grid, domain_of, passing, text_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy import CheckConstraint

    from pytest_asyncdb.values import Domain

__all__ = ["RowChecks"]

_ENOUGH: Final = 300
"""So many rows have to be refused, and none met, before a constraint is given up."""
_SMALL: Final = 20


def _sample(domain: Domain, random: Random) -> Any:
    """Of numbers a small one, of either sign, or any."""
    if not isinstance(domain, Grid):
        return domain.draw(random)
    near = random.randint(-_SMALL, _SMALL), random.randint(domain.low, domain.high)
    return domain.make(min(max(random.choice(near), domain.low), domain.high))


class RowChecks:
    """The constraints of a model that mention several columns, or say much of one.

    SQLite in memory says what they let pass. One that it does not understand lets all
    pass here: only the product it was written for can say.
    """

    def __init__(
        self,
        model: str,
        checks: Sequence[tuple[CheckConstraint, frozenset[str]]],
        columns: Mapping[str, Any],
    ) -> None:
        self._model = model
        self._checks = [(check, sorted(names)) for check, names in checks if names]
        self._columns = columns
        self._searched: set[str] = set()
        self._engine = create_engine(
            "sqlite://", poolclass=StaticPool, execution_options={APART: True}
        )

    def search(self, needed: Collection[str]) -> None:
        """Look for rows of the `needed` attributes that each constraint lets pass.

        Raises StrategyRefused where there is none. What other attributes have a
        part in is not looked at.
        """
        for check, names in self._checks:
            text = text_of(check)
            if {*names} <= {*needed} and text not in self._searched:
                self._look(check, names, text)
                self._searched.add(text)

    def _look(self, check: CheckConstraint, names: Sequence[str], text: str) -> None:
        random = Random(0)  # noqa: S311 - the same rows in each run
        with contextlib.suppress(ValueUnknown):
            domains = {name: domain_of(self._columns[name]) for name in names}
            for _ in range(_ENOUGH):
                row = {name: _sample(each, random) for name, each in domains.items()}
                if self._meets(check, names, row):
                    return
            raise StrategyRefused.checks(self._model, [text], _ENOUGH)

    def accept(self, row: Mapping[str, Any]) -> bool:
        """Whether a row meets all."""
        return all(self._meets(*each, row) for each in self._checks)

    def _meets(
        self, check: CheckConstraint, names: Sequence[str], row: Mapping[str, Any]
    ) -> bool:
        if any(name not in row for name in names):
            return True  # the database fills one in
        columns = [self._columns[name] for name in names]
        values = {self._columns[name].name: row[name] for name in names}
        return self._passes(check, columns, values)

    def _passes(
        self, check: CheckConstraint, columns: Sequence[Any], values: Mapping[str, Any]
    ) -> bool:
        try:
            with self._engine.connect() as connection, warnings.catch_warnings():
                warnings.simplefilter("ignore", SAWarning)  # Decimals are floats there
                return bool(
                    connection.scalars(passing([check], columns, [values])).all()
                )
        except (SQLAlchemyError, OverflowError, TypeError, ValueError):
            return True
