"""Strategies of rows: transient objects, with the objects that they need."""

from __future__ import annotations

import difflib
import functools
import inspect
from typing import TYPE_CHECKING, Any, Final, TypeVar

from hypothesis import reject, strategies as st
from hypothesis.strategies import SearchStrategy
from sqlalchemy import inspect as inspect_mapped
from sqlalchemy.orm import Mapper

from pytest_asyncdb.errors import StrategyRefused
from pytest_asyncdb.strategies._columns import values_of
from pytest_asyncdb.strategies._example import Example
from pytest_asyncdb.strategies._persist import Reference, refer
from pytest_asyncdb.strategies._printing import let_print
from pytest_asyncdb.strategies._rows import RowChecks
from pytest_asyncdb.values import facts_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from hypothesis.strategies import DrawFn

    from pytest_asyncdb.values import Attribute, Key, Parent

__all__ = ["from_model"]

T = TypeVar("T")

_ATTEMPTS: Final = 8
_DEEPEST: Final = 2
_MANY: Final = 2
_LEFT_OUT: Final = object()
"""The database, or the model, fills the value in."""
_EXAMPLES: Final = st.shared(st.builds(Example), key="pytest_asyncdb.example")


def from_model(model: type[T], /, **overrides: Any) -> SearchStrategy[T]:
    """Objects of `model` that are not written yet, as its table accepts them.

    With the parents that they need, new ones or those of the same example; write them
    by `db_persist`. An override is a strategy or a value, by an attribute's name;
    where it gives a foreign key, no parent is made. Within an example, what has to be
    unique is unique over all that these strategies have drawn.

    Raises `StrategyRefused` for a class that is not mapped, an attribute
    that it does not have, a type of which nothing is known, models that need each
    other, and a CHECK that no row was found to meet.
    """
    mapper = _mapper(model)
    _check_names(mapper, overrides)
    _check_needs(model, frozenset(overrides), ())
    given = {
        name: value if isinstance(value, SearchStrategy) else st.just(value)
        for name, value in overrides.items()
    }
    return _objects(model, given)


@st.composite
def _objects(
    draw: DrawFn, model: type[Any], given: Mapping[str, SearchStrategy[Any]]
) -> Any:
    return _Drawing(draw, draw(_EXAMPLES)).object_of(model, given, 0)


def _mapper(model: Any) -> Mapper[Any]:
    mapper = inspect_mapped(model, raiseerr=False)
    if not isinstance(mapper, Mapper):
        raise StrategyRefused.unmapped(model)
    return mapper


def _check_names(mapper: Mapper[Any], names: Iterable[str]) -> None:
    known = [*mapper.all_orm_descriptors.keys()]
    for name in names:
        if name not in known and not hasattr(mapper.class_, name):
            near = difflib.get_close_matches(name, known, n=2)
            raise StrategyRefused.attribute(mapper.class_.__name__, name, near, known)


def _check_needs(
    model: type[Any], given: frozenset[str], path: tuple[type[Any], ...]
) -> None:
    """Build all that is needed once: this finds what cannot be."""
    way = (*path, model)
    if model in path:
        raise StrategyRefused.cycle([each.__name__ for each in way])
    blueprint = _blueprint(model)
    for each in blueprint.attributes:
        if each.name not in given:
            blueprint.strategy(each)
    needed = {each.name for each in blueprint.attributes}
    blueprint.checks.search(needed - given)
    for parent in blueprint.parents:
        if not (parent.columns | {parent.name}) & given:
            _check_needs(parent.model, frozenset(), way)
    for key in blueprint.keys:
        if key.name not in given:
            _check_needs(key.model, frozenset(), way)


