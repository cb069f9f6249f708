"""An application for each test, a client of it, and accounts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import factory
import httpx
import pytest
from argon2 import PasswordHasher

from auth import passwords, tokens
from auth.app import create_app
from auth.models import User
from auth.settings import Settings
from pytest_asyncdb.factories import AsyncModelFactory, register

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastapi import FastAPI

PASSWORD = "correct horse"
# A hash of a millisecond: 25 such tests do not have to take a second of hashing.
cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)

Headers = Callable[[User], dict[str, str]]


@register
class UserFactory(AsyncModelFactory[User]):
    """Accounts whose password is PASSWORD."""

    class Meta:
        model = User

    class Params:
        locked = factory.Trait(is_active=False)

    email = factory.Sequence(lambda n: f"user{n}@auth.example")
    password_hash = factory.LazyFunction(lambda: cheap.hash(PASSWORD))


register(UserFactory, "ann", email="ann@auth.example")


@pytest.fixture(autouse=True)
def hash_cheaply(monkeypatch: pytest.MonkeyPatch) -> None:
    """The application's hashes are as cheap as the factory's."""
    monkeypatch.setattr(passwords, "hasher", cheap)


@pytest.fixture
def settings() -> Settings:
    """The settings of the application, on the database of the run."""
    return Settings.from_environment()


@pytest.fixture
def app(settings: Settings) -> FastAPI:
    """The application as it is deployed: nothing of it is overridden."""
    return create_app(settings)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application."""
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://auth") as client:
        yield client


@pytest.fixture
def headers(settings: Settings) -> Headers:
    """What a request of a user carries."""

    def for_user(user: User) -> dict[str, str]:
        return {"Authorization": f"Bearer {tokens.issue(user.id, settings)}"}

    return for_user
