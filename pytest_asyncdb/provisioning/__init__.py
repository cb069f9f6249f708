"""Where databases come from, and the life of a database in a run."""

from __future__ import annotations

from pytest_asyncdb.provisioning._container import sweep_containers
from pytest_asyncdb.provisioning._database import Database
from pytest_asyncdb.provisioning._guard import is_unguarded, unguarded
from pytest_asyncdb.provisioning._run import Run
from pytest_asyncdb.provisioning._sources import probe, source_names
from pytest_asyncdb.provisioning._stored import Template
from pytest_asyncdb.provisioning._sweep import sweep

__all__ = [
    "Database",
    "Run",
    "Template",
    "is_unguarded",
    "probe",
    "source_names",
    "sweep",
    "sweep_containers",
    "unguarded",
]
