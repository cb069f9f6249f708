"""`check_optimistic_lock`: what passes, and five mistakes, each by its own message."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import ForeignKey, String, select, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import Mapped, mapped_column, relationship
from sqlalchemy.orm.exc import StaleDataError

from pytest_asyncdb.concurrency import check_optimistic_lock
from pytest_asyncdb.errors import CheckFailed, CheckRefused
from tests.concurrency.retries.bank import Base

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncEngine

Sessions = async_sessionmaker[AsyncSession]
each_product = pytest.mark.parametrize("driver", ["asyncpg", "asyncmy", "aiosqlite"])
one_driver = pytest.mark.parametrize("driver", ["aiosqlite"])


class Product(Base):
    """SQLAlchemy counts its versions."""

    __tablename__ = "products"
    id: Mapped[int] = mapped_column(primary_key=True)
    quantity: Mapped[int]
    version: Mapped[int] = mapped_column()
    parts: Mapped[list[Part]] = relationship(back_populates="product")
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 - as it is written


class Part(Base):
    """Of a product."""

    __tablename__ = "parts"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(20))
    product_id: Mapped[int] = mapped_column(ForeignKey("products.id"))
    product: Mapped[Product] = relationship(back_populates="parts")


class Article(Base):
    """Claims to have versions; the application counts them."""

    __tablename__ = "articles"
    id: Mapped[int] = mapped_column(primary_key=True)
    quantity: Mapped[int]
    version: Mapped[int] = mapped_column(default=1)


class _Conflict(Exception):
    """As an HTTP framework has it."""

    status_code = 409


@dataclass
class _Response:
    status_code: int


@pytest.fixture
async def sessions(engine: AsyncEngine) -> Sessions:
    """On a shop of two products and two articles."""
    made = async_sessionmaker(engine)
    async with made.begin() as session:
        session.add_all([kind(quantity=1) for kind in (Product, Article) for _ in "ab"])
    return made


# ---------------------------------------------------------------------------- passes
async def _by_orm(session: AsyncSession, seen: Product, number: int) -> None:
    session.add(seen)
    seen.quantity = 10 * number


async def _by_http(session: AsyncSession, seen: Product, number: int) -> _Response:
    """An endpoint: compares first, and the flush does as well."""
    product = await session.get_one(Product, seen.id)
    if product.version != seen.version:
        return _Response(409)
    product.quantity = 10 * number
    try:
        await session.commit()
    except Exception:  # noqa: BLE001 - any one is a conflict for this endpoint
        await session.rollback()
        return _Response(409)
    return _Response(200)


async def _by_where(session: AsyncSession, seen: Article, number: int) -> None:
    same = (Article.id == seen.id) & (Article.version == seen.version)
    values = {"quantity": 10 * number, "version": seen.version + 1}
    done: Any = await session.execute(update(Article).where(same).values(values))
    if not done.rowcount:
        raise _Conflict


async def _by_lock(session: AsyncSession, seen: Article, number: int) -> None:
    """Whoever comes second reads what the first one has written."""
    query = select(Article).where(Article.id == seen.id).with_for_update()
    article = (await session.scalars(query)).one()
    if article.version != seen.version:
        raise _Conflict
    article.quantity, article.version = 10 * number, article.version + 1


async def _one_by_one(session: AsyncSession, seen: Sequence[Product]) -> None:
    for each in seen:
        await session.delete(each)
        await session.flush()


@pytest.mark.parametrize(
    ("model", "writer"),
    [(Product, _by_orm), (Product, _by_http), (Article, _by_where)],
)
@each_product
async def test_one_writer_wins(sessions: Sessions, model: Any, writer: Any) -> None:
    """By the mapper, by an endpoint's 409, and by a WHERE of the application's own."""
    await check_optimistic_lock(model, update=writer, sessionmaker=sessions)
    async with sessions() as session:
        left = [*(await session.scalars(select(model.quantity)))]

    assert [1, 1] == left


@pytest.mark.parametrize("driver", ["asyncpg", "asyncmy"])
async def test_a_writer_that_waits(sessions: Sessions) -> None:
    """With a lock the second one reads late enough."""
    await check_optimistic_lock(
        Article, update=_by_lock, sessionmaker=sessions, patience=0.1
    )


async def test_rows_that_are_deleted_one_by_one(sessions: Sessions) -> None:
    """On every driver SQLAlchemy sees that one has been updated."""
    await check_optimistic_lock(
        Product, update=_by_orm, delete=_one_by_one, sessionmaker=sessions
    )


# ---------------------------------------------------------------------- the mistakes
async def _in_python(session: AsyncSession, seen: Article, number: int) -> None:
    article = await session.get_one(Article, seen.id)
    if article.version != seen.version:
        raise _Conflict
    article.quantity, article.version = 10 * number, article.version + 1


async def _in_bulk(session: AsyncSession, seen: Product, number: int) -> None:
    rows = update(Product).where(Product.id == seen.id)
    await session.execute(rows.values(quantity=10 * number))


async def _merged(session: AsyncSession, seen: Article, number: int) -> None:
    seen.quantity, seen.version = 10 * number, seen.version + 1
    await session.merge(seen)


async def _reloaded(session: AsyncSession, seen: Product, number: int) -> None:
    product = await session.get_one(Product, seen.id)
    product.quantity = 10 * number


async def _part(session: AsyncSession, seen: Product, number: int) -> None:
    product = await session.get_one(Product, seen.id)
    part = Part(name=f"part {number}")
    part.product = product
    session.add(part)


@pytest.mark.parametrize(
    ("model", "writer", "said"),
    [
        (Article, _in_python, "the version is compared in Python"),
        (Product, _in_bulk, "an UPDATE goes past its version"),
        (Article, _merged, r"nothing compares the version: merge\(\) copies the old"),
        (Product, _reloaded, "the row is loaded again"),
        (Product, _part, "what they changed does not change its version"),
    ],
)
@each_product
async def test_mistakes(sessions: Sessions, model: Any, writer: Any, said: str) -> None:
    """Both writers win; the message says why, and the rows are put back."""
    with pytest.raises(CheckFailed, match=said):
        await check_optimistic_lock(model, update=writer, sessionmaker=sessions)
    async with sessions() as session:
        left = [*(await session.scalars(select(model.quantity)))]

    assert [1, 1] == left


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_two_rows_deleted_in_one_flush(sessions: Sessions, driver: str) -> None:
    """With asyncpg they are not deleted, and nobody is told; psycopg says so."""

    async def both(session: AsyncSession, seen: Sequence[Product]) -> None:
        for each in seen:
            await session.delete(each)

    check = check_optimistic_lock(
        Product, update=_by_orm, delete=both, sessionmaker=sessions
    )
    if driver == "psycopg":
        await check
    else:
        with pytest.raises(CheckFailed, match="were not deleted, and nobody was told"):
            await check


@one_driver
async def test_rows_that_are_deleted_all_the_same(sessions: Sessions) -> None:
    """By their keys: what somebody has written to them is gone."""

    async def by_key(session: AsyncSession, seen: Sequence[Product]) -> None:
        for each in seen:
            await session.delete(await session.get_one(Product, each.id))

    with pytest.raises(CheckFailed, match="rows of an old version were deleted"):
        await check_optimistic_lock(
            Product, update=_by_orm, delete=by_key, sessionmaker=sessions
        )


@one_driver
async def test_a_loser_who_leaves_something_behind(sessions: Sessions) -> None:
    """It has committed half of what it does."""

    async def half(session: AsyncSession, seen: Product, number: int) -> None:
        session.add(Article(quantity=number))
        await session.commit()
        await _by_orm(session, seen, number)

    with pytest.raises(CheckFailed, match="not what it alone makes"):
        await check_optimistic_lock(Product, update=half, sessionmaker=sessions)


@one_driver
async def test_a_conflict_of_the_application_s_own(sessions: Sessions) -> None:
    """By its class, or by a function; without either it is an error like any other."""

    async def own(session: AsyncSession, seen: Product, number: int) -> None:
        product = await session.get_one(Product, seen.id)
        if product.version != seen.version:
            raise KeyError("too late")
        await _by_orm(session, product, number)

    def is_conflict(outcome: object) -> bool:
        return isinstance(outcome, KeyError | StaleDataError)

    await check_optimistic_lock(
        Product, update=own, sessionmaker=sessions, conflict=is_conflict
    )
    with pytest.raises(CheckRefused, match=r"writer 2 has failed.*too late"):
        await check_optimistic_lock(Product, update=own, sessionmaker=sessions)
    with pytest.raises(CheckRefused, match=r"writer 2 has failed.*StaleData"):
        await check_optimistic_lock(
            Product, update=own, sessionmaker=sessions, conflict=KeyError
        )


@one_driver
async def test_what_cannot_be_checked(sessions: Sessions) -> None:
    """No rows, no engine, a writer that fails by itself."""

    async def fails(session: AsyncSession, seen: Product, number: int) -> _Response:
        return _Response(500)

    async def conflicts(session: AsyncSession, seen: Product, number: int) -> None:
        raise _Conflict

    with pytest.raises(CheckRefused, match="needs a row of Part"):
        await check_optimistic_lock(Part, update=_by_orm, sessionmaker=sessions)  # type: ignore[arg-type]
    with pytest.raises(CheckRefused, match="has no engine"):
        await check_optimistic_lock(
            Product, update=_by_orm, sessionmaker=async_sessionmaker()
        )
    with pytest.raises(CheckRefused, match="not because of the other one"):
        await check_optimistic_lock(Product, update=fails, sessionmaker=sessions)
    with pytest.raises(CheckFailed, match="neither was let write"):
        await check_optimistic_lock(Product, update=conflicts, sessionmaker=sessions)
