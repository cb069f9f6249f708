"""The checks that `--asyncdb-lint-schema` adds: one for each rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_asyncdb.plugin._places import place
from pytest_asyncdb.plugin._suite import suite_of, usage_errors

if TYPE_CHECKING:
    from pytest_asyncdb.isolation import Isolation
    from pytest_asyncdb.plugin._databases import WorkerDatabase
    from pytest_asyncdb.values import SchemaProblem

__all__ = ["checks"]


def checks(session: pytest.Session) -> list[pytest.Item]:
    """A check for each rule, in the folder whose fixtures say what the schema is.

    Raises `pytest.UsageError` for a silenced finding of a rule that there is not.
    """
    from pytest_asyncdb.values import LINT_RULES, check_ignored

    ignored = suite_of(session.config).settings.lint_ignore
    with usage_errors():
        check_ignored("asyncdb_lint_ignore", ignored)
    folder = place(session)
    return [
        pytest.Function.from_parent(
            folder,
            name=f"schema[{rule}]",
            callobj=_check(rule),
        )
        for rule in LINT_RULES
        if rule not in ignored
    ]


def _check(rule: str) -> Any:  # noqa: ANN401
    def check(
        request: pytest.FixtureRequest, _asyncdb_database: WorkerDatabase
    ) -> None:
        __tracebackhide__ = True
        from pytest_asyncdb.errors import SchemaProblems
        from pytest_asyncdb.plugin._fixtures import isolation_of

        isolation = isolation_of(request, _asyncdb_database)
        ignored = suite_of(request.config).settings.lint_ignore
        found = isolation.run(_problems, isolation, ignored)
        problems = [str(each) for each in found if each.rule == rule]
        if problems:
            raise SchemaProblems.of(rule, problems)

    return check


async def _problems(
    isolation: Isolation, ignored: tuple[str, ...]
) -> list[SchemaProblem]:
    from pytest_asyncdb.values import lint_schema

    async with isolation.engine.connect() as connection:
        return await connection.run_sync(lint_schema, ignore=ignored)
