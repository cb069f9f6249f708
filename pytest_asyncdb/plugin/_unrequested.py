"""Connections of tests that ask for no fixture of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Engine, event

from pytest_asyncdb.errors import UnrequestedConnection, UnrequestedWarning

if TYPE_CHECKING:
    import pytest

__all__ = ["Watch"]


class Watch:
    """Listens to every engine of the process; refuses, or warns of the first one."""

    def __init__(self, *, refuses: bool) -> None:
        self._refuses = refuses
        self._item: pytest.Item | None = None
        self._seen: UnrequestedConnection | None = None
        self._has_warned = False
        event.listen(Engine, "do_connect", self._connecting)

    def close(self) -> None:
        """Listen no more."""
        event.remove(Engine, "do_connect", self._connecting)

    def begin(self, item: pytest.Item) -> None:
        """From here on, what connects is this test, or application code of its."""
        self._item = item

    @property
    def seen(self) -> UnrequestedConnection | None:
        """What the running test has opened, told as if it were refused."""
        return self._seen

    def end(self) -> None:
        """The test is over, or has asked for a fixture; the warning comes now."""
        item, self._item = self._item, None
        seen, self._seen = self._seen, None
        if item is not None and seen is not None and not self._has_warned:
            self._has_warned = True
            item.warn(UnrequestedWarning(str(seen)))

    def _connecting(self, *_: object) -> None:
        from pytest_asyncdb.provisioning import is_unguarded

        if self._item is None or is_unguarded():
            return
        self._seen = UnrequestedConnection.by(self._item.nodeid)
        if self._refuses:
            raise self._seen
