"""Whether anything can look into an object before the call that makes it has ended.

Where nothing can, the object need not be written before the next one is built, and a
batch needs neither greenlets nor more than one flush. Whatever is not known to be
blind counts as one that looks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from factory.alchemy import SQLAlchemyOptions
from factory.base import DictFactory, ListFactory
from factory.declarations import (
    Dict,
    Iterator,
    LazyAttribute,
    LazyAttributeSequence,
    LazyFunction,
    List,
    Maybe,
    SelfAttribute,
    Sequence,
    SubFactory,
)
from factory.enums import get_builder_phase
from factory.faker import Faker
from factory.fuzzy import BaseFuzzyAttribute
from sqlalchemy import inspect

if TYPE_CHECKING:
    from collections.abc import Mapping

    from factory.base import FactoryOptions
    from sqlalchemy.orm import Mapper

__all__ = ["has_hook", "is_blind", "is_quiet", "overrides"]

_EXACTLY: Final = (Sequence, LazyFunction, Faker)
_BY_MODELS_OF_NONE: Final = (DictFactory, ListFactory)
_STEPS: Final = ("_create", "_save", "_build", "_adjust_kwargs")
_OURS: Final = ("factory.", "pytest_asyncdb.")


def is_quiet(meta: FactoryOptions, extras: Mapping[str, Any]) -> bool:
    """Whether nothing made by this factory has to be written before the end."""
    if meta.post_declarations.declarations or has_hook(meta) or _changes_steps(meta):
        return False
    if any(map(get_builder_phase, extras.values())):
        return False
    declared = meta.pre_declarations.declarations.values()
    return not any(map(_may_hold_objects, declared)) or is_blind(meta, extras)


def is_blind(meta: FactoryOptions, extras: Mapping[str, Any]) -> bool:
    """Whether neither this factory, nor those it holds, looks into what they make."""
    return all(map(_sees_nothing, extras.values())) and _is_blind(meta, frozenset())


def has_hook(meta: FactoryOptions) -> bool:
    """Whether the factory has a method that sees the object when it is done."""
    return overrides(meta, "_after_postgeneration")


def _changes_steps(meta: FactoryOptions) -> bool:
    return any(overrides(meta, name) for name in _STEPS)


def overrides(meta: FactoryOptions, name: str) -> bool:
    """Whether a class of the project's has its own method of that name."""
    factory: Any = meta.factory
    return any(
        name in vars(each)
        for each in factory.__mro__
        if not each.__module__.startswith(_OURS)
    )


def _may_hold_objects(declaration: object) -> bool:
    return not (_is_independent(declaration) or _is_attribute(declaration))


def _is_attribute(declaration: object) -> bool:
    """Whether it is a function of the object's other attributes."""
    return type(declaration) in (LazyAttribute, LazyAttributeSequence, SelfAttribute)


def _is_blind(meta: FactoryOptions, seen: frozenset[FactoryOptions]) -> bool:
    if meta in seen:
        return True
    if meta.factory in _BY_MODELS_OF_NONE:
        return True
    if not isinstance(meta, SQLAlchemyOptions) or _changes_steps(meta):
        return False
    complete = getattr(meta, "complete", None)
    if complete is not None:
        complete()
    pre = meta.pre_declarations
    declared = [*pre.declarations.values()]
    declared += [each for context in pre.contexts.values() for each in context.values()]
    inside = seen | {meta}
    return _has_plain_model(meta) and all(
        _sees_nothing(each, inside) for each in declared
    )


def _has_plain_model(meta: FactoryOptions) -> bool:
    """Whether the model's constructor does nothing but set attributes."""
    mapper: Mapper[Any] | None = inspect(meta.model, raiseerr=False)
    return (
        mapper is not None
        and not mapper.validators
        and mapper.class_manager.original_init is mapper.registry.constructor
    )


def _sees_nothing(
    declaration: object, seen: frozenset[FactoryOptions] = frozenset()
) -> bool:
    match declaration:
        case Iterator():
            return declaration.getter is None
        case SelfAttribute():
            return "." not in declaration.attribute_name
        case Maybe():
            parts = (declaration.decider, declaration.yes, declaration.no)
            return all(_sees_nothing(part, seen) for part in parts)
        case SubFactory() if type(declaration) in (SubFactory, Dict, List):
            return _holds_blindly(declaration, seen)
    return _is_independent(declaration)


def _is_independent(declaration: object) -> bool:
    """Whether it is a value, or makes one out of nothing but itself."""
    return (
        get_builder_phase(declaration) is None
        or type(declaration) in _EXACTLY
        or isinstance(declaration, BaseFuzzyAttribute)
        or getattr(declaration, "sees_nothing", False)
    )


def _holds_blindly(declaration: SubFactory, seen: frozenset[FactoryOptions]) -> bool:
    meta = declaration.get_factory()._meta
    given = declaration._defaults.values()
    quiet = not meta.post_declarations.declarations and not has_hook(meta)
    return (
        quiet
        and all(_sees_nothing(each, seen) for each in given)
        and _is_blind(meta, seen)
    )
