"""Which databases can be had on this machine, from where, and how fast."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from pytest_asyncdb.errors import AsyncDBError
from pytest_asyncdb.settings import Target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.ext.asyncio import AsyncConnection

    from pytest_asyncdb.settings import ServerOptions, Settings

__all__ = ["Nothing", "diagnose"]

_WIDTHS: Final = (12, 10)


@dataclass(frozen=True, slots=True)
class _Finding:
    """What is known of one database after having tried to have it."""

    product: str
    source: str
    text: str
    available: bool = True
    details: tuple[str, ...] = ()

    def lines(self) -> Iterator[str]:
        product, source = self.product.ljust(_WIDTHS[0]), self.source.ljust(_WIDTHS[1])
        word = "yes" if self.available else "no "
        yield f"{product} {source} {word}  {self.text}"
        indent = " " * (sum(_WIDTHS) + 7)
        yield from (f"{indent}{detail}" for detail in self.details)


def diagnose(settings: Settings, *, asked: bool, starts: bool) -> bool:
    """Print what is found; whether what was asked for fails, for the exit status.

    Without anything asked for, all products from all sources, and nothing fails.
    """
    targets = settings.targets if asked else tuple(_everything())
    failed, told = False, set[tuple[str, ...]]()
    for target in targets:
        server = settings.server(target.product)
        finding = _look(target, server, starts=starts)
        failed |= not finding.available
        if finding.details and finding.details in told:
            finding = replace(finding, text=f"{finding.text}: see above", details=())
        told.add(finding.details)
        for line in finding.lines():
            print(line)
    return failed and asked


def _everything() -> Iterator[Target]:
    from pytest_asyncdb.provisioning import source_names

    for product, sources in source_names().items():
        for source in sources:
            yield Target(product, source=source, word=f"{product}@{source}")


def _look(target: Target, server: ServerOptions, *, starts: bool) -> _Finding:
    where = "url" if target.url is not None else target.source or "any"
    try:
        return _tried(target, server, starts=starts)
    except AsyncDBError as error:
        helps = ("what helps:", *(f"- {each}" for each in error.remedies))
        details = (*error.tried, *helps)
        return _Finding(
            target.product, where, error.cause, available=False, details=details
        )


def _tried(target: Target, server: ServerOptions, *, starts: bool) -> _Finding:
    from pytest_asyncdb.provisioning import Run, probe

    probe(target)
    with contextlib.closing(Run(target, server=server)) as run:
        if not starts:
            return _Finding(target.product, run.source, "can be started")
        made = run.database(Nothing())
        version = ".".join(map(str, made.version))
        text = f"{version}, {made.seconds:.2f} s to the first query"
        return _Finding(target.product, run.source, text)


class Nothing:
    """Builds nothing."""

    key = None

    async def __call__(self, connection: AsyncConnection, /) -> None:
        """Leave the database empty."""
