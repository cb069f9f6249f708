"""The checks that `--asyncdb-lint-schema` adds: one for each rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from pytest_asyncdb.plugin._suite import suite_of, usage_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_asyncdb.isolation import Isolation
    from pytest_asyncdb.plugin._databases import WorkerDatabase
    from pytest_asyncdb.values import SchemaProblem

__all__ = ["NAME", "check_settings", "tests"]


NAME: Final = "schema"


def check_settings(config: pytest.Config) -> None:
    """Raise `pytest.UsageError` for a silenced finding of a rule that there is not."""
    from pytest_asyncdb.values import check_ignored

    with usage_errors():
        check_ignored("asyncdb_lint_ignore", suite_of(config).settings.lint_ignore)


def tests(config: pytest.Config) -> Iterator[Callable[..., None]]:
    """A test of each rule that is not silenced."""
    from pytest_asyncdb.values import LINT_RULES

    ignored = suite_of(config).settings.lint_ignore
    rules = [rule for rule in LINT_RULES if rule not in ignored]

    @pytest.mark.parametrize("rule", rules)
    def schema(
        request: pytest.FixtureRequest, _asyncdb_database: WorkerDatabase, rule: str
    ) -> None:
        __tracebackhide__ = True
        from pytest_asyncdb.errors import SchemaProblems
        from pytest_asyncdb.plugin._fixtures import isolation_of

        isolation = isolation_of(request, _asyncdb_database)
        found = isolation.run(_problems, isolation, ignored)
        problems = [str(each) for each in found if each.rule == rule]
        if problems:
            raise SchemaProblems.of(rule, problems)

    if rules:
        vars(schema)["__test__"] = True
        yield schema


async def _problems(
    isolation: Isolation, ignored: tuple[str, ...]
) -> list[SchemaProblem]:
    from pytest_asyncdb.values import lint_schema

    async with isolation.engine.connect() as connection:
        return await connection.run_sync(lint_schema, ignore=ignored)
