"""What routes ask for: a session, and who is asking."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, HTTPException, Request
from fastapi.security import OAuth2PasswordBearer
from sqlalchemy.ext.asyncio import AsyncSession

from auth import tokens
from auth.accounts import Accounts
from auth.models import User
from auth.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

bearer = OAuth2PasswordBearer(tokenUrl="token")


async def get_session(request: Request) -> AsyncIterator[AsyncSession]:
    """A session that commits when the request succeeds and rolls back when not."""
    async with request.app.state.sessions.begin() as session:
        yield session


def get_settings(request: Request) -> Settings:
    """The settings of the application."""
    settings: Settings = request.app.state.settings
    return settings


# The commit comes before the answer.
SessionDependency = Annotated[AsyncSession, Depends(get_session, scope="function")]
SettingsDependency = Annotated[Settings, Depends(get_settings)]


def unauthorized(detail: str) -> HTTPException:
    """401, and how to do better."""
    return HTTPException(401, detail, headers={"WWW-Authenticate": "Bearer"})


async def current_user(
    token: Annotated[str, Depends(bearer)],
    session: SessionDependency,
    settings: SettingsDependency,
) -> User:
    """The user of the token."""
    user_id = tokens.read(token, settings)
    user = None if user_id is None else await Accounts(session).by_id(user_id)
    if user is None:
        raise unauthorized("Could not validate credentials")
    return user


async def active_user(user: Annotated[User, Depends(current_user)]) -> User:
    """The user of the token, if he has not been locked out."""
    if not user.is_active:
        raise HTTPException(403, "Inactive user")
    return user


ActiveUser = Annotated[User, Depends(active_user)]
