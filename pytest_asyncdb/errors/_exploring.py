"""Errors of explored interleavings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_asyncdb.errors._base import AsyncDBError, AsyncDBWarning

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self

__all__ = [
    "ActorStuck",
    "AnomalyFound",
    "ExplorationRefused",
    "IncompleteSearch",
    "ReadAnomaly",
    "ReductionUnsound",
    "StartLost",
]


class ExplorationRefused(AsyncDBError):
    """Something cannot be explored as a set of actors, or not in that way."""

    @classmethod
    def nested(cls) -> Self:
        """An actor explores, or two tasks do."""
        return cls(
            "interleavings are being explored already, and one search cannot contain"
            " another",
            remedies=["await the first explore() before the second one"],
        )

    @classmethod
    def no_names(cls, given: Sequence[object]) -> Self:
        """Actors have no names, or those of several mappings."""
        return cls(
            "actors are keywords: explore(a=f, b=g), or one mapping",
            tried=[f"given: {each!r}" for each in given],
        )

    @classmethod
    def no_list(cls, given: object) -> Self:
        """The functions to pair are not a list."""
        return cls(
            f"{given!r} is no list of functions",
            remedies=["give a list: explore_pairs([first, second, third])"],
        )

    @classmethod
    def already_called(cls, name: str) -> Self:
        """A coroutine runs once; a search runs actors many times."""
        return cls(
            f"the actor {name} is a coroutine, which can be run only once",
            remedies=[f"give a function that makes it: {name}=lambda: the_call()"],
        )

    @classmethod
    def not_callable(cls, name: str, given: object, near: Sequence[str]) -> Self:
        """An actor is something else than a function."""
        return cls(
            f"the actor {name} is {given!r}, which is no function",
            remedies=[
                *(f"did you mean the option {option}?" for option in near),
                f"give an async function without arguments: {name}=lambda: fn(1)",
                "one that is named like an option: explore({'seed': fn})",
            ],
        )

    @classmethod
    def not_async(cls, name: str) -> Self:
        """The function gave nothing that can be awaited."""
        return cls(
            f"the actor {name} is a sync function, which cannot be stopped between"
            " two statements",
            remedies=[
                "give an async function, or a lambda that calls one",
                "of a sync endpoint, test the async function that it calls",
            ],
        )

    @classmethod
    def not_awaited(cls, name: str) -> Self:
        """The test has ended, and its search has not begun."""
        return cls(
            f"{name} was called and never awaited",
            remedies=[f"write `await db_concurrency.{name}(...)`"],
        )

    @classmethod
    def count(cls, count: int, most: int) -> Self:
        """There are too few actors, or too many."""
        return cls(
            f"{count} actors were given; a search has 1 to {most}",
            remedies=["name them: explore(a=fn, b=fn)"],
        )

    @classmethod
    def shared_session(cls, first: str, second: str) -> Self:
        """Two actors used one session or connection."""
        return cls(
            f"the actors {first} and {second} share one session",
            tried=["requests never do: a session serves one task only"],
            remedies=[
                "give each its own session, from db_sessionmaker",
                "open it in the actor: `async with db_sessionmaker() as session`",
            ],
        )

    @classmethod
    def schema(cls, name: str, sql: str) -> Self:
        """DDL cannot be undone between schedules."""
        return cls(
            f"the actor {name} changes the schema: {sql}",
            tried=["rows are put back between schedules, tables are not"],
            remedies=["create and drop tables before explore()"],
        )

    @classmethod
    def nobody(cls, errors: Mapping[str, BaseException]) -> Self:
        """In no schedule has any actor succeeded."""
        return cls(
            "no actor succeeds in any schedule, not even by itself",
            tried=[f"{name}: {error!r}" for name, error in errors.items()],
            remedies=["run each actor by itself, and give it the rows that it needs"],
        )

    @classmethod
    def silence(cls, endings: Mapping[str, str], elsewhere: Sequence[str]) -> Self:
        """In no schedule has any actor asked the database for anything."""
        return cls(
            "no actor sent a statement, so there was nothing to explore",
            tried=[
                *(f"{name} ended: {ending}" for name, ending in endings.items()),
                *(f"sent elsewhere: {sql}" for sql in elsewhere),
            ],
            remedies=[
                "look at how each one ended: a path or an argument may be wrong",
                "let the code under test use the database of the test",
            ],
        )

    @classmethod
    def option(cls, name: str, value: object, known: str) -> Self:
        """An option has a value that it cannot have."""
        return cls(f"{name}={value!r} is not known", remedies=[f"give {known}"])

    @classmethod
    def schedule(cls, text: object, actors: Sequence[str]) -> Self:
        """A schedule to replay is not one of these actors."""
        letters = [chr(ord("A") + number) for number in range(len(actors))]
        return cls(
            f"{text!r} is no schedule of {len(actors)} actors",
            remedies=[
                "write one letter for each step: "
                + ", ".join(
                    f"{letter} for {name}"
                    for letter, name in zip(letters, actors, strict=True)
                )
            ],
        )

    @classmethod
    def incomplete(cls, said: str) -> Self:
        """`require_complete` was asked for, and the search was cut."""
        return cls(
            f"the search is not complete: {said}",
            remedies=["raise max_schedules, or let actors do less"],
        )


class ActorStuck(AsyncDBError):
    """A schedule does not end."""

    @classmethod
    def waiting(
        cls,
        where: Sequence[str],
        seconds: float,
        schedule: str,
        others: Sequence[int],
    ) -> Self:
        """Nobody goes on: what each one is doing."""
        sessions = ", ".join(map(str, others))
        tried = [*where, f"after the steps {schedule or '(none)'}"]
        if others:
            tried.append(f"sessions of others that hold a lock: {sessions}")
        return cls(
            f"no actor has gone on for {seconds:g} s",
            tried=tried,
            remedies=[
                "let no actor wait in Python for what another one has yet to do",
                "let pools have a connection for each session that is open at once",
                "close every session: one that an actor leaves open keeps its locks",
                "let patience= be longer, where statements take that long",
            ],
        )

    @classmethod
    def endless(cls, name: str, steps: int) -> Self:
        """An actor sends statements for ever."""
        return cls(
            f"a schedule has come to {steps} steps, most of them of {name}",
            remedies=["let retry loops end after a few attempts"],
        )


class AnomalyFound(AsyncDBError, AssertionError):
    """A schedule ends as it must not.

    `result` is the whole search.
    """

    result: object = None

    @classmethod
    def of(cls, result: object, text: str, *, remedies: Sequence[str] = ()) -> Self:
        """What happened, as text."""
        found = cls(text, remedies=remedies)
        found.result = result
        return found


class IncompleteSearch(AsyncDBWarning):
    """A search was cut before it had tried every schedule."""


class ReadAnomaly(AsyncDBWarning):
    """An actor was told what no serial order tells; what was written is right."""


class ReductionUnsound(AsyncDBError):
    """The self-check has found an outcome that the reduced search had missed."""

    @classmethod
    def of(cls, missed: Sequence[str]) -> Self:
        """These outcomes."""
        return cls(
            f"the reduced search has missed {len(missed)} outcomes",
            tried=missed,
            remedies=["report it, with the actors and their statements"],
        )


class StartLost(AsyncDBError):
    """The state from which every schedule starts could not be put back."""

    @classmethod
    def triggers(cls, tables: Sequence[str]) -> Self:
        """Triggers write again whenever rows are put back."""
        return cls(
            f"rows could not be put back between schedules: {', '.join(tables)}",
            tried=["they were written three times, and triggers changed them again"],
            remedies=["let the test use a role that may switch triggers off"],
        )
