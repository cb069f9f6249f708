"""What an isolation leaves in the process when it goes: nothing."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import multiprocessing
import os
import threading
import warnings
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Engine, text

from pytest_asyncdb.errors import EngineRefused
from tests.loops.conftest import Application, isolate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_asyncdb.isolation import Isolation
    from pytest_asyncdb.provisioning import Database


@pytest.fixture(scope="module", autouse=True)
def _frozen() -> Iterator[None]:
    """Let the collector pass over what is there already, for speed."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def _descriptors() -> dict[str, str]:
    """The open files of this process."""
    found = {}
    for each in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the listing's own
            found[each.name] = str(each.readlink())
    return found


def _use(database: Database, bridge: str) -> None:
    """A life of an isolation: three tests on loops of their own, and sync code."""
    isolation = isolate(database, bridge=bridge)
    isolation.install()
    app = Application(database.url)
    for name in ("first", "second", "third"):
        isolation.open(name)
        asyncio.run(app.add(name))
        with isolation.sync_engine.connect() as connection:
            connection.execute(text("SELECT 1"))
        isolation.close()
    isolation.uninstall()


def test_no_descriptor_and_no_thread_is_left(database: Database, bridge: str) -> None:
    """The connection, its loop and its thread go with the isolation."""
    _use(database, bridge)
    gc.collect()
    files, threads = _descriptors(), set(threading.enumerate())
    _use(database, bridge)
    gc.collect()

    assert files == _descriptors()
    left = set(threading.enumerate()) - threads
    for thread in left:  # one may be on its way out
        thread.join(5)
    assert [] == [thread for thread in left if thread.is_alive()]


def test_no_warning_about_what_was_not_closed(database: Database, bridge: str) -> None:
    """Python warns of sockets, transports and loops that are collected open."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _use(database, bridge)
        gc.collect()

    assert [] == [str(each.message) for each in caught]


def test_engines_are_let_be_when_the_isolation_is_uninstalled(
    database: Database, bridge: str
) -> None:
    """SQLAlchemy's own method is back, and no listener stays."""
    before = Engine.raw_connection
    _use(database, bridge)

    assert before is Engine.raw_connection


def test_an_isolation_that_was_never_used_leaves_nothing(
    database: Database, bridge: str
) -> None:
    """No test ran: nothing was connected, all is closed."""
    gc.collect()
    files, threads = _descriptors(), set(threading.enumerate())
    isolation = isolate(database, bridge=bridge)
    isolation.install()
    isolation.uninstall()
    del isolation
    gc.collect()

    assert files == _descriptors()
    left = set(threading.enumerate()) - threads
    for thread in left:  # one may be on its way out
        thread.join(5)
    assert [] == [thread for thread in left if thread.is_alive()]


def test_an_isolation_can_be_uninstalled_and_installed_again(
    database: Database, bridge: str
) -> None:
    """A run that goes back and forth between databases does that."""
    isolation = isolate(database, bridge=bridge)
    app = Application(database.url)
    seen = []
    for name in ("first", "second"):
        isolation.install()
        isolation.open(name)
        asyncio.run(app.add(name))
        seen.append(asyncio.run(app.names()))
        isolation.close()
        isolation.uninstall()

    assert [["first"], ["second"]] == seen


def test_loops_and_transactions_are_forgotten_with_their_test(
    isolation: Isolation, app: Application
) -> None:
    """After many tests there are no more of them than after one."""
    watched: list[weakref.ref[object]] = []

    async def test() -> None:
        watched.append(weakref.ref(asyncio.get_running_loop()))
        async with app.engine.connect() as connection:
            watched.append(weakref.ref(connection.sync_connection))
            await connection.execute(text("SELECT 1"))
            await app.add("somebody")

    for _ in range(5):
        asyncio.run(test())
        isolation.close()
        isolation.open("one of many")
    gc.collect()

    assert [] == [each() for each in watched if each() is not None]


# ------------------------------------------------------------------------- fork
def _forked(work: Callable[[], object]) -> int:
    """What a forked child answers: 0 for EngineRefused, 1 for anything else."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except EngineRefused:
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_is_refused_and_its_parent_goes_on(
    app: Application, isolation: Isolation
) -> None:
    """The connection is the parent's; a child that spoke on it would garble both."""
    asyncio.run(app.add("parent"))
    answers = [
        _forked(lambda: asyncio.run(app.add("child"))),
        _forked(lambda: isolation.run(app.names)),
        _forked(isolation.sync_engine.connect),
    ]
    asyncio.run(app.add("after"))

    assert [0, 0, 0] == answers
    assert ["after", "parent"] == asyncio.run(app.names())


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_the_connection_survives_a_child_that_ends_in_the_ordinary_way(
    app: Application,
) -> None:
    """A worker of multiprocessing that has nothing to do with the database."""
    asyncio.run(app.add("parent"))
    process = multiprocessing.get_context("fork").Process(target=gc.collect)
    process.start()
    process.join()

    assert 0 == process.exitcode
    assert ["parent"] == asyncio.run(app.names())
