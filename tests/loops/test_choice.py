"""Which bridge is taken: the guest loop where it can be, a thread where it suits."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import pytest

from pytest_asyncdb.isolation._bridges import bridge_class, guest_works
from tests.loops.conftest import isolate

if TYPE_CHECKING:
    from pytest_asyncdb.provisioning import Database


def _chosen(kind: str, *, prefers_thread: bool = False) -> str:
    bridge = bridge_class(kind, prefers_thread=prefers_thread)()
    bridge.close()
    return bridge.name


def test_the_guest_loop_works_on_every_python_of_the_matrix() -> None:
    """Else all of these tests would speak of the thread alone."""
    assert guest_works()
    assert "guest" == _chosen("auto")


def test_a_driver_may_prefer_the_thread() -> None:
    """One whose every await is a switch of threads anyway."""
    assert "thread" == _chosen("auto", prefers_thread=True)
    assert "guest" == _chosen("guest", prefers_thread=True)


@pytest.mark.parametrize("name", ["_enter_task", "_leave_task"])
def test_the_thread_is_taken_where_asyncio_cannot_leave_a_task(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Also where the guest loop was asked for."""
    monkeypatch.delattr(asyncio.tasks, name)

    assert "thread" == _chosen("auto")
    assert "thread" == _chosen("guest")


@pytest.mark.parametrize("name", ["_set_running_loop", "_get_running_loop"])
def test_the_thread_is_taken_where_asyncio_cannot_hide_a_loop(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A loop inside of another one needs both functions."""
    monkeypatch.delattr(asyncio, name)

    assert not guest_works()


def test_the_thread_is_taken_on_a_python_that_was_not_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the next Python does with running loops is not known."""
    monkeypatch.setattr(sys, "version_info", (3, 14, 0))

    assert "thread" == _chosen("auto")


def test_the_isolation_says_which_bridge_it_took(database: Database, kind: str) -> None:
    """On a file aiosqlite has a thread anyway, so the bridge's is the faster one."""
    isolation = isolate(database)
    expected = "thread" if kind == "file" else "guest"
    isolation.install()
    isolation.uninstall()

    assert expected == isolation.bridge
