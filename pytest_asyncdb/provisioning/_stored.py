"""Templates that stay on a server, for later runs with the same schema."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from pytest_asyncdb.errors import DatabaseFailed
from pytest_asyncdb.provisioning._naming import TEMPLATES, lock_key, stored_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_asyncdb.provisioning._administration import Administration

__all__ = ["Stored", "Template"]

_PREFIX: Final = "pytest-asyncdb template "
_HOUR: Final = 3600.0
_DAY: Final = 24 * _HOUR
_AGE: Final = 14 * _DAY
"""Templates that nobody has used for so long are dropped when another is built."""
_COUNT: Final = 10
"""So many others stay; of more, those that were not used for a day are dropped."""


@dataclass(frozen=True, slots=True)
class Template:
    """A template that stays, as its mark describes it."""

    name: str
    built: float
    """When, in seconds since 1970."""
    used: float
    """When last, within an hour."""

    def text(self) -> str:
        """The mark in one line, for `parse`."""
        return _PREFIX + json.dumps(asdict(self))

    @classmethod
    def parse(cls, text: str | None) -> Template | None:
        """The template in a text that `text` wrote; None for any other text."""
        if text is None or not text.startswith(_PREFIX):
            return None
        with suppress(ValueError, TypeError):
            return cls(**json.loads(text.removeprefix(_PREFIX)))
        return None


@dataclass(frozen=True, slots=True)
class Stored:
    """The templates that stay on one server.

    One counts only if its mark names it, which is written when it is complete, and if
    this role owns it: another one could have put anything into it.
    """

    administration: Administration

    def ensure(self, digest: str, draft: str, build: Callable[[str], None]) -> str:
        """The name of the template of that digest.

        Where it is missing, `build` makes it, under the name `draft` if the server can
        rename. One process of the server builds at a time: the lock ends with its
        session, so that a dead builder is taken over from.
        """
        name = stored_name(digest)
        if not self._is_usable(name):
            with self._alone(name):
                if not self._is_usable(name):
                    self._make(name, draft, build)
        return name

    def all(self) -> list[Template]:
        """All that there are, the last used first."""
        rows = self.administration.rows(self.administration.backend.marks(TEMPLATES))
        found = (Template.parse(text) for _, text in rows)
        return sorted((each for each in found if each), key=lambda each: -each.used)

    def drop(self, template: Template) -> None:
        """Drop one, with its mark."""
        backend = self.administration.backend
        with self._alone(template.name):
            self.administration.drop(template.name)
            self.administration.execute(
                f"forgetting {template.name!r}", *backend.unmark(template.name)
            )

    def _make(self, name: str, draft: str, build: Callable[[str], None]) -> None:
        backend = self.administration.backend
        self.administration.drop(name)
        renaming = backend.rename(draft, name)
        build(name if renaming is None else draft)
        if renaming is not None:
            self.administration.execute(f"naming template {name!r}", renaming)
        self._mark(Template(name, built=time.time(), used=time.time()))
        self._tidy()

    def _is_usable(self, name: str) -> bool:
        backend = self.administration.backend
        rows = self.administration.rows(backend.marks(name.replace("_", r"\_")))
        found = [Template.parse(text) for each, text in rows if each == name]
        template = found[0] if found else None
        if template is None or template.name != name:
            return False
        if not self.administration.scalar(backend.owned(name)):
            return False
        if time.time() - template.used > _HOUR:
            with suppress(DatabaseFailed):  # another run marks it at the same time
                self._mark(Template(name, template.built, time.time()))
        return True

    def _mark(self, template: Template) -> None:
        statements = self.administration.backend.mark(template.name, template.text())
        self.administration.execute(f"marking template {template.name!r}", *statements)

    def _tidy(self) -> None:
        now = time.time()
        for place, template in enumerate(self.all()):
            idle = now - template.used
            if idle > _AGE or (place > _COUNT and idle > _DAY):
                with suppress(DatabaseFailed):
                    self.drop(template)

    @contextmanager
    def _alone(self, name: str) -> Iterator[None]:
        key, backend = lock_key(name), self.administration.backend
        self.administration.scalar(backend.seize(key))
        try:
            yield
        finally:
            self.administration.scalar(backend.release(key))
