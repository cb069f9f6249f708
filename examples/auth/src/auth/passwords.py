"""Passwords: hashed by argon2, in a thread, as that is slow on purpose."""

from __future__ import annotations

import asyncio

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

hasher = PasswordHasher()


async def hashed(password: str) -> str:
    """What is stored of a password."""
    return await asyncio.to_thread(hasher.hash, password)


async def matches(password: str, password_hash: str) -> bool:
    """Whether the hash is that of the password."""
    try:
        return await asyncio.to_thread(hasher.verify, password_hash, password)
    except VerifyMismatchError:
        return False


def is_outdated(password_hash: str) -> bool:
    """Whether it was made with parameters that are no longer ours."""
    return hasher.check_needs_rehash(password_hash)
