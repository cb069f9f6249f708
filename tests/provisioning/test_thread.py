"""The thread with a loop of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from contextvars import ContextVar

import pytest

from pytest_asyncdb.provisioning import is_unguarded, unguarded
from pytest_asyncdb.provisioning._thread import LoopThread

SEEN: ContextVar[str] = ContextVar("SEEN", default="nothing")


def test_work_runs_inside_a_running_loop() -> None:
    """The caller's loop is blocked, not used."""
    thread = LoopThread()

    async def work() -> int:
        return id(asyncio.get_running_loop())

    async def caller() -> tuple[int, int]:
        return thread.run(work), id(asyncio.get_running_loop())

    inner, outer = asyncio.run(caller())

    assert inner != outer
    thread.close()


def test_work_sees_nothing_of_the_caller_and_is_unguarded() -> None:
    """Its connections are provisioning's own, whatever the caller does."""
    thread = LoopThread()
    SEEN.set("the caller")

    async def work() -> tuple[str, bool]:
        return SEEN.get(), is_unguarded()

    assert ("nothing", True) == thread.run(work)
    assert not is_unguarded()
    thread.close()


def test_unguarded_ends_with_its_block() -> None:
    """Also when it raises."""
    with pytest.raises(ValueError, match="x"), unguarded():
        raise ValueError("x")

    assert not is_unguarded()


def test_an_interrupted_call_waits_until_its_work_has_cleaned_up() -> None:
    """Ctrl-C cancels the work first."""
    thread, cleaned = LoopThread(), threading.Event()

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.05)
            cleaned.set()

    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        thread.run(work)

    assert cleaned.is_set()
    timer.join()
    thread.close()


def test_a_closed_thread_is_gone_and_starts_again() -> None:
    """No thread outlives the run."""
    thread = LoopThread()

    async def work() -> threading.Thread:
        return threading.current_thread()

    first = thread.run(work)
    thread.close()

    assert not first.is_alive()
    assert thread.run(work).is_alive()
    thread.close()


def test_a_forked_child_is_refused() -> None:
    """Its thread stayed in the parent: a call would wait for ever."""
    thread = LoopThread()
    thread._pid = os.getppid()

    with pytest.raises(Exception, match="forked"):
        thread.run(lambda: asyncio.sleep(0))


def test_a_call_costs_little() -> None:
    """A thousand take less than five seconds, on any machine."""
    thread = LoopThread()
    began = time.perf_counter()
    for _ in range(1000):
        thread.run(lambda: asyncio.sleep(0))

    assert time.perf_counter() - began < 5
    thread.close()
