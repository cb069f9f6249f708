"""Owner tags and names."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from pytest_asyncdb.provisioning._marks import Mark
from pytest_asyncdb.provisioning._naming import (
    OwnerTag,
    database_name,
    is_alive,
    lock_key,
    new_short,
    short_of,
    template_name,
)
from pytest_asyncdb.provisioning._process import Process, stop

HERE = OwnerTag.here()


def test_this_process_is_alive() -> None:
    """Its tag survives being written down."""
    assert HERE == OwnerTag.parse(HERE.text())
    assert is_alive(HERE) is True


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"started": "1"}, False),
        ({"boot": "an earlier one"}, False),
        ({"boot": "another", "host": "elsewhere"}, None),
        ({"namespace": "pid:[1]"}, None),
    ],
)
def test_a_pid_means_something_only_where_it_was_given(
    changes: dict[str, Any], *, expected: bool | None
) -> None:
    """A reused pid and a restart are death; another machine or container is unknown."""
    assert expected is is_alive(dataclasses.replace(HERE, **changes))


def test_an_ended_process_is_dead_before_anybody_waits_for_it() -> None:
    """A zombie still has a pid and its start time."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    known = Process.of(process.pid)
    assert known is not None
    stop([known], signal.SIGQUIT)

    assert not known.alive
    process.communicate()


def test_a_process_that_ignores_sigquit_is_killed() -> None:
    """After the time it was given."""
    code = "from signal import *; signal(SIGQUIT, SIG_IGN); print(1); input()"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()
    known = Process.of(process.pid)
    assert known is not None
    stop([known], signal.SIGQUIT, timeout=0.1)

    assert not known.alive
    process.communicate()


@pytest.mark.parametrize("text", ["", "null", "{}", '{"pid": 1}', "[1]"])
def test_another_text_is_no_tag(text: str) -> None:
    """Nothing is swept because of a file that looks like ours."""
    assert OwnerTag.parse(text) is None


@pytest.mark.parametrize("text", [None, "", "pytest-asyncdb", "pytest-asyncdb {}"])
def test_another_text_is_no_mark(text: str | None) -> None:
    """Nothing is dropped because of a comment that looks like ours."""
    assert Mark.parse(text) is None


def test_a_mark_survives_being_written_down() -> None:
    """With all that it says."""
    mark = Mark("abcdefgh", HERE, kept=True, extensions=("plpgsql",))

    assert mark == Mark.parse(mark.text())


def test_names_of_a_run_share_its_letters() -> None:
    """So a template and its clones are known to be a family."""
    short = new_short()

    assert f"asyncdb_{short}_gw0" == database_name(short, "gw0")
    assert [short] * 2 == [
        short_of(name) for name in (database_name(short, "gw0"), template_name(short))
    ]


@pytest.mark.parametrize("name", ["asyncdb_main", "asyncdb_ABCDEFGH_x", "myasyncdb_a"])
def test_other_names_are_nobodys(name: str) -> None:
    """They are not looked at."""
    assert short_of(name) is None


def test_the_lock_of_a_run_fits_a_bigint() -> None:
    """And differs from that of another one."""
    assert lock_key("abcdefgh") != lock_key("abcdefgi")
    assert -(2**63) <= lock_key("abcdefgh") < 2**63


def test_the_tag_names_this_process() -> None:
    """By pid and start time."""
    known = Process.of(os.getpid())
    assert known is not None

    assert (os.getpid(), known.started) == (HERE.pid, HERE.started)