# ----------------------------------------------------------------------- blueprints
class _Blueprint:
    """What is known of a model, read once."""

    def __init__(self, model: type[Any]) -> None:
        self.model = model
        self.mapper = _mapper(model)
        let_print(model)
        facts = facts_of(model)
        self.table = self.mapper.local_table
        self.attributes = facts.attributes
        self.optional = tuple(each for each in facts.optional if self._is_known(each))
        self.parents = facts.parents
        self.relatives = facts.relatives
        self.keys = facts.keys
        self.uniques = tuple(dict.fromkeys(facts.uniques))
        self.many = tuple(
            each
            for each in self.mapper.relationships
            if each.secondary is not None
            and not each.viewonly
            and each.uselist
            and each.collection_class in (None, list, set)
        )
        self.checks = RowChecks(model.__name__, facts.checks, facts.columns)
        self._strategies: dict[str, SearchStrategy[Any]] = {}

    @functools.cached_property
    def parameters(self) -> frozenset[str] | None:
        """What the class takes by keyword; None where it takes anything."""
        parameters = inspect.signature(self.model).parameters.values()
        if any(each.kind is each.VAR_KEYWORD for each in parameters):
            return None
        return frozenset(each.name for each in parameters)

    @functools.cached_property
    def classes(self) -> list[type[Any]]:
        """The model and those derived from it that rows may be of."""
        if self.mapper.polymorphic_on is None:
            return [self.model]
        return [
            each.class_
            for each in self.mapper.self_and_descendants
            if each.polymorphic_identity is not None
        ]

    def strategy(self, attribute: Attribute) -> SearchStrategy[Any]:
        """Its values. Raises StrategyRefused."""
        if attribute.name not in self._strategies:
            self._strategies[attribute.name] = values_of(attribute.column)
        return self._strategies[attribute.name]

    @staticmethod
    def _is_known(attribute: Attribute) -> bool:
        """NULL will do where nothing else is known of a type."""
        try:
            values_of(attribute.column)
        except StrategyRefused:
            return False
        return True

    def build(self, values: Mapping[str, Any]) -> Any:
        """An object; what its class does not take by keyword is set afterwards."""
        named = self.parameters
        direct = {
            name: value
            for name, value in values.items()
            if named is None or name in named
        }
        instance = self.model(**direct)
        for name in values.keys() - direct.keys():
            setattr(instance, name, values[name])
        return instance


_blueprints: Final[dict[type[Any], _Blueprint]] = {}


def _blueprint(model: type[Any]) -> _Blueprint:
    if model not in _blueprints:
        _blueprints[model] = _Blueprint(model)
    return _blueprints[model]


