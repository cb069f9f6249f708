"""Accounts over HTTP."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException
from fastapi.security import OAuth2PasswordRequestForm
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from auth import tokens
from auth.accounts import Accounts, EmailTaken
from auth.dependencies import (
    ActiveUser,
    SessionDependency,
    SettingsDependency,
    unauthorized,
)

router = APIRouter()

Email = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, to_lower=True, pattern=r"^\S+@\S+$", max_length=200
    ),
]
LoginForm = Annotated[OAuth2PasswordRequestForm, Depends()]
Password = Annotated[str, Field(min_length=8, max_length=200)]


class NewUser(BaseModel):
    """Somebody who wants an account."""

    email: Email
    password: Password


class PublicUser(BaseModel):
    """What an account says about itself; its hash is no part of it."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    email: str
    is_active: bool


class Token(BaseModel):
    """What a login gives, in the words of OAuth2."""

    access_token: str
    token_type: str = "bearer"  # noqa: S105


@router.post("/users", status_code=201)
async def register(new: NewUser, session: SessionDependency) -> PublicUser:
    """Make an account."""
    try:
        user = await Accounts(session).register(new.email, new.password)
    except EmailTaken as error:
        raise HTTPException(400, "Email already registered") from error
    return PublicUser.model_validate(user)


@router.post("/token")
async def login(
    form: LoginForm,
    session: SessionDependency,
    settings: SettingsDependency,
) -> Token:
    """A token for an address and its password."""
    email = form.username.strip().lower()
    user = await Accounts(session).login(email, form.password)
    if user is None:
        raise unauthorized("Incorrect email or password")
    if not user.is_active:
        raise HTTPException(403, "Inactive user")
    return Token(access_token=tokens.issue(user.id, settings))


@router.get("/users/me")
async def read_me(user: ActiveUser) -> PublicUser:
    """Who the token is for."""
    return PublicUser.model_validate(user)


@router.delete("/users/me", status_code=204)
async def lock_me(user: ActiveUser) -> None:
    """Lock the account; it can be unlocked by us only."""
    user.is_active = False
