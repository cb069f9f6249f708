"""`AsyncModelFactory`: the class that a project's factories derive from."""

from __future__ import annotations

import asyncio
import functools
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from factory.base import Factory
from factory.enums import CREATE_STRATEGY, STUB_STRATEGY
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session

from pytest_asyncdb.errors import FactoryRefused
from pytest_asyncdb.factories._builder import Builder
from pytest_asyncdb.factories._greenlets import await_, in_greenlet, together
from pytest_asyncdb.factories._lookup import get_or_create
from pytest_asyncdb.factories._names import check_names
from pytest_asyncdb.factories._options import AsyncOptions
from pytest_asyncdb.factories._payload import payload
from pytest_asyncdb.factories._random import refresh
from pytest_asyncdb.factories._run import Run, current_run, perform
from pytest_asyncdb.factories._running import running_test

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator
    from types import TracebackType
    from typing import Self

    from pytest_asyncdb.factories._payload import Schema
    from pytest_asyncdb.factories._running import Host

__all__ = ["AsyncModelFactory", "Using", "now_or_later", "run_now", "session_of"]

T = TypeVar("T")
R = TypeVar("R")

_given: Final[ContextVar[AsyncSession | None]] = ContextVar(
    "asyncdb_factory_session", default=None
)
_lent: Final[ContextVar[bool]] = ContextVar("asyncdb_factory_lent", default=False)
"""Whether this code runs for the thread of the test, which waits for it."""


