"""Who runs an async test: refusals where nobody does, two do, or the wrong one."""

from __future__ import annotations

import contextlib
import inspect
from typing import TYPE_CHECKING, Final

import pytest

from pytest_asyncdb.errors import LoopRefused

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["backend_is_trio", "check_loop", "running_somewhere"]

_PLUGINS: Final = {"asyncio": "pytest-asyncio", "anyio": "AnyIO"}


def check_loop(item: pytest.Item) -> None:
    """Refuse a test that runs on trio, or that two plugins would run.

    Raises `LoopRefused`.
    """
    callspec = getattr(item, "callspec", None)
    backend = callspec.params.get("anyio_backend") if callspec is not None else None
    if backend_is_trio(backend) or item.get_closest_marker("trio") is not None:
        raise LoopRefused.trio(item.nodeid)
    if _is_pytest_asyncio(item) and _is_anyio(item):
        raise LoopRefused.contested(item.nodeid)


def backend_is_trio(backend: object) -> bool:
    """Whether a value of AnyIO's fixture `anyio_backend` names trio."""
    return (backend[0] if isinstance(backend, tuple) else backend) == "trio"


def _is_pytest_asyncio(item: pytest.Item) -> bool:
    return type(item).__module__.partition(".")[0] == "pytest_asyncio"


def _is_anyio(item: pytest.Item) -> bool:
    """Whether AnyIO's plugin takes the test: it lets it use its fixture, by a mark.

    A test that merely has fixtures which ask for the backend is not AnyIO's.
    """
    uses = item.iter_markers("usefixtures")
    return any("anyio_backend" in mark.args for mark in uses)


@contextlib.contextmanager
def running_somewhere(item: pytest.Item) -> Iterator[None]:
    """Around the call of a test: say how to have it run if nobody does.

    pytest itself fails or skips an async test that no plugin has taken; raises
    `LoopRefused` in its place.
    """
    function = getattr(item, "obj", None)
    try:
        yield
    except (pytest.fail.Exception, pytest.skip.Exception) as error:
        if not (inspect.iscoroutinefunction(function) and "async def" in str(error)):
            raise
        raise LoopRefused.nobody(item.nodeid, _tried(item.config)) from None


def _tried(config: pytest.Config) -> list[str]:
    has = config.pluginmanager.has_plugin
    return [
        f"{name}: {'the test is not marked for it' if has(key) else 'not installed'}"
        for key, name in _PLUGINS.items()
    ]
