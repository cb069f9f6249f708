"""The hosts of a URL that names several, in the order in which a worker tries them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sqlalchemy import URL

__all__ = ["nodes_for"]

_WORKER: Final = re.compile(r"gw(\d+)")


def nodes_for(worker: str, url: URL) -> list[URL]:
    """A URL for each of its hosts, beginning with the worker's own: they take turns.

    Several hosts are given as SQLAlchemy has it for PostgreSQL, `?host=a:3306&host=b`.
    """
    hosts = url.query.get("host", ())
    hosts = (hosts,) if isinstance(hosts, str) else hosts
    if any(host.startswith("/") for host in hosts):  # directories of sockets
        return [url]
    rest = url.difference_update_query(["host"])
    nodes = [*([rest] if url.host else []), *(_at(rest, host) for host in hosts)]
    match = _WORKER.fullmatch(worker)
    first = int(match[1]) % len(nodes) if match and nodes else 0
    return [*nodes[first:], *nodes[:first]] or [url]


def _at(url: URL, host: str) -> URL:
    name, colon, port = host.rpartition(":")
    if not colon or port.endswith("]"):
        return url.set(host=host.strip("[]"))
    return url.set(host=name.strip("[]"), port=int(port))
