"""What SQL ran: recording, budgets, loads in a loop, and plans."""

from __future__ import annotations

from pytest_asyncdb.statements._answers import answer
from pytest_asyncdb.statements._budget import Expectation
from pytest_asyncdb.statements._clues import Clues
from pytest_asyncdb.statements._loops import Loop
from pytest_asyncdb.statements._plans import Plan, Plans
from pytest_asyncdb.statements._recorder import Recorder, record
from pytest_asyncdb.statements._statement import Line, Statement

__all__ = [
    "Clues",
    "Expectation",
    "Line",
    "Loop",
    "Plan",
    "Plans",
    "Recorder",
    "Statement",
    "answer",
    "record",
]
