"""What is likely to be wrong with a schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import (
    Column,
    Double,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    Numeric,
    String,
    Table,
    UniqueConstraint,
    create_engine,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from pytest_asyncdb.errors import SettingRefused
from pytest_asyncdb.values import lint_schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection


@pytest.fixture
def connection() -> Iterator[Connection]:
    """A database of its own."""
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def _names(connection: Connection, *items: Any, ignore: Sequence[str] = ()) -> set[str]:
    """Findings of a table `t` of these columns and constraints, and its parent `p`."""
    metadata = MetaData()
    Table("p", metadata, Column("id", Integer, primary_key=True), Column("b", Integer))
    Table("t", metadata, Column("id", Integer, primary_key=True), *items)
    metadata.create_all(connection)
    return {each.name for each in lint_schema(connection, ignore=ignore)}


def _parent(**options: Any) -> Column[Any]:
    return Column("p_id", Integer, ForeignKey("p.id"), **options)


@pytest.mark.parametrize(
    "items",
    [
        [_parent()],
        [_parent(), Column("a", Integer), Index("ix", "a", "p_id")],
        [_parent(), Index("ix", "p_id", sqlite_where=text("p_id > 5"))],
    ],
    ids=["none", "second", "partial"],
)
def test_a_foreign_key_without_an_index(
    connection: Connection, items: list[Any]
) -> None:
    """An index that does not begin with it, or not of all rows, is none."""
    assert {"unindexed-foreign-key:t.p_id"} == _names(connection, *items)


@pytest.mark.parametrize(
    "items",
    [
        [_parent(index=True)],
        [_parent(unique=True)],
        [_parent(), Column("a", Integer), UniqueConstraint("p_id", "a")],
        [_parent(), Index("ix", "p_id", sqlite_where=text("p_id IS NOT NULL"))],
    ],
    ids=["index", "unique", "first", "not null"],
)
def test_a_foreign_key_with_an_index(connection: Connection, items: list[Any]) -> None:
    """One that begins with it will do, and one without the rows that have no parent."""
    assert set() == _names(connection, *items)


def test_a_foreign_key_of_two_columns(connection: Connection) -> None:
    """Is found by an index of both, in any order."""
    key = ForeignKeyConstraint(["x", "y"], ["p.id", "p.b"])
    columns = [Column("x", Integer), Column("y", Integer)]

    assert set() == _names(connection, *columns, key, Index("ix", "y", "x"))


def test_a_foreign_key_that_is_the_primary_key(connection: Connection) -> None:
    """Has its index."""
    metadata = MetaData()
    Table("p", metadata, Column("id", Integer, primary_key=True))
    Table("t", metadata, Column("id", ForeignKey("p.id"), primary_key=True))
    metadata.create_all(connection)

    assert [] == lint_schema(connection)


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([Index("ix1", "a"), Index("ix2", "a")], {"duplicate-index:t.ix1"}),
        ([Index("ix", "a"), UniqueConstraint("a")], {"duplicate-index:t.ix"}),
        ([Index("ix", "id")], {"duplicate-index:t.ix"}),
        ([Index("ix1", "a"), Index("ix2", "a", "b")], {"redundant-index:t.ix1"}),
        ([Index("ix1", "a", unique=True), Index("ix2", "a", "b")], set()),
        ([Index("ix1", "a"), Index("ix2", "b", "a")], set()),
        ([Index("ix1", "a"), Index("ix2", "a", sqlite_where=text("b > 1"))], set()),
        ([Index("ix1", "a"), Index("ix2", text("lower(a)"))], set()),
    ],
)
def test_indexes_that_another_stands_in_for(
    connection: Connection, items: list[Any], expected: set[str]
) -> None:
    """One that keeps rows unique is needed, and so is one of other rows."""
    columns = [Column("a", String(9)), Column("b", Integer)]

    assert expected == _names(connection, *columns, *items)


@pytest.mark.parametrize("kind", [Float(), Double()])
def test_money_in_a_float(connection: Connection, kind: Any) -> None:
    """Is known by its name; a rate of it is no money."""
    columns = [Column(each, kind) for each in ("price", "total_amount", "tax_rate")]
    expected = {"float-money:t.price", "float-money:t.total_amount"}

    assert expected == _names(connection, *columns)
    assert set() == {
        each.name for each in lint_schema(connection, ignore=["float-money"])
    }


def test_money_in_a_numeric(connection: Connection) -> None:
    """Is exact, and so are cents."""
    columns = [Column("price", Numeric(10, 2)), Column("amount", Integer)]

    assert set() == _names(connection, *columns)


def test_a_version_that_python_compares(connection: Connection) -> None:
    """A column that says it is one has to be the mapper's."""

    class Base(DeclarativeBase):
        """Models of this test."""

    class Copied(Base):
        __tablename__ = "copied"
        id: Mapped[int] = mapped_column(primary_key=True)
        version: Mapped[int] = mapped_column(default=1)

    class Right(Base):
        __tablename__ = "right"
        id: Mapped[int] = mapped_column(primary_key=True)
        version: Mapped[int] = mapped_column()
        __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 - SQLAlchemy's

    class Words(Base):
        __tablename__ = "words"
        id: Mapped[int] = mapped_column(primary_key=True)
        version: Mapped[str] = mapped_column(String(9))

    Base.metadata.create_all(connection)
    found = lint_schema(connection)
    Base.registry.dispose()

    assert ["version-in-python:Copied.version"] == [each.name for each in found]
    assert "version_id_col" in str(found[0])


def test_a_rule_that_there_is_not(connection: Connection) -> None:
    """Is refused at the call, with the rules."""
    with pytest.raises(SettingRefused, match="unindexed-foreign-key"):
        lint_schema(connection, ignore=["unindexed:t.p_id"])