class AsyncModelFactory(Factory[T]):
    """Makes objects of one model with an `AsyncSession`; declared as in factory_boy.

    `F()`, `F.create()` and `F.create_batch()` give awaitables; inside hooks, and in
    sync tests, the objects themselves. One such call is one savepoint: after an error
    or a cancellation nothing of it is left, and the session goes on. `F.build()` and
    `F.stub()` touch no database.

    Options of `class Meta` besides those of `SQLAlchemyModelFactory`:

    - `persistence`: "commit" (the default), "flush", or None to add only;
    - `flush_policy`: "coalesce" (the default), or "each" where the order of inserts
      matters.
    """

    _options_class = AsyncOptions

    class Meta:
        abstract = True

    if TYPE_CHECKING:
        _meta: AsyncOptions

        def __new__(cls, **attributes: Any) -> Self: ...

        def __await__(self) -> Generator[Any, Any, T]: ...

    # -------------------------------------------------------------------- creating
    @classmethod
    def create(cls, **attributes: Any) -> Awaitable[T]:  # type: ignore[override]
        """An object in the database, with its primary key and all that can be read.

        Raises `FactoryRefused` at once for a name that the model does not have.
        """
        return cls._create_in(None, attributes)

    @classmethod
    def create_batch(  # type: ignore[override]
        cls,
        size: int,
        **attributes: Any,
    ) -> Awaitable[list[T]]:
        """That many objects, in as many flushes as their graph is deep."""
        return cls._create_batch_in(None, size, attributes)

    @classmethod
    def using(
        cls, session: AsyncSession | async_scoped_session[AsyncSession]
    ) -> Using[T]:
        """The same factory on that session; also a context manager for every factory.

        Raises `FactoryRefused` for what is no `AsyncSession`.
        """
        return Using(cls, _checked(cls, session))

    @classmethod
    def _create_in(
        cls, session: AsyncSession | None, attributes: dict[str, Any]
    ) -> Awaitable[T]:
        cls._check(attributes)

        def work(_: Run) -> T:
            return cls._generate(CREATE_STRATEGY, attributes)

        made: Awaitable[T] = cls._call("create", session, work, attributes)
        return made

    @classmethod
    def _create_batch_in(
        cls, session: AsyncSession | None, size: int, attributes: dict[str, Any]
    ) -> Awaitable[list[T]]:
        if type(size) is not int or size < 0:
            raise FactoryRefused.size(cls.__name__, size)
        cls._check(attributes)

        def build() -> T:
            return cls._generate(CREATE_STRATEGY, dict(attributes))

        def work(run: Run) -> list[T]:
            alone = run.flush_policy == "each" or cls._meta.is_quiet(attributes)
            if alone or run.persistence is None or size == 1:
                return [build() for _ in range(size)]
            return together([build] * size, run.flush)

        made: Awaitable[list[T]] = cls._call("create_batch", session, work, attributes)
        return made

    @classmethod
    def _check(cls, attributes: dict[str, Any]) -> None:
        if cls._meta.abstract:
            raise FactoryRefused.abstract(cls.__name__)
        check_names(cls._meta, attributes)

    # --------------------------------------------------------------------- building
    @classmethod
    def build(cls, **attributes: Any) -> T:
        """An object that no session knows. Raises `FactoryRefused` for a coroutine."""
        cls._check(attributes)
        return super().build(**attributes)

    @classmethod
    def stub(cls, **attributes: Any) -> Any:
        """What `build` would give, as an object of no class in particular."""
        cls._check(attributes)
        return super().stub(**attributes)

    @classmethod
    def payload(
        cls, schema: type[Schema] | None = None, /, **attributes: Any
    ) -> dict[str, Any]:
        """What a client would send to have such an object, as plain JSON.

        The values of columns that are declared, or what the Pydantic model `schema`
        makes of all that is declared; sub-factories give objects to read from. Nothing
        is created, and no hook runs. Raises `FactoryRefused` for a value that JSON does
        not have.
        """
        cls._check(attributes)
        refresh()
        values = Builder(cls._meta, attributes, STUB_STRATEGY).attributes()
        return payload(cls._meta, values, schema)

    @classmethod
    def _generate(cls, strategy: str, params: dict[str, Any]) -> T:
        refresh()
        made: T = Builder(cls._meta, params, strategy).build()
        return made

    # ------------------------------------------------------- factory_boy's own hooks
    @classmethod
    def _create(cls, model_class: type[T], *args: Any, **kwargs: Any) -> Any:
        run = current_run()
        if run is None:
            raise FactoryRefused.outside(cls.__name__)
        names = cls._meta.sqlalchemy_get_or_create
        if not names:
            return cls._save(model_class, run.session, args, kwargs)
        missing = [name for name in names if name not in kwargs]
        if missing:
            raise FactoryRefused.no_key(cls.__name__, missing)
        key = {name: kwargs.pop(name) for name in names}
        make = functools.partial(
            cls._save, model_class, run.session, args, {**key, **kwargs}
        )
        given = {name: key[name] for name in names if name in run.given}
        return get_or_create(run, model_class, key, given, make)

    @classmethod
    def _save(
        cls,
        model_class: type[T],
        session: object,  # noqa: ARG003 - as factory_boy calls it
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> T:
        instance = model_class(*args, **kwargs)
        run = current_run()
        assert run is not None
        run.add(instance)
        return instance

    # ------------------------------------------------------------- inside or outside
    @classmethod
    def _call(
        cls,
        name: str,
        session: AsyncSession | None,
        work: Callable[[Run], Any],
        attributes: dict[str, Any],
    ) -> Any:
        """An awaitable for `work`; its result where nothing can be awaited."""
        run = current_run()
        wanted = session or _given.get()
        if in_greenlet():
            if run is not None and wanted in (None, run.async_session):
                result = work(run)
                run.settle()
                return result
            return await_(cls._perform(wanted, work, attributes))
        coroutine: Any = cls._perform(wanted, work, attributes)
        coroutine.__qualname__ = f"{cls.__name__}.{name}"
        return now_or_later(coroutine, cls.__name__)

    @classmethod
    async def _perform(
        cls,
        session: AsyncSession | None,
        work: Callable[[Run], R],
        attributes: dict[str, Any],
    ) -> R:
        run = current_run()
        inherited = run.async_session if run is not None else None
        return await perform(
            session or inherited or session_of(cls),
            work,
            attributes,
            name=cls.__name__,
            persistence=cls._meta.persistence,
            flush_policy=cls._meta.flush_policy,
        )


class Using(Generic[T]):
    """A factory on one session. As a context manager: every factory inside on it."""

    def __init__(
        self, factory: type[AsyncModelFactory[T]], session: AsyncSession
    ) -> None:
        self._factory = factory
        self._session = session
        self._tokens: list[Any] = []

    def __call__(self, **attributes: Any) -> Awaitable[T]:
        """As `F.create()`."""
        return self.create(**attributes)

    def create(self, **attributes: Any) -> Awaitable[T]:
        """As `F.create()`."""
        return self._factory._create_in(self._session, attributes)

    def create_batch(self, size: int, **attributes: Any) -> Awaitable[list[T]]:
        """As `F.create_batch()`."""
        return self._factory._create_batch_in(self._session, size, attributes)

    def __enter__(self) -> Self:
        self._tokens.append(_given.set(self._session))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _given.reset(self._tokens.pop())


def _checked(factory: type[Any], session: Any) -> AsyncSession:
    if isinstance(session, async_scoped_session):
        scoped: AsyncSession = session()
        return scoped
    if isinstance(session, AsyncSession):
        return session
    raise FactoryRefused.session(factory.__name__, session)


def session_of(factory: type[AsyncModelFactory[Any]]) -> AsyncSession:
    """The session of a call: one that was given, or the test's own."""
    options, name = factory._meta, factory.__name__
    given = _given.get() or options.sqlalchemy_session
    if given is None and options.sqlalchemy_session_factory is not None:
        given = options.sqlalchemy_session_factory()
    if given is not None:
        return _checked(factory, given)
    test = running_test()
    if test is None or test.host is None:
        raise FactoryRefused.no_session(name)
    if _is_elsewhere():
        raise FactoryRefused.in_thread(name)
    return _checked(factory, test.host.session)


def now_or_later(coroutine: Any, name: str = "a factory") -> Any:
    """The result of `coroutine` in sync code that can wait for it, else itself."""
    host = _host_of_sync_code()
    if host is None:
        return coroutine
    if _is_elsewhere():
        coroutine.close()
        raise FactoryRefused.in_thread(name)
    return run_now(host, coroutine)


def _host_of_sync_code() -> Host | None:
    """What runs coroutines for a sync test; None where they can be awaited."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        test = running_test()
        return None if test is None else test.host
    return None


def _is_elsewhere() -> bool:
    """Whether this thread is not the test's, and not one that the test waits for."""
    test = running_test()
    there = threading.get_ident()
    return test is not None and test.thread != there and not _lent.get()


def run_now(host: Host, awaitable: Awaitable[R]) -> R:
    """The result of `awaitable`, which this thread waits for."""
    token = _lent.set(True)
    try:
        result: R = host.run(_itself, awaitable)
        return result
    finally:
        _lent.reset(token)


async def _itself(awaitable: Awaitable[R]) -> R:
    return await awaitable
