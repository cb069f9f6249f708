"""The shop over HTTP, and what is in the database then."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from shop.models import Order, Product

if TYPE_CHECKING:
    from fastapi.testclient import TestClient
    from sqlalchemy.orm import Session

LAMP = {"name": "lamp", "price": "9.90", "stock": 10}


def _order(client: TestClient, quantity: int, name: str = "lamp") -> int:
    wanted = {"customer": "ann", "name": name, "quantity": quantity}
    return client.post("/orders", json=wanted).status_code


@pytest.mark.parametrize("quantity", [1, 2, 5, 9, 10])
def test_an_order_is_taken_from_the_stock(
    client: TestClient, db_sync_session: Session, quantity: int
) -> None:
    client.post("/products", json=LAMP)

    assert 201 == _order(client, quantity)
    assert [10 - quantity] == list(db_sync_session.scalars(select(Product.stock)))


@pytest.mark.parametrize("quantity", [11, 100])
def test_more_than_there_is_is_a_conflict(
    client: TestClient, db_sync_session: Session, quantity: int
) -> None:
    client.post("/products", json=LAMP)

    assert 409 == _order(client, quantity)
    assert [] == list(db_sync_session.scalars(select(Order.id)))


def test_a_name_is_taken_once(client: TestClient, db_sync_session: Session) -> None:
    codes = [client.post("/products", json=LAMP).status_code for _ in range(2)]

    assert [201, 409] == codes
    assert ["lamp"] == list(db_sync_session.scalars(select(Product.name)))


def test_what_is_not_sold_is_not_found(client: TestClient) -> None:
    assert 404 == _order(client, 1)


def test_what_sells_best_comes_first(client: TestClient) -> None:
    for name, quantity in (("lamp", 1), ("chair", 3), ("table", 2)):
        client.post("/products", json={**LAMP, "name": name})
        _order(client, quantity, name)

    assert ["chair", "table"] == client.get("/best-sellers?count=2").json()
