"""Two engines, and sessions that choose between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import UpdateBase

from tenants.models import STANDS_FOR
from tenants.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.orm import SessionTransaction

_settings = Settings.from_environment()
primary = create_async_engine(_settings.primary_url)
replica = create_async_engine(_settings.replica_url)


class Routed(Session):
    """Reads from the replica, until it has written: then it reads what it wrote."""

    def get_bind(
        self, mapper: object = None, *, clause: object = None, **options: object
    ) -> Engine:
        """The engine for a statement."""
        del mapper, options
        if self._flushing or isinstance(clause, UpdateBase):
            self.info["wrote"] = True
        engine: Engine = self.info["primary" if self.info["wrote"] else "replica"]
        return engine


@event.listens_for(Routed, "after_transaction_end")
def follow_again(session: Session, transaction: SessionTransaction) -> None:
    """With the end of the transaction the replica may be asked again."""
    if transaction.parent is None:
        session.info["wrote"] = False


def sessions(schema: str | None = None) -> async_sessionmaker[AsyncSession]:
    """Sessions whose tables are in a tenant's schema; or of what all share."""
    mapped = {STANDS_FOR: schema} if schema is not None else {}
    engines = {
        name: engine.execution_options(schema_translate_map=mapped).sync_engine
        for name, engine in (("primary", primary), ("replica", replica))
    }
    return async_sessionmaker(
        sync_session_class=Routed,
        expire_on_commit=False,
        info={**engines, "wrote": False},
    )
