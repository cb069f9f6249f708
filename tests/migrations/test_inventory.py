"""The example with fourteen revisions: sound as it is, and with one flaw at a time."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from pytest_asyncdb.migrations import Runner
from tests.migrations.conftest import TARGETS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import MetaData

    from tests.migrations.conftest import Databases

EXAMPLE: Final = Path(__file__).parents[2] / "examples" / "inventory"
ALL: Final = ("sqlite", "postgresql", "mariadb")
PG: Final = ("postgresql",)


@dataclass(frozen=True)
class Flaw:
    """A change of one file, where it has to be found, and with which words.

    One that needs nothing of a product's own runs on PostgreSQL alone, to save time.
    """

    file: str
    old: str
    new: str
    place: str
    words: str
    products: tuple[str, ...] = PG
    beside: str = "base"
    """Where else it shows, besides in the models."""


FLAWS: Final = {
    "the type stays": Flaw(
        "versions/0002_products.py",
        "    KIND.drop(op.get_bind(), checkfirst=False)\n",
        "",
        "0002",
        "downgrade() of 0002 lacks: DROP TYPE public.product_kind",
    ),
    "the index stays": Flaw(
        "versions/0003_find_products.py",
        '    op.drop_index("ix_products_name", "products")\n',
        "",
        "0003",
        "downgrade() of 0003 lacks: DROP INDEX",
        ALL,
    ),
    "the downgrade is empty": Flaw(
        "versions/0005_stock.py",
        'op.drop_table("stock")',
        "pass",
        "0005",
        "downgrade() of 0005 (Stock.) does nothing",
        ALL,
    ),
    "the constraint is forgotten": Flaw(
        "versions/0005_stock.py",
        '            ondelete="CASCADE",\n',
        "",
        "models",
        "~ constraint {}stock.fk_stock_product_id: definition",
    ),
    "the column may be null": Flaw(
        "versions/0008_labels_of_products.py",
        "existing_type=sa.String(110), nullable=False",
        "existing_type=sa.String(110), nullable=True",
        "models",
        "column {}products.label",
    ),
    "the type is not put back": Flaw(
        "versions/0009_addresses_of_suppliers.py",
        "            type_=sa.String(60),",
        "            type_=sa.String(100),",
        "0009",
        "column {}suppliers.name",
    ),
    "the downgrade is broken": Flaw(
        "versions/0009_addresses_of_suppliers.py",
        'batch.drop_column("email")',
        'batch.drop_column("mail")',
        "0009",
        "downgrade() of 0009 raised",
        ALL,
    ),
    "the schema stays": Flaw(
        "versions/0010_audit.py",
        '        op.execute("DROP SCHEMA audit")',
        "        pass",
        "0010",
        "downgrade() of 0010 lacks: DROP SCHEMA audit",
    ),
    "the view stays": Flaw(
        "versions/0011_value_of_the_stock.py",
        'op.execute("DROP VIEW stock_value")',
        'op.execute("SELECT 1")',
        "0011",
        "downgrade() of 0011 lacks: DROP VIEW {}stock_value",
        ALL,
    ),
    "the function stays": Flaw(
        "versions/0012_note_every_change_of_the_stock.py",
        '        op.execute("DROP FUNCTION note_change()")\n',
        "",
        "0012",
        "downgrade() of 0012 lacks: DROP FUNCTION public.note_change()",
    ),
    "a value is missing": Flaw(
        "versions/0013_orders.py",
        'sa.Enum("open", "sent", "paid", name',
        'sa.Enum("open", "sent", name',
        "models",
        "'open', 'sent', 'paid'",
    ),
    "the upgrade is broken": Flaw(
        "versions/0013_orders.py",
        '["customers.id"], name',
        '["customer.id"], name',
        "0013",
        "upgrade() of 0013 raised",
    ),
    "another type": Flaw(
        "versions/0014_notes_of_orders.py",
        "sa.Text",
        "sa.String(500)",
        "models",
        "column {}orders.note",
    ),
    "two heads": Flaw(
        "versions/0014_notes_of_orders.py",
        'down_revision = "0013"',
        'down_revision = "0012"',
        "heads",
        "there are 2 heads: 0013 (Orders.), 0014 (Notes of orders.)",
        beside="0014",
    ),
}


@dataclass
class Inventory:
    """A copy of the example, on a database."""

    path: Path
    runner: Runner

    @property
    def metadata(self) -> MetaData:
        """Of its models."""
        found: MetaData = importlib.import_module("inventory.models").Base.metadata
        return found

    def findings(self) -> dict[str, str]:
        """What is found, by where: a revision, the models, the heads, base."""
        report = self.runner.report()
        found = {
            name: "\n".join(each.failures) for name, each in report.results.items()
        }
        found["base"] = "\n".join(each.text for each in report.base)
        found["heads"] = "\n".join(self.runner.wrong_heads())
        if report.head is not None:
            self.runner.reset()
            found["models"] = "\n".join(self.runner.compare_models(self.metadata))
        return {place: text for place, text in found.items() if text}


@pytest.fixture(params=TARGETS)
def inventory(
    request: pytest.FixtureRequest,
    databases: Databases,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Inventory]:
    """The example on each product."""
    database = databases.empty(request.param)
    path = tmp_path / "inventory"
    shutil.copytree(EXAMPLE, path, ignore=shutil.ignore_patterns("__pycache__"))
    url = database.url.render_as_string(hide_password=False)
    monkeypatch.setenv("INVENTORY_DATABASE_URL", url)
    monkeypatch.syspath_prepend(str(path))
    runner = Runner("alembic.ini", database.url, root=path, reset=database.replace)
    yield Inventory(path, runner)
    for name in [each for each in sys.modules if each.partition(".")[0] == "inventory"]:
        del sys.modules[name]


def test_it_is_sound(inventory: Inventory) -> None:
    """Up, down and up again, base, head, the models, and what Alembic renders."""
    assert {} == inventory.findings()
    assert 14 == len(inventory.runner.revisions)
    assert [] == inventory.runner.unknown_tables(inventory.metadata)


@pytest.mark.parametrize("name", FLAWS)
def test_a_flaw_is_found_where_it_is(inventory: Inventory, name: str) -> None:
    """At its revision, with the words that help."""
    flaw, product = FLAWS[name], inventory.runner.url.get_backend_name()
    if product not in flaw.products:
        pytest.skip(f"no such thing on {product}")
    file = inventory.path / "migrations" / flaw.file
    source = file.read_text()
    assert flaw.old in source
    file.write_text(source.replace(flaw.old, flaw.new))
    found = inventory.findings()
    words = flaw.words.format("public." if product == "postgresql" else "")

    assert words in found[flaw.place]
    assert set(found) <= {flaw.place, flaw.beside, "models"}


def test_a_model_that_env_py_does_not_import_is_named(inventory: Inventory) -> None:
    """Autogenerate would drop its table."""
    env = inventory.path / "migrations" / "env.py"
    env.write_text(env.read_text().replace("inventory.models", "inventory.fewer"))
    fewer = "from sqlalchemy import MetaData\nclass Base:\n    metadata = MetaData()\n"
    (inventory.path / "inventory" / "fewer.py").write_text(fewer)
    unknown = inventory.runner.unknown_tables(inventory.metadata)

    assert "table customers is not in its target_metadata" == unknown[1]
    assert 7 == len(unknown)


@pytest.mark.parametrize("word", ["sqlite", "postgresql", "mariadb"])
def test_its_own_suite_passes(word: str) -> None:
    """As a user would run it."""
    environment = {key: value for key, value in os.environ.items() if key != "ASYNCDB"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", f"--asyncdb={word}"],
        cwd=EXAMPLE,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    sys.stdout.write(done.stdout + done.stderr)
    if "what helps" in done.stdout and "cannot be had" in done.stdout:
        pytest.skip(f"{word} cannot be had")

    assert 0 == done.returncode, done.stdout
    assert "14 revisions on" in done.stdout
