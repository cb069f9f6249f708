"""Sets of values: how many there are, the n-th one, and one at random."""

from __future__ import annotations

import abc
import string
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_asyncdb.errors import ValuesExhausted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

__all__ = ["Array", "Choices", "Domain", "Flags", "Grid", "Json", "Octets", "Text"]

_DIGITS = string.digits + string.ascii_lowercase
_AT_RANDOM = 1000
_ROOM = 10
_PLACES = 4


class Domain(abc.ABC):
    """The values that a column accepts, apart from NULL.

    `name` is the column's, for errors and for texts that somebody will read.
    """

    name: str

    @property
    @abc.abstractmethod
    def size(self) -> int | None:
        """How many different values there are; None for more than anybody needs."""

    @abc.abstractmethod
    def _at(self, number: int) -> Any: ...

    def at(self, number: int) -> Any:
        """The value of that number, from 0 on; different for each number.

        Raises `ValuesExhausted` where there are not so many.
        """
        if self.size is not None and number >= self.size:
            raise ValuesExhausted.of(self.name, self.size)
        return self._at(number)

    def draw(self, random: Random) -> Any:
        """One of the first values, at random."""
        count = _AT_RANDOM if self.size is None else min(self.size, _AT_RANDOM)
        if not count:
            raise ValuesExhausted.of(self.name, 0)
        return self._at(random.randrange(count))


@dataclass(frozen=True)
class Choices(Domain):
    """A few values that are known."""

    name: str
    values: Sequence[Any]

    @property
    def size(self) -> int:
        return len(self.values)

    def _at(self, number: int) -> Any:
        return self.values[number]


class Flags(Choices):
    """False and true."""


@dataclass(frozen=True)
class Grid(Domain):
    """Values at even distances: numbers, dates, times.

    `make` makes the value of an integer from `low` to `high`, both of which are in.
    """

    name: str
    low: int
    high: int
    make: Callable[[int], Any] = field(compare=False)
    first: int = 1
    """Where the values begin that are given, if it is between the bounds."""

    @property
    def size(self) -> int:
        return max(self.high - self.low + 1, 0)

    def _at(self, number: int) -> Any:
        """Upwards from the first one to the highest, then downwards from it."""
        first = min(max(self.low, self.first), self.high)
        upwards = self.high - first + 1
        place = first + number if number < upwards else first - 1 - (number - upwards)
        return self.make(place)


@dataclass(frozen=True)
class Text(Domain):
    """Texts of some length, each with its number at the end."""

    name: str
    shortest: int = 0
    longest: int | None = None
    suffix: str = ""

    @property
    def size(self) -> int | None:
        if self._is_roomy:
            return None
        count: int = len(_DIGITS) ** self._places
        return count

    @property
    def _label(self) -> str:
        return "".join(filter(str.isalpha, self.name))

    @property
    def _is_roomy(self) -> bool:
        fixed = len(self._label) + len(self.suffix)
        return self.longest is None or fixed + _ROOM <= self.longest

    @property
    def _places(self) -> int:
        """How many digits each text has, where there is little room for them."""
        return min(self.longest or 0, _PLACES)

    def _at(self, number: int) -> str:
        if self._is_roomy:
            plain = f"{self._label}{number}{self.suffix}"
            missing = "x" * (self.shortest - len(plain))
            return f"{self._label}{missing}{number}{self.suffix}"
        digits = "".join(
            _DIGITS[number // len(_DIGITS) ** place % len(_DIGITS)]
            for place in reversed(range(self._places))
        )
        label = self._label[: (self.longest or 0) - self._places]
        return label.ljust(self.shortest - self._places, "x") + digits


@dataclass(frozen=True)
class Octets(Domain):
    """Strings of octets."""

    name: str
    longest: int | None = None

    @property
    def size(self) -> int | None:
        if self.longest is None:
            return None
        count: int = 256**self.longest
        return count

    def _at(self, number: int) -> bytes:
        return number.to_bytes(max((number.bit_length() + 7) // 8, 1))


@dataclass(frozen=True)
class Json(Domain):
    """Documents, each with its number in it."""

    name: str

    @property
    def size(self) -> None:
        return None

    def _at(self, number: int) -> dict[str, int]:
        return {self.name: number}


@dataclass(frozen=True)
class Array(Domain):
    """Lists of one item."""

    name: str
    item: Domain

    @property
    def size(self) -> int | None:
        return self.item.size

    def _at(self, number: int) -> list[Any]:
        return [self.item.at(number)]
