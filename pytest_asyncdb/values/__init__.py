"""What a column or a model accepts, and what is wrong with it, read from it alone."""

from pytest_asyncdb.values._candidates import passing
from pytest_asyncdb.values._checks import Check, read_check
from pytest_asyncdb.values._columns import checks_on, domain_of, text_of
from pytest_asyncdb.values._domains import (
    Array,
    Choices,
    Domain,
    Flags,
    Grid,
    Json,
    Octets,
    Text,
)
from pytest_asyncdb.values._lint import (
    LINT_RULES,
    SchemaProblem,
    check_ignored,
    lint_schema,
)
from pytest_asyncdb.values._models import Attribute, Key, ModelFacts, Parent, facts_of

__all__ = [
    "LINT_RULES",
    "Array",
    "Attribute",
    "Check",
    "Choices",
    "Domain",
    "Flags",
    "Grid",
    "Json",
    "Key",
    "ModelFacts",
    "Octets",
    "Parent",
    "SchemaProblem",
    "Text",
    "check_ignored",
    "checks_on",
    "domain_of",
    "facts_of",
    "lint_schema",
    "passing",
    "read_check",
    "text_of",
]
