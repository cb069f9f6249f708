"""JSON Web Tokens: who somebody is, for half an hour."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import jwt

if TYPE_CHECKING:
    from auth.settings import Settings

ALGORITHM = "HS256"


def issue(user_id: int, settings: Settings, now: datetime | None = None) -> str:
    """A token for the user, which ends its lifetime after now."""
    now = now or datetime.now(UTC)
    claims = {"sub": str(user_id), "iat": now, "exp": now + settings.lifetime}
    return jwt.encode(claims, settings.secret, ALGORITHM)


def read(token: str, settings: Settings) -> int | None:
    """The user whom it was issued for; None if it is expired, forged or no token."""
    try:
        claims = jwt.decode(
            token,
            settings.secret,
            algorithms=[ALGORITHM],
            options={"require": ["exp", "sub"]},
        )
        return int(claims["sub"])
    except (jwt.InvalidTokenError, ValueError):
        return None
