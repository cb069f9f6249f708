"""The options of a factory's `class Meta`: factory_boy's, and a few of ours."""

from __future__ import annotations

import functools
import itertools
import weakref
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from factory.alchemy import SQLAlchemyOptions
from factory.base import OptionDefault
from factory.declarations import Iterator
from sqlalchemy import inspect

from pytest_asyncdb.errors import FactoryRefused
from pytest_asyncdb.factories._blind import has_hook, is_blind, is_quiet
from pytest_asyncdb.factories._run import current_run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from factory.base import FactoryOptions
    from factory.builder import BuildStep

__all__ = ["AsyncOptions", "all_options", "name_of", "next_number", "restart"]

PERSISTENCE: Final = ("commit", "flush", None)
FLUSH_POLICIES: Final = ("coalesce", "each")

_all: Final[weakref.WeakSet[AsyncOptions]] = weakref.WeakSet()
_numbers: Final[defaultdict[type[Any], itertools.count[int]]] = defaultdict(
    itertools.count
)
_used: Final[set[AsyncOptions]] = set()


def all_options() -> list[AsyncOptions]:
    """Those of every factory that there is and that makes objects."""
    return [each for each in _all if not each.abstract]


def name_of(options: FactoryOptions) -> str:
    """The name of the factory that has these options."""
    factory: Any = options.factory
    return str(factory.__name__)


def restart() -> None:
    """Let the sequences, iterators and numbers that were used begin again."""
    for options in _used:
        options.restart()
    _used.clear()
    _numbers.clear()


def next_number(model: type[Any]) -> int:
    """The number of an object among all of its model, whichever factory makes it."""
    return next(_numbers[model])


class _Choice(OptionDefault):
    """An option that takes one of a few values; `alias` is another name of it."""

    def __init__(
        self, name: str, known: tuple[str | None, ...], *, alias: str = ""
    ) -> None:
        super().__init__(name, known[0], inherit=True)
        self.known = known
        self.alias = alias

    def apply(self, meta: type | None, base_meta: FactoryOptions | None) -> Any:
        value = super().apply(meta, base_meta)
        if self.alias in vars(meta or object) and self.name not in vars(meta):
            value = getattr(meta, self.alias)
        if value not in self.known:
            raise FactoryRefused.choice(self.name, value, self.known)
        return value


class AsyncOptions(SQLAlchemyOptions):
    """What a factory declares, and how its objects are written."""

    if TYPE_CHECKING:
        model: type[Any]
        persistence: str | None
        flush_policy: str
        auto: bool
        counter_reference: AsyncOptions
        exclude: Sequence[str]
        inline_args: Sequence[str]
        rename: Mapping[str, str]
        sqlalchemy_get_or_create: Sequence[str]
        sqlalchemy_session: object
        sqlalchemy_session_factory: Callable[[], object] | None

    def __init__(self) -> None:
        super().__init__()
        self._is_complete = False

    def _build_default_options(self) -> list[OptionDefault]:
        return [
            *super()._build_default_options(),
            _Choice("persistence", PERSISTENCE, alias="sqlalchemy_session_persistence"),
            _Choice("flush_policy", FLUSH_POLICIES),
            OptionDefault("auto", value=False, inherit=True),
        ]

    def contribute_to_class(self, factory: type, *args: Any, **given: Any) -> None:
        """Take what the class body says; refuse a model that is none."""
        super().contribute_to_class(factory, *args, **given)
        model: object = self.model
        if model is not None and inspect(model, raiseerr=False) is None:
            raise FactoryRefused.unmapped(factory.__name__, model)
        _all.add(self)

    # ------------------------------------------------------------------ derived ones
    def completed(self, extras: Mapping[str, Any]) -> dict[str, Any]:
        """Derive what nobody has declared, once; `extras` without needless parents."""
        from pytest_asyncdb.factories._auto import without_parents

        self.complete()
        return without_parents(self, extras) if extras else {}

    def complete(self) -> None:
        """Derive what the model demands and nobody has declared, if that is asked."""
        if self.auto and not self._is_complete:
            from pytest_asyncdb.factories._auto import derived

            self.pre_declarations.update(derived(self))
            self._is_complete = True

    # ------------------------------------------------------------------- sequences
    def next_sequence(self) -> int:
        """The number of the next object."""
        _used.add(self)
        number: int = super().next_sequence()
        return number

    def restart(self) -> None:
        """Let sequences and iterators begin again."""
        self._counter = self.counter_reference._counter = None
        for each in self.pre_declarations.declarations.values():
            if isinstance(each, Iterator):
                each.reset()

    def instantiate(
        self,
        step: BuildStep,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """The object itself."""
        run = current_run()
        if run is not None:
            run.given = step.builder.extras
        return super().instantiate(step, args, kwargs)

    # ------------------------------------------------------------------ who may look
    @functools.cached_property
    def has_hook(self) -> bool:
        """Whether a method of the factory sees each object when it is done."""
        return has_hook(self)

    @functools.cached_property
    def _is_blind(self) -> bool:
        self.complete()
        return is_blind(self, {})

    @functools.cached_property
    def _is_quiet(self) -> bool:
        self.complete()
        return is_quiet(self, {})

    def is_blind(self, extras: Mapping[str, Any]) -> bool:
        """Whether nobody looks into an object that is a part of another one."""
        return self._is_blind and (not extras or is_blind(self, extras))

    def is_quiet(self, extras: Mapping[str, Any]) -> bool:
        """Whether a batch can be built without writing anything in between."""
        return self._is_quiet and (not extras or is_quiet(self, extras))
