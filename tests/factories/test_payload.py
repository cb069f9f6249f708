"""What a client would send: `F.payload()`."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from decimal import Decimal
from typing import Any

import factory
import pytest
from pydantic import BaseModel, Field, ValidationError

from pytest_asyncdb.errors import FactoryRefused
from tests.factories.library import AuthorFactory, BookFactory, Role


class AuthorIn(BaseModel):
    """What an API takes for an author."""

    name: str
    role: Role = Role.USER


class BookIn(BaseModel):
    """What it takes for a book."""

    title: str
    price: Decimal = Field(alias="cost", validation_alias="price")
    author: AuthorIn


def test_columns_as_json() -> None:
    """Those that are declared, with sequences as in objects; no relationships."""
    payloads = [BookFactory.payload(), BookFactory.payload(title="Given")]

    assert [
        {"title": "Volume 0", "price": "9.99"},
        {"title": "Given", "price": "9.99"},
    ] == payloads


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Role.ADMIN, "admin"),
        (dt.date(2026, 1, 2), "2026-01-02"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ({"a": [Decimal("1.5")]}, {"a": ["1.5"]}),
        (None, None),
        (factory.LazyAttribute(lambda o: len(o.email)), 16),
    ],
)
def test_values_as_json(value: Any, expected: Any) -> None:
    """Whatever a column holds that JSON has a way to write."""
    sent = AuthorFactory.payload(nickname=value)

    assert expected == json.loads(json.dumps(sent))["nickname"]


def test_a_schema_of_pydantic() -> None:
    """Picks its fields, also of sub-factories, by its aliases."""
    sent = BookFactory.payload(BookIn, author__name="Eve", title="By schema")

    assert {
        "title": "By schema",
        "cost": "9.99",
        "author": {"name": "Eve", "role": "user"},
    } == sent


def test_a_schema_that_is_not_met() -> None:
    """Pydantic's own error says why."""
    with pytest.raises(ValidationError, match="title"):
        BookFactory.payload(BookIn, title=None)


def test_no_hook_runs() -> None:
    """Nothing is made that a hook could see."""

    class Hooked(AuthorFactory):
        @factory.post_generation
        def fail(self: Any, *_: object, **__: object) -> None:
            raise AssertionError

    assert {"name", "email"} == {*Hooked.payload()}


def test_what_json_does_not_have() -> None:
    """Is refused, with the attribute; so is a name that nobody knows."""
    with pytest.raises(FactoryRefused, match="name is of type bytes"):
        AuthorFactory.payload(name=b"raw")
    with pytest.raises(FactoryRefused, match="knows no attribute 'nme'"):
        AuthorFactory.payload(nme="x")
