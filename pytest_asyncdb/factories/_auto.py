"""`Meta.auto`: declarations for what the model demands and nobody has declared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from factory.declarations import SKIP, BaseDeclaration, SubFactory
from factory.random import randgen

from pytest_asyncdb.errors import FactoryRefused, ValueUnknown
from pytest_asyncdb.factories._options import next_number
from pytest_asyncdb.factories._registration import registrations
from pytest_asyncdb.factories._run import current_run
from pytest_asyncdb.values import facts_of, passing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from factory.builder import Resolver
    from sqlalchemy import CheckConstraint

    from pytest_asyncdb.factories._builder import Step
    from pytest_asyncdb.factories._options import AsyncOptions
    from pytest_asyncdb.values import Attribute, Domain, ModelFacts

__all__ = ["derived", "without_parents"]

_CANDIDATES: Final = 100
_ENOUGH: Final = 1_000_000
"""A column with so many values can tell rows apart by itself."""
_known: Final[dict[type[Any], ModelFacts]] = {}
_factories: Final[dict[type[Any], type[Any]]] = {}


def _facts(model: type[Any]) -> ModelFacts:
    if model not in _known:
        _known[model] = facts_of(model)
    return _known[model]


def _number_of(step: Step) -> int:
    if step.number is None:
        step.number = next_number(step.builder.factory_meta.model)
    return step.number


# --------------------------------------------------------------------- declarations
class Drawn(BaseDeclaration):
    """A value that a column accepts, at random."""

    sees_nothing = True

    def __init__(self, domain: Domain) -> None:
        super().__init__()
        self.domain = domain

    def evaluate(self, instance: Resolver, step: Step, extra: object) -> Any:  # noqa: ARG002
        """One of the first values."""
        return self.domain.draw(randgen)


class Numbered(Drawn):
    """A value that is different for each object, as far as there are so many.

    Of several columns that are unique together, each counts on when those before it
    are through: after `period` objects. The last one `wraps`, or is exhausted.
    """

    def __init__(self, domain: Domain, period: int = 1, *, wraps: bool = False) -> None:
        super().__init__(domain)
        self.period = period
        self.wraps = wraps

    def evaluate(self, instance: Resolver, step: Step, extra: object) -> Any:  # noqa: ARG002
        """The value of the object's number."""
        number = _number_of(step) // self.period
        size = self.domain.size
        return self.domain.at(number % size if self.wraps and size else number)


class KeyOf(SubFactory):
    """The key of a new object of another model."""

    def __init__(self, factory: type[Any], attribute: str) -> None:
        super().__init__(factory)
        self.attribute = attribute

    def evaluate(self, instance: Resolver, step: Step, extra: dict[str, Any]) -> Any:
        """Its key, once it has been written."""
        return getattr(super().evaluate(instance, step, extra), self.attribute)


@dataclass(frozen=True, eq=False)
class _Together:
    """Columns that a check binds together, and the others that it mentions."""

    checks: Sequence[CheckConstraint]
    columns: Mapping[str, Any]
    own: Mapping[str, Drawn]

    def row(self, instance: Resolver, step: Step) -> Mapping[str, Any]:
        """Values for all of them that the database lets pass."""
        if self not in step.tried:
            step.tried[self] = self._found(instance, step)
        return step.tried[self]

    def _found(self, instance: Resolver, step: Step) -> Mapping[str, Any]:
        fixed = {
            name: getattr(instance, name, None)
            for name in self.columns
            if name not in self.own
        }
        run = current_run()
        if run is None:
            return self._candidate(instance, step)
        known = run.passing.setdefault((self, *map(repr, fixed.items())), [])
        if not known:
            rows = [
                {**fixed, **self._candidate(instance, step)} for _ in range(_CANDIDATES)
            ]
            columns = [*self.columns.values()]
            named = [
                {self.columns[name].name: value for name, value in row.items()}
                for row in rows
            ]
            places = run.session.scalars(passing(self.checks, columns, named))
            known += [rows[place] for place in places]
        if not known:
            texts = [str(each.sqltext) for each in self.checks]
            raise ValueUnknown.refused([*self.own], texts, _CANDIDATES)
        return known.pop()

    def _candidate(self, instance: Resolver, step: Step) -> dict[str, Any]:
        return {
            name: each.evaluate(instance, step, None) for name, each in self.own.items()
        }


class Tried(BaseDeclaration):
    """A value that goes with those of other columns, as the database says."""

    sees_nothing = True

    def __init__(self, name: str, together: _Together) -> None:
        super().__init__()
        self.name = name
        self.together = together

    def evaluate(self, instance: Resolver, step: Step, extra: object) -> Any:  # noqa: ARG002
        """The part of the row that is this column's."""
        return self.together.row(instance, step)[self.name]


