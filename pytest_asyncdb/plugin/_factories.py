"""Factories in tests: the session and the seed of the running one, and fixtures."""

from __future__ import annotations

import difflib
import inspect
import random
import sys
from typing import TYPE_CHECKING, Any, Final, TypeVar

import pytest

from pytest_asyncdb.factories._registration import registrations, set_maker
from pytest_asyncdb.factories._running import begin_test, running_test
from pytest_asyncdb.plugin._suite import suite_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from sqlalchemy.ext.asyncio import AsyncSession

    from pytest_asyncdb.factories._registration import Registration
    from pytest_asyncdb.isolation import Isolation
    from pytest_asyncdb.plugin._databases import WorkerDatabase
    from pytest_asyncdb.strategies._running import Counterpart

__all__ = [
    "begin",
    "begin_example",
    "hand_seed",
    "offer",
    "running_name",
    "seed_lines",
    "use_parameters",
    "with_seed",
]

T = TypeVar("T")

_MARK: Final = "asyncdb_factory"
_INPUT: Final = "asyncdb_random_seed"
_DATABASE: Final = "_asyncdb_database"
_NAME: Final = pytest.StashKey[str]()
_SEED: Final = pytest.StashKey[int]()
_OVERRIDES: Final = pytest.StashKey[dict[str, list[str]]]()


# ------------------------------------------------------------------- a running test
class _Host:
    """The session of a test, looked for when a factory first needs it."""

    def __init__(self, request: pytest.FixtureRequest, isolation: Isolation) -> None:
        self._request = request
        self._isolation = isolation

    @property
    def session(self) -> AsyncSession:
        session: AsyncSession = self._request.getfixturevalue("db_session")
        return session

    def run(self, fn: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:  # noqa: ANN401
        return self._isolation.run(fn, *args)

    def settle(self) -> None:
        """Let what fixtures wrote be where examples begin."""
        self._isolation.settle()

    def example(self) -> AbstractContextManager[None]:
        """Around one example of a machine that the test runs."""
        from pytest_asyncdb.plugin._hypothesis import Examples

        return Examples(self._request.node, self._isolation).one()

    def counterparts(self, words: Sequence[str]) -> Sequence[Counterpart]:
        """Databases of other products, with the run's schema and seed."""
        from pytest_asyncdb.plugin._counterparts import counterparts_of

        worker: WorkerDatabase = self._request.getfixturevalue(_DATABASE)
        return counterparts_of(self._request.config).named(words, worker)


def running_name(config: pytest.Config) -> str:
    """The test that runs."""
    return config.stash.get(_NAME, "outside of tests")


def begin(item: pytest.Item) -> None:
    """Let the sequences and random values of a test be its own."""
    item.config.stash[_NAME] = item.nodeid
    begin_test(lambda: f"{_seed(item.config)}:{item.nodeid}")


def offer(request: pytest.FixtureRequest, isolation: Isolation) -> None:
    """Let factories use the session of the test that `request` belongs to."""
    test = running_test()
    if test is not None and test.host is None:
        test.host = _Host(request, isolation)
        from pytest_asyncdb.strategies._running import offer_host

        offer_host(_host)


def _host() -> Any:  # noqa: ANN401  (one of ours, or None)
    """The running test, if that is isolated."""
    test = running_test()
    return None if test is None else test.host


def begin_example(item: pytest.Item) -> None:
    """Let an example of the test begin its sequences and random values again."""
    test = running_test()
    begin(item)
    again = running_test()
    if test is not None and again is not None:
        again.host = test.host


# ------------------------------------------------------------------------- the seed
def _seed(config: pytest.Config) -> int:
    """What was given, else pytest-randomly's, else the controller's, else a new one."""
    if _SEED not in config.stash:
        suite = suite_of(config)
        candidates = (
            suite.settings.random_seed if suite.is_configured else None,
            config.getoption("randomly_seed", None),
            getattr(config, "workerinput", {}).get(_INPUT),
            random.SystemRandom().getrandbits(32),
        )
        config.stash[_SEED] = next(each for each in candidates if type(each) is int)
    return config.stash[_SEED]


def hand_seed(config: pytest.Config, workerinput: dict[str, Any]) -> None:
    """Let a worker of xdist have the seed of its controller."""
    workerinput[_INPUT] = _seed(config)


def seed_lines(config: pytest.Config) -> list[str]:
    """A line of the header, where a project has factories or names a seed."""
    known = suite_of(config).settings.random_seed is not None
    if not known and "pytest_asyncdb.factories._factory" not in sys.modules:
        return []
    return [f"asyncdb: factories, random seed {_seed(config)}"]


def with_seed(
    item: pytest.Item, call: pytest.CallInfo[Any], report: pytest.TestReport
) -> pytest.TestReport:
    """The report; of a failed test also how to have its random values again.

    Or where the fixture is that it has asked for and not found.
    """
    test = running_test()
    error = call.excinfo.value if call.excinfo is not None else None
    if isinstance(error, pytest.FixtureLookupError):
        for place in _registered(error.argname):
            report.sections.append(("asyncdb factories", place))
    if report.failed and test is not None and test.has_begun:
        again = f"the same values again: --asyncdb-random-seed={_seed(item.config)}"
        report.sections.append(("asyncdb factories", again))
    return report


def _registered(name: str | None) -> Iterator[str]:
    """Where `register()` has made a fixture of that name."""
    for each in registrations().values():
        is_seen = each.module.rpartition(".")[2] == "conftest"
        if name in (each.name, each.factory_name) and not is_seen:
            yield (
                f"register() has made the fixture {name!r} in {each.module}, where no"
                f" test sees it; write in conftest.py:\nfrom {each.module} import *"
            )
            return


# ------------------------------------------------------------------------- fixtures
def _fixtures(registration: Registration) -> Mapping[str, Any]:
    """A fixture for the factory, and one for an object of its."""

    def give_factory(**_: object) -> Any:  # noqa: ANN401
        return registration.factory

    def give_object(request: pytest.FixtureRequest, **_: object) -> Any:  # noqa: ANN401
        __tracebackhide__ = True
        attributes = {
            **registration.attributes,
            **_marked(request, registration),
            **_overridden(request, registration),
        }
        return _made(registration, attributes)

    model = registration.factory._meta.model  # noqa: SLF001
    return {
        registration.factory_name: _fixture(
            give_factory, registration.factory_name, type[registration.factory]
        ),
        registration.name: _fixture(give_object, registration.name, model),
    }


def _fixture(function: Callable[..., Any], name: str, gives: object) -> Any:  # noqa: ANN401
    """A fixture of that name, which isolates the test before it is set up."""
    by_name = inspect.Parameter.KEYWORD_ONLY

    def isolated(request: pytest.FixtureRequest, **values: Any) -> Any:  # noqa: ANN401
        __tracebackhide__ = True
        from pytest_asyncdb.plugin._fixtures import isolation_of

        isolation_of(request, values[_DATABASE])
        return function(request=request)

    isolated.__name__ = isolated.__qualname__ = name
    isolated.__doc__ = f"Of {gives}, made by pytest_asyncdb.factories.register()."
    isolated.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(each, by_name) for each in ("request", _DATABASE)],
        return_annotation=gives,
    )
    return pytest.fixture(isolated)


