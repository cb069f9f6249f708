"""`register()`: factories that get fixtures of their own. Who runs tests makes them.

It imports nothing heavy: who runs tests imports it at once.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pytest_asyncdb.factories._installed import needing_factory_boy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_asyncdb.factories._factory import AsyncModelFactory

__all__ = ["Registration", "register", "registrations", "set_maker"]

F = TypeVar("F", bound="type[AsyncModelFactory[Any]]")

_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@dataclass(frozen=True)
class Registration:
    """A factory, the name of the fixture that gives its object, and values for it."""

    factory: type[AsyncModelFactory[Any]]
    name: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    module: str = ""
    """Name of the module that its fixtures are in."""

    @property
    def factory_name(self) -> str:
        """Name of the fixture that gives the factory itself."""
        return snake(self.factory.__name__)


_made: Final[dict[str, Registration]] = {}
_makers: Final[list[Any]] = []


def set_maker(maker: Callable[[Registration], Mapping[str, Any]]) -> None:
    """Let `maker` make the fixtures: a mapping of names to fixtures."""
    _makers[:] = [maker]


def registrations() -> Mapping[str, Registration]:
    """What was registered so far, by the name of its fixture."""
    return _made


def register(factory: F, name: str | None = None, /, **attributes: Any) -> F:
    """Define fixtures in the module that calls this; also a decorator.

    `register(UserFactory)` defines `user_factory`, the class itself, and `user`, an
    object in the database. `name` is another name for the second, `attributes` are
    values for it. Raises `FactoryRefused` for a name that is none, for attributes that
    the factory does not know, and where factory_boy is not installed.
    """
    from pytest_asyncdb.errors import FactoryRefused

    with needing_factory_boy("register"):
        from pytest_asyncdb.factories._names import check_names

    if factory._meta.abstract:
        raise FactoryRefused.abstract(factory.__name__)
    check_names(factory._meta, attributes)
    frame = sys._getframe(1)
    registration = Registration(
        factory,
        name or _name_of(factory),
        attributes,
        frame.f_globals.get("__name__", ""),
    )
    if not registration.name.isidentifier():
        raise FactoryRefused.name(factory.__name__, registration.name)
    if frame.f_locals is not frame.f_globals:
        raise FactoryRefused.not_in_module(factory.__name__)
    _made[registration.name] = registration
    for maker in _makers:
        frame.f_locals.update(maker(registration))
    return factory


def _name_of(factory: type[AsyncModelFactory[Any]]) -> str:
    return snake(factory._meta.model.__name__)


def snake(name: str) -> str:
    """`BlogPost` as `blog_post`."""
    return _HUMP.sub("_", name).lower()
