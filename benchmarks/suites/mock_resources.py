"""pytest-mock-resources: a database for each test, on a server that is there."""

from __future__ import annotations

import os

import pytest
from pytest_mock_resources import PostgresConfig, create_postgres_fixture
from sqlalchemy import make_url

from models import Base

address = make_url(os.environ["BENCHMARK_URL"])
session = create_postgres_fixture(Base, session=True, async_=True)


@pytest.fixture(scope="session")
def pmr_postgres_config() -> PostgresConfig:
    """The server of the benchmark: no container is started."""
    return PostgresConfig(
        host=address.host,
        port=address.port,
        ci_port=address.port,
        username=address.username,
        password=address.password,
        root_database=address.database,
        drivername="postgresql+asyncpg",
    )
