"""Loads that are sent for one object after the other, where one would do."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_asyncdb.statements._statement import Line, Origin, Statement

__all__ = ["Allowance", "Loop", "grouped", "loops_in"]

_FEWEST: Final = 2
_FEWEST_QUERIES: Final = 3


@dataclass(eq=False)
class Allowance:
    """A part of a log in which loads in a loop are wanted; of any where none named."""

    begin: int
    relationships: frozenset[str]
    end: int | None = None

    def covers(self, at: int, statement: Statement) -> bool:
        """Whether the statement at that place of the log is in it."""
        inside = self.begin <= at and (self.end is None or at < self.end)
        named = not self.relationships or statement.relationship in self.relationships
        return inside and named


@dataclass(frozen=True)
class Loop:
    """Statements of one shape from one line, for objects that one query loaded."""

    statements: tuple[Statement, ...]
    objects: int
    """For how many different objects."""
    relationship: str | None
    """Such as "User.posts"; None for a query of the application's, or a refresh."""
    line: Line | None
    """Where the loop is."""
    loaded_at: Line | None
    """Where the objects were loaded."""
    remedy: str

    def __str__(self) -> str:
        at = f" at {self.line}" if self.line is not None else ""
        where = f" loaded at {self.loaded_at}" if self.loaded_at is not None else ""
        if self.relationship is not None:
            what = f"a lazy load of {self.relationship}"
        elif self.statements[0].kind == "refresh":
            what = "a refresh"
        else:
            what = f"the query {self.statements[0].shape!r}"
        return (
            f"{what}{at} for each of {self.objects} objects{where}\n"
            f"        {self.remedy}"
        )


def loops_in(
    log: Sequence[Statement], allowances: Sequence[Allowance], *, start: int = 0
) -> list[Loop]:
    """Loops among the statements, whose first is at `start` of the whole log."""
    seen = [
        each
        for at, each in enumerate(log, start)
        if not (each.factory or any(one.covers(at, each) for one in allowances))
    ]
    found = [*_merged(_lazy(seen)), *_queries(seen)]
    return sorted(found, key=lambda each: -len(each.statements))


# ------------------------------------------------------------------------ lazy loads
def _lazy(log: Sequence[Statement]) -> Iterator[Loop]:
    """Lazy loads of one relationship, from one line, for one query's objects."""
    groups: defaultdict[tuple[Any, ...], list[Statement]] = defaultdict(list)
    for each in log:
        if each.kind == "lazy load" and each.origin is not None:
            key = (each.relationship, each.line, id(each.origin.parent))
            groups[key].append(each)
    for (relationship, line, _), statements in groups.items():
        owners = {each.origin.loaded_for for each in statements if each.origin}
        origin = statements[0].origin
        if len(owners) >= _FEWEST and origin is not None:
            loaded_at = _root(origin).line if origin.parent is not None else None
            yield Loop(
                tuple(statements),
                len(owners),
                relationship,
                line,
                loaded_at,
                _loader(origin, loaded_at),
            )


def _merged(loops: Iterator[Loop]) -> Iterator[Loop]:
    """Those of one line and relationship as one: lazy loads below lazy loads."""
    groups: defaultdict[tuple[Any, ...], list[Loop]] = defaultdict(list)
    for each in loops:
        groups[each.relationship, each.line, each.loaded_at].append(each)
    for (relationship, line, loaded_at), several in groups.items():
        yield Loop(
            tuple(itertools.chain.from_iterable(each.statements for each in several)),
            sum(each.objects for each in several),
            relationship,
            line,
            loaded_at,
            several[0].remedy,
        )


def _root(origin: Origin) -> Origin:
    """The query at which a chain of loads of relationships begins."""
    while origin.parent is not None:
        origin = origin.parent
    return origin


def _loader(origin: Origin, loaded_at: Line | None) -> str:
    """The option that would have loaded the relationship along with its objects."""
    chain = ".".join(
        f"{'selectinload' if each.uselist else 'joinedload'}({each})"
        for each in _steps(origin)
    )
    where = f" at {loaded_at}" if loaded_at is not None else ""
    return f"add .options({chain}) to the query{where}"


def _steps(origin: Origin) -> tuple[Any, ...]:
    """The relationships that lead from the first query to what is loaded."""
    steps = origin.path[1::2]
    while origin.parent is not None:
        origin = origin.parent
        above = origin.path[1::2]
        if steps[: len(above)] != above:
            steps = above + steps
    return steps


# ------------------------------------------- queries of the application's, refreshes
_REMEDIES: Final = {
    "application": (
        "ask once for all of them, with .in_() of their keys or with a join"
    ),
    "refresh": (
        "load them again by one query, with execution_options(populate_existing=True),"
        " or let them not expire: expire_on_commit=False"
    ),
}


def _queries(log: Sequence[Statement]) -> Iterator[Loop]:
    """One query from one line, each time with another key of what one query loaded."""
    groups: defaultdict[tuple[str, Line, str], list[Statement]] = defaultdict(list)
    for each in log:
        if each.kind in _REMEDIES and not each.is_write and each.line is not None:
            groups[each.sql, each.line, each.kind].append(each)
    for (_, line, kind), statements in groups.items():
        if len(statements) < _FEWEST_QUERIES:
            continue
        parent = _loader_of_keys(log, statements)
        if parent is not None:
            yield Loop(
                tuple(statements),
                len(statements),
                None,
                line,
                parent.line,
                _REMEDIES[kind],
            )


def _loader_of_keys(
    log: Sequence[Statement], statements: Sequence[Statement]
) -> Origin | None:
    """The query whose objects' keys these statements were sent with, one for each."""
    sent = [_values(each.parameters) for each in statements]
    if len({repr(each) for each in sent}) < len(sent):
        return None
    before = itertools.takewhile(lambda each: each is not statements[0], log)
    for origin in reversed([each.origin for each in before if each.origin]):
        if len(origin.keys) >= len(sent) and _pairs(sent, origin.keys):
            return origin
    return None


def _pairs(sent: Sequence[Sequence[Any]], keys: set[Any]) -> bool:
    """Whether at one place of the parameters there is each time another key."""
    return any(
        len({repr(value) for value in place}) == len(sent)
        and all(_is_key(value, keys) for value in place)
        for place in zip(*sent, strict=False)
    )


def _is_key(value: object, keys: set[Any]) -> bool:
    try:
        return value in keys
    except TypeError:
        return False


def _values(parameters: Any) -> Sequence[Any]:  # noqa: ANN401 - as the driver takes it
    return list(parameters.values() if isinstance(parameters, dict) else parameters)


# --------------------------------------------------------------------------- a report
def grouped(statements: Sequence[Statement]) -> Iterator[str]:
    """Statements by shape: how many, what sent them, and from which lines."""
    shapes: defaultdict[tuple[str, str], list[Statement]] = defaultdict(list)
    for each in statements:
        shapes[each.shape, _cause(each)].append(each)
    for (shape, cause), several in shapes.items():
        lines = Counter(str(each.line) for each in several if each.line is not None)
        where = ", ".join(
            f"{line} ({count} x)" if count > 1 and len(lines) > 1 else line
            for line, count in lines.items()
        )
        at = f" at {where}" if where else ""
        yield f"{len(several)} x {shape}\n        {cause}{at}"


def _cause(statement: Statement) -> str:
    if statement.relationship is None:
        return "sent" if statement.kind == "application" else statement.kind
    return f"{statement.kind} of {statement.relationship}"