def _made(registration: Registration, attributes: Mapping[str, Any]) -> Any:  # noqa: ANN401
    from pytest_asyncdb.factories._factory import run_now

    test = running_test()
    assert test is not None  # noqa: S101 - a fixture is set up for a test
    assert test.host is not None  # noqa: S101 - its isolation has offered one
    made = registration.factory.create(**attributes)
    return run_now(test.host, made) if inspect.iscoroutine(made) else made


def _overridden(
    request: pytest.FixtureRequest, registration: Registration
) -> dict[str, Any]:
    """Values of fixtures and parameters that are named after an attribute."""
    prefix = f"{registration.name}__"
    callspec = getattr(request.node, "callspec", None)
    parameters = () if callspec is None else callspec.params
    given = [each for each in parameters if each.startswith(prefix)]
    find = _look if given else _defined
    return {
        name.removeprefix(prefix): request.getfixturevalue(name)
        for name in dict.fromkeys([*given, *find(request, registration)])
    }


def _defined(request: pytest.FixtureRequest, registration: Registration) -> list[str]:
    """Fixtures for attributes that a test sees; the same for all of its class."""
    stash = request.node.parent.stash
    known = stash.setdefault(_OVERRIDES, {})
    names: list[str] | None = known.get(registration.name)
    if names is None:
        names = known[registration.name] = [*_look(request, registration)]
    return names


def _look(request: pytest.FixtureRequest, registration: Registration) -> Iterator[str]:
    from pytest_asyncdb.factories._names import names_of

    for attribute in names_of(registration.factory._meta):  # noqa: SLF001
        name = f"{registration.name}__{attribute}"
        try:
            request.getfixturevalue(name)
        except pytest.FixtureLookupError as error:
            if error.argname != name:
                raise
        else:
            yield name


def use_parameters(metafunc: pytest.Metafunc) -> None:
    """Let a test be parametrised by an attribute of a fixture that it uses."""
    made = registrations()
    if not made:
        return
    for mark in metafunc.definition.iter_markers("parametrize"):
        given = mark.args[0] if mark.args else mark.kwargs.get("argnames", ())
        names = given.split(",") if isinstance(given, str) else given
        for name in (each.strip() for each in names):
            first = name.partition("__")[0]
            if "__" in name and first in made and first in metafunc.fixturenames:
                metafunc.fixturenames.append(name)


def _marked(
    request: pytest.FixtureRequest, registration: Registration
) -> dict[str, Any]:
    """What marks on the test say of the object, the nearest last."""
    from pytest_asyncdb.errors import MarkRefused

    said: dict[str, Any] = {}
    for mark in reversed([*request.node.iter_markers(_MARK)]):
        name, *traits = mark.args or ("",)
        if name not in registrations():
            near = difflib.get_close_matches(name, registrations(), n=3)
            raise MarkRefused.factory(
                request.node.nodeid, name, near or [*registrations()]
            )
        if name == registration.name:
            said |= {**dict.fromkeys(traits, True), **mark.kwargs}
    return said


set_maker(_fixtures)
