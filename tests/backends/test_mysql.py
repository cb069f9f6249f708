"""MySQL's administration SQL, as text; provisioning's tests run it."""

from __future__ import annotations

import pytest

from pytest_asyncdb.backends._mysql import MariaDB


def test_a_session_that_has_just_ended_needs_no_kill() -> None:
    """Between the list and the word for it; any other error is one."""
    script = MariaDB().terminate("shop")
    next(script)

    assert "KILL 7" == script.send([(7,), (8,), (9,)])
    gone = Exception("(1094, 'Unknown thread id: 7')")
    assert "KILL 8" == script.throw(gone)
    with pytest.raises(Exception, match="denied"):
        script.throw(Exception("(1095, 'denied')"))
