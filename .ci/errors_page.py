"""Write docs/errors.md from the error classes: `make errors`."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_asyncdb import errors

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE: Final = Path(__file__).parents[1] / "docs" / "errors.md"
HEAD: Final = """\
# Errors

Every error and every warning of the package, with the texts that it has and what helps;
`…` stands for what the text names. All errors derive from `AsyncDBError`, with the
attributes `cause`, `tried` and `remedies`; all warnings from `AsyncDBWarning`, which is
a `UserWarning`. Each is public in `pytest_asyncdb`.

What to do about the most frequent ones, with examples, stands in
[Troubleshooting](troubleshooting.md). This page is made from the classes themselves.
"""
PARTS: Final = [
    importlib.import_module(f"{errors.__name__}.{found.name}")
    for found in pkgutil.iter_modules(errors.__path__)
]
CONSTANTS: Final = {
    name: value
    for part in PARTS
    for name, value in vars(part).items()
    if name.isupper()
}


def page() -> str:
    """The page, as Markdown."""
    classes = [
        node
        for part in PARTS
        for node in ast.parse(inspect.getsource(part)).body
        if isinstance(node, ast.ClassDef)
    ]
    ordered = sorted(classes, key=lambda node: node.name)
    return "\n".join([HEAD, *(line for node in ordered for line in _class(node))])


def _class(node: ast.ClassDef) -> Iterator[str]:
    bases = ", ".join(f"`{ast.unparse(base)}`" for base in node.bases)
    yield f"## {node.name}\n"
    yield f"{_docstring(node)}\n"
    yield f"Derives from {bases}.\n"
    rows = [row for method in node.body for row in _rows(method)]
    if rows:
        yield "| text | when | what helps |"
        yield "|---|---|---|"
        yield from rows
        yield ""


def _docstring(node: ast.ClassDef | ast.FunctionDef) -> str:
    return (ast.get_docstring(node) or "").strip()


def _rows(method: ast.stmt) -> Iterator[str]:
    """A row for each error that a named constructor makes."""
    if not isinstance(method, ast.FunctionDef) or not _is_constructor(method):
        return
    when = " ".join(_docstring(method).split())
    for call in ast.walk(method):
        if isinstance(call, ast.Call) and _is_name(call.func, "cls") and call.args:
            text = _text(call.args[0])
            if text.strip("… "):
                helps = "<br>".join(_plain(each) for each in _remedies(call))
                yield f"| `{_line(text)}` | {when} | {helps} |"


def _is_constructor(method: ast.FunctionDef) -> bool:
    return any(_is_name(each, "classmethod") for each in method.decorator_list)


def _is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _remedies(call: ast.Call) -> Iterator[str]:
    """What is said in the call itself, or stands in a constant of the module."""
    for keyword in call.keywords:
        if keyword.arg == "remedies":
            found = [_text(each) for each in _elements(keyword.value)]
            yield from (each for each in found if each.strip("… "))


def _elements(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.List | ast.Tuple):
        return node.elts
    if isinstance(node, ast.BinOp):
        return [*_elements(node.left), *_elements(node.right)]
    if isinstance(node, ast.Name) and isinstance(CONSTANTS.get(node.id), tuple):
        return [ast.Constant(each) for each in CONSTANTS[node.id]]
    if isinstance(node, ast.ListComp):
        return [node.elt]
    return []


def _text(node: ast.expr) -> str:
    """What the expression gives, with `…` for what only a run knows."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(each) for each in node.values)
    if isinstance(node, ast.FormattedValue):
        return _text(node.value)
    if isinstance(node, ast.BinOp):
        return _text(node.left) + _text(node.right)
    if isinstance(node, ast.Name) and isinstance(CONSTANTS.get(node.id), str):
        return str(CONSTANTS[node.id])
    return "…"


def _line(text: str) -> str:
    return " ".join(text.split())


def _plain(text: str) -> str:
    """The text in one line, in which nothing is markup."""
    for sign in "\\*_`[]<":
        text = text.replace(sign, f"\\{sign}")
    return _line(text)


if __name__ == "__main__":
    if sys.argv[1:] == ["--print"]:
        sys.stdout.write(page())
    else:
        PAGE.write_text(page(), encoding="utf-8")