# ------------------------------------------------------------------------- deriving
def derived(meta: AsyncOptions) -> dict[str, BaseDeclaration]:
    """Declarations for what the factory's model needs besides what is declared.

    Raises `FactoryRefused` for models that need each other, and `ValueUnknown` for a
    column of which nothing is known.
    """
    facts = _facts(meta.model)
    declared = {*meta.pre_declarations.declarations, *meta.rename.values()}
    parents = [
        each
        for each in facts.parents
        if each.name not in declared and not each.columns & declared
    ]
    keys = [each for each in facts.keys if each.name not in declared]
    for model in {each.model for each in parents} | {each.model for each in keys}:
        _check_cycle(model, (meta.model,))
    values = [each for each in facts.attributes if each.name not in declared]
    return {
        **{each.name: SubFactory(_factory_of(each.model)) for each in parents},
        **{each.name: KeyOf(_factory_of(each.model), each.attribute) for each in keys},
        **_with_checks(facts, dict(_values(facts, values))),
    }


def without_parents(meta: AsyncOptions, extras: Mapping[str, Any]) -> dict[str, Any]:
    """What a call gives; a parent whose key it gives is not made."""
    given = dict(extras)
    for each in _facts(meta.model).parents:
        if each.columns & extras.keys() and each.name not in extras:
            given[each.name] = SKIP
    return given


def _values(
    facts: ModelFacts, attributes: Sequence[Attribute]
) -> Iterator[tuple[str, Drawn]]:
    domains = {each.name: each.domain for each in attributes}
    numbered = dict(_numbered(facts, domains))
    for name, domain in domains.items():
        yield name, numbered.get(name) or Drawn(domain)


def _numbered(
    facts: ModelFacts, domains: Mapping[str, Domain]
) -> Iterator[tuple[str, Numbered]]:
    """A way for each group of columns to be different in each two objects."""
    telling: set[str] = set()
    for group in sorted(facts.uniques, key=len):
        own = {name: domains[name] for name in sorted(group) if name in domains}
        many = [name for name, domain in own.items() if _has_many(domain)]
        if telling & {*many} or not own:
            continue
        if many or len(group) == 1:
            name = (many or [*own])[0]
            telling.add(name)
            yield name, Numbered(domains[name])
            continue
        yield from _in_turn(own, wraps=len(own) < len(group))


def _in_turn(
    own: Mapping[str, Domain], *, wraps: bool
) -> Iterator[tuple[str, Numbered]]:
    period = 1
    last = [*own][-1]
    for name, domain in own.items():
        yield name, Numbered(domain, period, wraps=wraps or name != last)
        period *= domain.size or 1


def _has_many(domain: Domain) -> bool:
    return domain.size is None or domain.size >= _ENOUGH


def _with_checks(
    facts: ModelFacts, own: Mapping[str, Drawn]
) -> dict[str, BaseDeclaration]:
    declarations: dict[str, BaseDeclaration] = dict(own)
    for checks, names in _joined(facts):
        drawn = {name: own[name] for name in sorted(names & own.keys())}
        columns = {name: facts.columns[name] for name in sorted(names)}
        together = _Together(checks, columns, drawn)
        declarations |= {name: Tried(name, together) for name in drawn}
    return declarations


def _joined(
    facts: ModelFacts,
) -> list[tuple[list[CheckConstraint], frozenset[str]]]:
    """Checks that mention the same columns, with all these columns."""
    joined: list[tuple[list[CheckConstraint], frozenset[str]]] = []
    for check, names in facts.checks:
        apart = [each for each in joined if not each[1] & names]
        near = [each for each in joined if each[1] & names]
        checks = [one for each in near for one in each[0]]
        together = names.union(*(each[1] for each in near))
        joined = [*apart, ([*checks, check], together)]
    return joined


# -------------------------------------------------------------------------- parents
def _check_cycle(model: type[Any], path: tuple[type[Any], ...]) -> None:
    way = (*path, model)
    if model in path:
        raise FactoryRefused.cycle([each.__name__ for each in way])
    if _registered(model) is None:
        facts = _facts(model)
        for parent in facts.parents:
            _check_cycle(parent.model, way)
        for key in facts.keys:
            _check_cycle(key.model, way)


def _registered(model: type[Any]) -> type[Any] | None:
    """The factory that was registered for a model, if just one was."""
    found = {
        each.factory
        for each in registrations().values()
        if each.factory._meta.model is model
    }
    return found.pop() if len(found) == 1 else None


def _factory_of(model: type[Any]) -> type[Any]:
    return _registered(model) or _automatic(model)


def _automatic(model: type[Any]) -> type[Any]:
    """A factory that derives all, the same one for each use of the model."""
    if model not in _factories:
        _factories[model] = _defined(model)
    return _factories[model]


def _defined(model: type[Any]) -> type[Any]:
    from pytest_asyncdb.factories._factory import AsyncModelFactory

    options = type("Meta", (), {"model": model, "auto": True})
    name = f"{model.__name__}Factory"
    define: Any = type(AsyncModelFactory)
    made: type[Any] = define(name, (AsyncModelFactory,), {"Meta": options})
    return made
