"""`python -m pytest_asyncdb`."""

from __future__ import annotations

import sys

from pytest_asyncdb.command import main

sys.exit(main())
