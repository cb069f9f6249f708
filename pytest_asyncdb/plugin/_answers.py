"""Below the traceback of a failed test: what has happened, where that is certain."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from pytest_asyncdb.plugin._lifecycle import current_database
from pytest_asyncdb.plugin._statements import recorder_of, unrecorded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pytest
    from sqlalchemy import Engine, Select

    from pytest_asyncdb.isolation import Isolation
    from pytest_asyncdb.isolation._places import Place
    from pytest_asyncdb.statements import Clues, Line

__all__ = ["with_answer"]


def with_answer(
    item: pytest.Item, call: pytest.CallInfo[Any], report: pytest.TestReport
) -> pytest.TestReport:
    """The report; of a test that failed by an error of SQLAlchemy's, with its answer.

    The error itself is what counts: nothing that goes wrong here hides it.
    """
    error = call.excinfo.value if call.excinfo is not None else None
    database = current_database(item.config)
    concerns = type(error).__module__.startswith("sqlalchemy.") or isinstance(
        error, RuntimeError
    )
    if error is None or database is None or not (report.failed and concerns):
        return report
    from pytest_asyncdb.statements import answer

    with contextlib.suppress(Exception):
        text = answer(error, _clues(item, database.isolation))
        if text is not None:
            report.sections.append(("asyncdb: what happened", text))
    return report


def _clues(item: pytest.Item, isolation: Isolation) -> Clues:
    from pytest_asyncdb.isolation._opened import held_at
    from pytest_asyncdb.statements import Clues

    recorder = recorder_of(item)

    def opened(engine: Engine) -> Sequence[str]:
        return sorted(
            {f"{_line(place)} (of {test})" for place, test in isolation.opened(engine)}
        )

    def rows(query: Select[Any]) -> Sequence[Mapping[str, Any]]:
        with unrecorded():
            return isolation.run(_rows, isolation, query)

    return Clues(
        recorder=recorder,
        held=lambda error: [str(_line(each)) for each in held_at(error)],
        opened=opened,
        rows=rows,
    )


async def _rows(
    isolation: Isolation, query: Select[Any]
) -> Sequence[Mapping[str, Any]]:
    async with isolation.engine.connect() as connection:
        return list((await connection.execute(query)).mappings())


def _line(place: Place) -> Line | str:
    from pytest_asyncdb.statements import Line

    for code, number in place.frames[:1]:
        return Line(code.co_filename, number, code.co_qualname)
    return "code outside of the application"
