"""Who waits for whom, read from what InnoDB's monitor prints."""

from __future__ import annotations

from pytest_asyncdb.backends._waits import innodb_waits

_HEAD = """
=====================================
LATEST DETECTED DEADLOCK
------------------------
*** (1) TRANSACTION:
TRANSACTION 12, ACTIVE 1 sec starting index read
LOCK WAIT 4 lock struct(s), heap size 1128, 2 row lock(s)
MariaDB thread id 99, OS thread handle 1, query id 5 localhost root Updating
------------
TRANSACTIONS
------------
LIST OF TRANSACTIONS FOR EACH SESSION:
"""
_WAITS = """---TRANSACTION 34, ACTIVE 1 sec starting index read
mysql tables in use 1, locked 1
LOCK WAIT 2 lock struct(s), heap size 1128, 1 row lock(s)
MariaDB thread id 6, OS thread handle 139723744958144, query id 70 localhost root Upd
update t set v=3
------- TRX HAS BEEN WAITING 230302 us FOR THIS LOCK TO BE GRANTED:
RECORD LOCKS space id 7 page no 3 n bits 320 index PRIMARY of table `x`.`t` trx id 34
------------------
"""
_HOLDS = """---TRANSACTION 33, ACTIVE 1 sec
2 lock struct(s), heap size 1128, 2 row lock(s), undo log entries 1
MariaDB thread id 5, OS thread handle 139723745265344, query id 69 localhost root
"""
_WROTE = _HOLDS.replace("2 lock", "0 lock").replace("id 5,", "id 8,")
_READS = """---TRANSACTION 35, ACTIVE 1 sec
0 lock struct(s), heap size 1128, 0 row lock(s)
MariaDB thread id 7, OS thread handle 139723745265344, query id 71 localhost root
"""
_IDLE = """---TRANSACTION (0x7f13f9098b80), not started
0 lock struct(s), heap size 1128, 0 row lock(s)
--------
FILE I/O
--------
"""
_NOBODY = """---TRANSACTION 36, ACTIVE (PREPARED) 9 sec recovered trx
2 lock struct(s), heap size 1128, 2 row lock(s), undo log entries 1
"""


def _read(*blocks: str) -> object:
    return innodb_waits([("InnoDB", "", _HEAD + "".join(blocks) + _IDLE)])


def test_the_only_other_transaction_with_locks_is_the_one() -> None:
    """One that has only read holds nothing, and an old deadlock is over."""
    assert [(6, 5)] == _read(_WAITS, _READS, _HOLDS)


def test_of_several_nobody_is_named() -> None:
    """Rows that were inserted are locks too, whatever the count of locks says."""
    assert [(6, None)] == _read(_WAITS, _HOLDS, _WROTE)


def test_a_transaction_without_a_session_has_no_number() -> None:
    """A prepared one that a crash has left."""
    assert [(6, None)] == _read(_WAITS, _NOBODY)


def test_those_who_wait_may_wait_for_each_other() -> None:
    """The second in a queue waits for the holder, or for the first."""
    second = _WAITS.replace("thread id 6", "thread id 9")

    assert [(6, None), (9, None)] == _read(_WAITS, second, _HOLDS)


def test_nobody_waits_where_nobody_is_said_to() -> None:
    """Transactions without a wait."""
    assert [] == _read(_HOLDS, _READS)
