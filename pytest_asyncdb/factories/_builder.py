"""How one object is built: factory_boy's steps, with coroutines awaited on the way.

The declarations are factory_boy's own and unmodified. What is ours is the walk through
them, since only there it is known when somebody may look at an object.
"""

from __future__ import annotations

from types import CoroutineType
from typing import TYPE_CHECKING, Any

from factory.alchemy import SQLAlchemyOptions
from factory.builder import BuildStep, StepBuilder, parse_declarations
from factory.enums import CREATE_STRATEGY, BuilderPhase, get_builder_phase
from factory.errors import CyclicDefinitionError

from pytest_asyncdb.errors import FactoryRefused
from pytest_asyncdb.factories._greenlets import await_
from pytest_asyncdb.factories._options import AsyncOptions, name_of
from pytest_asyncdb.factories._run import current_run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from factory.base import FactoryOptions
    from factory.builder import DeclarationSet

__all__ = ["Builder"]

_RESOLVED = BuilderPhase.ATTRIBUTE_RESOLUTION


class Stub:
    """What a declaration sees of the object that is built: values, made when read."""

    def __init__(self, declarations: DeclarationSet, step: Step) -> None:
        self.__declarations = declarations
        self.__step = step
        self.__values: dict[str, Any] = {}
        self.__pending: list[str] = []

    @property
    def factory_parent(self) -> Stub | None:
        """The same of the object that this one is a part of."""
        parent = self.__step.parent_step
        return None if parent is None else parent.stub

    def __repr__(self) -> str:
        return f"<Stub of {name_of(self.__step.builder.factory_meta)}>"

    def __getattr__(self, name: str) -> Any:
        values = self.__values
        if name in values:
            return values[name]
        if name in self.__pending:
            cycle = " → ".join([*self.__pending, name])
            message = f"Cyclic lazy attribute definition for {name!r}: {cycle}"
            raise CyclicDefinitionError(message)
        declared = self.__declarations.declarations
        if name not in declared:
            message = (
                f"The parameter {name!r} is unknown. Evaluated attributes are "
                f"{values!r}, definitions are {sorted(declared)!r}."
            )
            raise AttributeError(message)
        values[name] = value = self.__evaluate(name, declared[name])
        return value

    def __evaluate(self, name: str, declaration: Any) -> Any:
        if get_builder_phase(declaration) != _RESOLVED:
            return declaration
        self.__pending.append(name)
        try:
            value = declaration.evaluate_pre(
                instance=self,
                step=self.__step,
                overrides=self.__declarations.contexts[name],
            )
            return self.__step.awaited(name, value)
        finally:
            self.__pending.pop()


class Step(BuildStep):
    """One object of a graph that is being built."""

    builder: Builder
    parent_step: Step | None
    stub: Stub | None

    def __init__(self, *args: Any, **given: Any) -> None:
        super().__init__(*args, **given)
        self.number: int | None = None
        self.tried: dict[object, Mapping[str, Any]] = {}

    def resolve(self, declarations: DeclarationSet) -> None:
        """Evaluate all that comes before the object itself."""
        self.stub = Stub(declarations, self)
        self.attributes = {
            name: getattr(self.stub, name) for name in declarations.declarations
        }

    def awaited(self, name: str, value: Any) -> Any:
        """`value`, or the result of the coroutine that it is."""
        if type(value) is not CoroutineType:
            return value
        if self.builder.strategy == CREATE_STRATEGY and current_run() is not None:
            return await_(value)
        value.close()
        factory = name_of(self.builder.factory_meta)
        raise FactoryRefused.coroutine(factory, name, self.builder.strategy)


class Builder(StepBuilder):
    """Builds one object; those that it holds are built by others of this kind."""

    factory_meta: FactoryOptions
    strategy: str

    def build(
        self, parent_step: BuildStep | None = None, force_sequence: int | None = None
    ) -> Any:
        """The object, with all that its factory and `extras` declare."""
        meta = self.factory_meta
        if isinstance(meta, SQLAlchemyOptions) and not isinstance(meta, AsyncOptions):
            raise FactoryRefused.foreign(name_of(meta))
        step, post = self._resolved(parent_step, force_sequence)
        args, kwargs = meta.prepare_arguments(step.attributes)
        instance = step.awaited(
            "_create", meta.instantiate(step=step, args=args, kwargs=kwargs)
        )
        self._settle(step, post)
        results = {}
        for name in post.sorted():
            result = post.declarations[name].evaluate_post(
                instance=instance, step=step, overrides=post.contexts[name]
            )
            results[name] = step.awaited(name, result)
        meta.use_postgeneration_results(instance=instance, step=step, results=results)
        return instance

    def attributes(self) -> dict[str, Any]:
        """Values for the object's attributes; neither it nor its hooks are made."""
        step, _ = self._resolved(None, None)
        meta: Any = self.factory_meta
        args, kwargs = meta.prepare_arguments(step.attributes)
        inline: dict[str, Any] = dict(zip(meta.inline_args, args, strict=True))
        return {**inline, **kwargs}

    def _resolved(
        self, parent_step: BuildStep | None, force_sequence: int | None
    ) -> tuple[Step, DeclarationSet]:
        """What comes before the object, done, and what comes after it."""
        pre, post = self._declarations()
        step = Step(self, self._sequence(force_sequence), parent_step)
        step.resolve(pre)
        return step, post

    def _declarations(self) -> tuple[DeclarationSet, DeclarationSet]:
        meta = self.factory_meta
        if isinstance(meta, AsyncOptions) and meta.auto:
            self.extras = meta.completed(self.extras)
        if not self.extras:
            return meta.pre_declarations, meta.post_declarations
        pre, post = parse_declarations(
            self.extras, meta.pre_declarations, meta.post_declarations
        )
        return pre, post

    def _sequence(self, forced: int | None) -> int:
        asked = self.force_init_sequence if forced is None else forced
        return int(self.factory_meta.next_sequence() if asked is None else asked)

    def _settle(self, step: Step, post: DeclarationSet) -> None:
        """Let the object be written, if anybody may look at it before the call ends."""
        meta = self.factory_meta
        run = current_run()
        if run is None or self.strategy != CREATE_STRATEGY:
            return
        if isinstance(meta, AsyncOptions) and (
            post.declarations or meta.has_hook or _is_watched(step)
        ):
            run.settle()


def _is_watched(step: Step) -> bool:
    """Whether a declaration of what holds this object may look into it."""
    parent = step.parent_step
    while parent is not None:
        builder = parent.builder
        meta = builder.factory_meta
        if not isinstance(meta, AsyncOptions) or not meta.is_blind(builder.extras):
            return True
        parent = parent.parent_step
    return False
