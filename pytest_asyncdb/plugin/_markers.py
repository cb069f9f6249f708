"""The mark `asyncdb`: its arguments, what they ask for, and what they exclude."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pytest_asyncdb.backends import Capability, get_backend
from pytest_asyncdb.errors import MarkRefused, SettingRefused
from pytest_asyncdb.settings import ISOLATIONS, check_choice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import pytest
    from sqlalchemy import Engine

    from pytest_asyncdb.settings import Target

__all__ = ["Request", "read_marks"]

_PRODUCTS: Final = ("sqlite", "postgresql", "mysql", "mariadb")


@dataclass(frozen=True, slots=True)
class Request:
    """What the marks of a test ask for, the nearest one first."""

    isolation: str | None = None
    backends: tuple[str, ...] | None = None
    requires: tuple[str, ...] = ()
    capture: Callable[[Engine], bool | None] | bool | None = None

    def obstacle(self, target: Target) -> str | None:
        """Why the test cannot run on `target`; None if it can."""
        if self.backends is None and not self.requires:
            return None
        if self.backends is not None and target.product not in self.backends:
            return f"for {', '.join(self.backends)}; this run is on {target.product}"
        has = {each.value for each in get_backend(target.product).capabilities}
        missing = [name for name in self.requires if name not in has]
        if missing:
            return f"{target.product} has no {', '.join(missing)}"
        return None

    def mode(self, default: str, *, real: bool) -> str:
        """How the test is isolated; `real` where a fixture needs real commits."""
        if self.isolation is not None:
            return self.isolation
        return "commit" if real and default == "sandbox" else default

    @property
    def joins(self) -> Callable[[Engine], bool | None] | None:
        """Which engines share the test's transaction; None leaves it to the project."""
        if isinstance(self.capture, bool):
            answer = self.capture
            return lambda _: answer
        return self.capture


def read_marks(test: str, marks: Iterable[pytest.Mark]) -> Request:
    """What `marks` ask for together, given nearest first; `test` is for the messages.

    Raises `MarkRefused` or `SettingRefused` for what no mark can say.
    """
    said: dict[str, Any] = {}
    for mark in reversed(list(marks)):
        said |= _arguments(test, mark)
    return Request(**said)


def _arguments(test: str, mark: pytest.Mark) -> dict[str, Any]:
    try:
        said = inspect.signature(_mark).bind(*mark.args, **mark.kwargs).arguments
    except TypeError as error:
        raise MarkRefused.arguments(test, str(error)) from error
    for name in ("backends", "requires"):
        if name in said:
            said[name] = _words(test, name, said[name])
    _check(test, **said)
    return said


def _mark(
    *,
    isolation: str | None = None,
    backends: Sequence[str] = (),
    requires: Sequence[str | Capability] = (),
    capture: Callable[[Engine], bool | None] | bool | None = None,
) -> None:
    """The mark's signature, which binds its arguments; never called."""


def _words(test: str, name: str, given: object) -> tuple[str, ...]:
    """One word or several, as a tuple."""
    several = [given] if isinstance(given, str | Capability) else given
    if not isinstance(several, list | tuple):
        raise MarkRefused.arguments(test, f"{name} is {given!r}, which is no list")
    words = (each.value if isinstance(each, Capability) else each for each in several)
    return tuple(words)


def _check(
    test: str,
    isolation: str | None = None,
    backends: Sequence[str] = (),
    requires: Sequence[str] = (),
    capture: object = None,
) -> None:
    if isolation is not None and isolation not in ISOLATIONS:
        from pytest_asyncdb.isolation._own import own_isolations

        known = (*ISOLATIONS, *own_isolations())
        check_choice(f"{test}: asyncdb(isolation=…)", isolation, known)
    _check_words(test, "backends", backends, _PRODUCTS)
    _check_words(test, "requires", requires, [each.value for each in Capability])
    if not (capture is None or callable(capture) or isinstance(capture, bool)):
        raise SettingRefused.kind(
            f"{test}: asyncdb(capture=…)",
            capture,
            "a function(engine) -> bool, or a bool",
        )


def _check_words(
    test: str, name: str, words: Iterable[object], known: Sequence[str]
) -> None:
    for word in words:
        if word not in known:
            raise MarkRefused.value(test, name, word, known)
