"""Registration and login. Nothing here commits: that is the request's business."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from auth.models import User
from auth.passwords import hashed, is_outdated, matches

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession


class EmailTaken(Exception):
    """Somebody has registered that address."""


class Accounts:
    """The accounts that a session sees."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def by_id(self, user_id: int) -> User | None:
        """The account of that key."""
        return await self.session.get(User, user_id)

    async def by_email(self, email: str) -> User | None:
        """The account of that address."""
        found = await self.session.scalars(select(User).where(User.email == email))
        return found.one_or_none()

    async def register(self, email: str, password: str) -> User:
        """A new account; raises EmailTaken.

        The look spares a hash. It proves nothing: while that is computed another
        request may insert the address, which only the constraint can refuse.
        """
        if await self.by_email(email) is not None:
            raise EmailTaken(email)
        user = User(email=email, password_hash=await hashed(password))
        self.session.add(user)
        try:
            await self.session.flush()
        except IntegrityError as error:
            raise EmailTaken(email) from error
        return user

    async def login(self, email: str, password: str) -> User | None:
        """The account, if that is its password."""
        user = await self.by_email(email)
        if user is None:
            await hashed(password)  # so that it takes as long as for an account
            return None
        if not await matches(password, user.password_hash):
            return None
        if is_outdated(user.password_hash):
            user.password_hash = await hashed(password)
        return user
