"""Property-based tests: each example begins where the fixtures have left off."""

from __future__ import annotations

import contextlib
import functools
import inspect
from typing import TYPE_CHECKING, Any, Final

from hypothesis import HealthCheck, is_hypothesis_test, settings

from pytest_asyncdb.plugin import _factories, _statements
from pytest_asyncdb.plugin._lifecycle import current_database
from pytest_asyncdb.plugin._suite import suite_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pytest

    from pytest_asyncdb.isolation import Finding, Isolation

__all__ = ["Examples", "isolated_examples"]

_SETTINGS: Final = "_hypothesis_internal_use_settings"


@contextlib.contextmanager
def isolated_examples(item: pytest.Item) -> Iterator[None]:
    """Around the call of a test that `@given` decorates, if it uses our fixtures.

    Whoever runs its coroutine replaces `inner_test`, as is done here before.
    """
    function = getattr(item, "obj", None)
    database = current_database(item.config)
    if database is None or not is_hypothesis_test(function):
        yield
        return
    database.isolation.settle()
    examples = Examples(item, database.isolation)
    handle: Any = getattr(function, "hypothesis", None)
    inner = handle.inner_test
    handle.inner_test = examples.around(inner)
    try:
        with _answered(function):
            yield
    finally:
        handle.inner_test = inner


@contextlib.contextmanager
def _answered(function: Any) -> Iterator[None]:  # noqa: ANN401
    """Answer the health check about fixtures that are not set up for each example."""
    plain = getattr(function, "__func__", function)
    before: settings = getattr(plain, _SETTINGS, settings())
    suppressed = {*before.suppress_health_check, HealthCheck.function_scoped_fixture}
    setattr(plain, _SETTINGS, settings(before, suppress_health_check=suppressed))
    try:
        yield
    finally:
        setattr(plain, _SETTINGS, before)


class Examples:
    """The examples of one test."""

    def __init__(self, item: pytest.Item, isolation: Isolation) -> None:
        self._item = item
        self._isolation = isolation
        self._told: set[str] = set()

    def around(self, inner: Callable[..., Any]) -> Callable[..., Any]:
        """The test's body, isolated; Hypothesis knows it by the source of `inner`."""
        if inspect.iscoroutinefunction(inner):

            @functools.wraps(inner)
            async def example(*args: object, **keywords: object) -> None:
                with self.one():
                    await inner(*args, **keywords)

        else:

            @functools.wraps(inner)
            def example(*args: object, **keywords: object) -> None:
                with self.one():
                    inner(*args, **keywords)

        return example

    @contextlib.contextmanager
    def one(self) -> Iterator[None]:
        """Around one example."""
        _factories.begin_example(self._item)
        with (
            self._isolation.example(self._item.nodeid) as findings,
            _statements.example(self._item),
        ):
            yield
        self._tell(findings)

    def _tell(self, findings: list[Finding]) -> None:
        """A fatal finding always, another one of all examples once."""
        from pytest_asyncdb.plugin._report import tell

        leaks = suite_of(self._item.config).settings.leaks
        new = [
            each
            for each in findings
            if each.fatal or leaks == "fail" or each.text not in self._told
        ]
        self._told |= {each.text for each in new}
        tell(self._item, new, leaks)