# -------------------------------------------------------------------------- drawing
class _Drawing:
    """One object and all that it needs, drawn into an example."""

    def __init__(self, draw: DrawFn, example: Example) -> None:
        self._draw = draw
        self._example = example

    def object_of(
        self, model: type[Any], given: Mapping[str, SearchStrategy[Any]], depth: int
    ) -> Any:
        """A new object, `depth` steps away from the one that was asked for."""
        classes = _blueprint(model).classes
        chosen = (
            self._draw(st.sampled_from(classes)) if len(classes) > 1 else classes[0]
        )
        blueprint = _blueprint(chosen)
        values = {name: self._draw(each) for name, each in given.items()}
        values |= self._relatives(blueprint, values, depth)
        references = {
            key.name: Reference(self._parent(blueprint, key, depth), key.attribute)
            for key in blueprint.keys
            if key.name not in values
        }
        identities = _by_columns(blueprint, values) | {
            name: id(each.target) for name, each in references.items()
        }
        values |= self._row(blueprint, values, identities)
        if depth == 0:
            values |= self._many(blueprint, values)
        instance = blueprint.build(values)
        refer(instance, references)
        self._example.objects.append(instance)
        return instance

    # ------------------------------------------------------------------- relatives
    def _relatives(
        self, blueprint: _Blueprint, values: Mapping[str, Any], depth: int
    ) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for each in blueprint.parents:
            if not (each.columns | {each.name}) & values.keys():
                found[each.name] = self._parent(blueprint, each, depth)
        for each in blueprint.relatives:
            if not (each.columns | {each.name}) & values.keys():
                found[each.name] = self._relative(blueprint, each, depth)
        return found

    def _parent(self, blueprint: _Blueprint, each: Parent | Key, depth: int) -> Any:
        """One that the example has already, or a new one."""
        known = self._candidates(blueprint, each)
        place = self._draw(st.integers(0, len(known))) if known else 0
        if place < len(known):
            return known[place]
        return self.object_of(each.model, {}, depth + 1)

    def _relative(self, blueprint: _Blueprint, each: Parent, depth: int) -> Any:
        """None, one that the example has already, or a new one."""
        known = self._candidates(blueprint, each)
        choices = len(known) + (depth < _DEEPEST)
        place = self._draw(st.integers(0, choices)) if choices else 0
        if place == 0:
            return None
        if place <= len(known):
            return known[place - 1]
        return self.object_of(each.model, {}, depth + 1)

    def _candidates(self, blueprint: _Blueprint, each: Parent | Key) -> list[Any]:
        """Objects of the example that a new row may refer to."""
        columns = getattr(each, "columns", frozenset({each.name}))
        groups = [group for group in blueprint.uniques if group <= columns]
        table = blueprint.table
        return [
            known
            for known in self._example.of(each.model)
            if self._example.is_free(table, groups, dict.fromkeys(columns, id(known)))
        ]

    def _many(self, blueprint: _Blueprint, values: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for each in blueprint.many:
            if each.key in values:
                continue
            items: list[Any] = []
            for _ in range(self._draw(st.integers(0, _MANY))):
                item = self._item(each.mapper.class_, items)
                items.append(item)
            found[each.key] = set(items) if each.collection_class is set else items
        return {name: items for name, items in found.items() if items}

    def _item(self, model: type[Any], others: Sequence[Any]) -> Any:
        chosen = {*map(id, others)}
        known = [each for each in self._example.of(model) if id(each) not in chosen]
        place = self._draw(st.integers(0, len(known))) if known else 0
        return known[place] if place < len(known) else self.object_of(model, {}, 1)

    # ------------------------------------------------------------------------- rows
    def _row(
        self,
        blueprint: _Blueprint,
        values: Mapping[str, Any],
        identities: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Values that together meet the checks, and are not taken yet."""
        for _ in range(_ATTEMPTS):
            row = dict(self._drawn(blueprint, values))
            whole = {**identities, **values, **row}
            if not self._example.is_free(blueprint.table, blueprint.uniques, whole):
                continue
            plain = {**values, **dict.fromkeys(_nulls(blueprint, whole)), **row}
            if blueprint.checks.accept(plain):
                self._example.take(blueprint.table, blueprint.uniques, whole)
                return row
        return reject()

    def _drawn(
        self, blueprint: _Blueprint, values: Mapping[str, Any]
    ) -> Iterator[tuple[str, Any]]:
        for each in blueprint.attributes:
            if each.name not in values:
                yield each.name, self._draw(blueprint.strategy(each))
        for each in blueprint.optional:
            if each.name not in values:
                value = self._draw(self._optional(blueprint, each))
                if value is not _LEFT_OUT:
                    yield each.name, value

    @staticmethod
    def _optional(blueprint: _Blueprint, each: Attribute) -> SearchStrategy[Any]:
        """First what the model says where nothing is said, then NULL, then a value."""
        choices = [st.just(_LEFT_OUT)] if each.column.default is not None else []
        if each.column.nullable:
            choices.append(st.none())
        return st.one_of(*choices, blueprint.strategy(each))


def _by_columns(blueprint: _Blueprint, values: Mapping[str, Any]) -> dict[str, Any]:
    """What tells rows apart where an object is given for its key.

    A parent that is needed and given as None will be set later: all may have the same.
    """
    needed = [each for each in blueprint.parents if each.name in values]
    given = [each for each in blueprint.relatives if values.get(each.name) is not None]
    return {
        column: id(values[each.name])
        for each in (*needed, *given)
        for column in each.columns
    }


def _nulls(blueprint: _Blueprint, row: Mapping[str, Any]) -> list[str]:
    """Attributes that nothing fills in."""
    return [
        each.name
        for each in blueprint.optional
        if each.name not in row and each.column.default is None
    ]
