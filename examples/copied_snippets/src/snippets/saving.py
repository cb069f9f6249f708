"""Changes that are not saved, or that undo somebody else's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import update
from sqlalchemy.orm.exc import StaleDataError

from snippets.models import CuredPage, Customer, TaughtPage

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession


class Conflict(Exception):
    """Somebody else has saved the page meanwhile."""


async def taught_visit(session: AsyncSession, customer_id: int) -> None:
    """Read, add one, write."""
    customer = await session.get_one(Customer, customer_id)
    customer.visits += 1
    await session.commit()


async def cured_visit(session: AsyncSession, customer_id: int) -> None:
    """Let the database add."""
    await session.execute(
        update(Customer)
        .where(Customer.id == customer_id)
        .values(visits=Customer.visits + 1)
    )
    await session.commit()


async def taught_save(session: AsyncSession, page: TaughtPage, text: str) -> None:
    """Compare the version with the one in the database, then write."""
    found = await session.get_one(TaughtPage, page.id)
    if found.version != page.version:
        raise Conflict
    found.text, found.version = text, found.version + 1
    await session.commit()


async def cured_save(session: AsyncSession, page: CuredPage, text: str) -> None:
    """Write where the version is still the one that was read: `version_id_col`."""
    page.text = text
    try:
        await session.commit()
    except StaleDataError as error:
        raise Conflict from error


async def taught_theme(session: AsyncSession, customer_id: int) -> None:
    """Change a key of a JSON column."""
    customer = await session.get_one(Customer, customer_id)
    customer.taught_settings["theme"] = "dark"
    await session.commit()


async def cured_theme(session: AsyncSession, customer_id: int) -> None:
    """The same, in a column that notices: MutableDict."""
    customer = await session.get_one(Customer, customer_id)
    customer.cured_settings["theme"] = "dark"
    await session.commit()


async def taught_rename(session: AsyncSession, customer: Customer, name: str) -> str:
    """A bulk UPDATE that tells the session nothing."""
    await session.execute(
        update(Customer)
        .where(Customer.id == customer.id)
        .values(name=name)
        .execution_options(synchronize_session=False)
    )
    return customer.name


async def cured_rename(session: AsyncSession, customer: Customer, name: str) -> str:
    """One whose values the session takes over."""
    await session.execute(
        update(Customer)
        .where(Customer.id == customer.id)
        .values(name=name)
        .execution_options(synchronize_session="evaluate")
    )
    return customer.name
