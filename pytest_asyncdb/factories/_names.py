"""The names that a call may give values for, checked before anything is made."""

from __future__ import annotations

import difflib
import inspect as signatures
from typing import TYPE_CHECKING, Any

from factory.builder import DeclarationSet
from factory.declarations import RelatedFactory, SubFactory
from sqlalchemy import inspect

from pytest_asyncdb.errors import FactoryRefused
from pytest_asyncdb.factories._blind import overrides
from pytest_asyncdb.factories._options import AsyncOptions, name_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["check_names", "names_of", "takes"]


def check_names(meta: AsyncOptions, given: Mapping[str, Any]) -> None:
    """Refuse a name that neither the factory nor its model knows.

    Raises `FactoryRefused` with the nearest names.
    """
    _check(meta, given, "")


def _check(meta: AsyncOptions, given: Mapping[str, Any], before: str) -> None:
    declared = _declared(meta)
    for name, value in given.items():
        if name.startswith("__"):  # of the call itself, such as __sequence
            continue
        root, rest = DeclarationSet.split(name)
        if root not in declared and (rest is not None or not takes(meta, root)):
            _refuse(meta, root, before)
        declaration = given.get(root, declared.get(root))
        if rest and isinstance(declaration, SubFactory | RelatedFactory):
            inner = declaration.get_factory()._meta
            if isinstance(inner, AsyncOptions):
                _check(inner, {rest: value}, f"{before}{root}__")


def _declared(meta: AsyncOptions) -> dict[str, Any]:
    meta.complete()
    return {
        **meta.pre_declarations.declarations,
        **meta.post_declarations.declarations,
        **dict.fromkeys(meta.parameters),
        **dict.fromkeys(meta.inline_args),
    }


def takes(meta: AsyncOptions, name: str) -> bool:
    """Whether the model's constructor takes a value of that name."""
    if name in meta.rename or overrides(meta, "_adjust_kwargs"):
        return True
    if _constructor_is_declarative(meta.model):
        return hasattr(meta.model, name)
    parameters = signatures.signature(meta.model).parameters.values()
    return name in _names(parameters) or any(
        each.kind is each.VAR_KEYWORD for each in parameters
    )


def names_of(meta: AsyncOptions) -> list[str]:
    """What a call may give values for, as far as it is declared or mapped."""
    attributes = inspect(meta.model).all_orm_descriptors.keys()
    return sorted({*_declared(meta), *attributes})


def _names(parameters: Iterable[signatures.Parameter]) -> set[str]:
    return {each.name for each in parameters}


def _constructor_is_declarative(model: type[Any]) -> bool:
    mapper = inspect(model)
    return mapper.class_manager.original_init is mapper.registry.constructor


def _refuse(meta: AsyncOptions, name: str, before: str) -> None:
    known = names_of(meta)
    near = difflib.get_close_matches(name, known, n=3)
    raise FactoryRefused.attribute(
        name_of(meta), meta.model.__name__, f"{before}{name}", near, known
    )
