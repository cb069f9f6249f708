"""The tables of docs/comparison.md, from what `benchmarks.compare` has measured."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

__all__ = ["replaced", "tables"]

BEGIN: Final = "<!-- measured: python -m benchmarks.compare --page -->"
END: Final = "<!-- end of what was measured -->"
_BETWEEN: Final = re.compile(f"{re.escape(BEGIN)}\n.*?{re.escape(END)}", re.DOTALL)


def replaced(page: str, data: Mapping[str, Any]) -> str:
    """The page with the tables of `data` in the place of those that it has."""
    whole = f"{BEGIN}\n{tables(data)}\n{END}"
    return _BETWEEN.sub(lambda _: whole, page)


def tables(data: Mapping[str, Any]) -> str:
    """All that a comparison has found, as Markdown."""
    parts = [_circumstances(data), _versions(data["versions"])]
    for part, works in data["measured"].items():
        parts.append(f"### {part}: what it takes\n\n{data['about'][part]}")
        parts.append(_measured(works))
    if data["verdicts"]:
        parts.append(_verdicts(data["verdicts"]))
    return "\n\n".join(parts)


def _circumstances(data: Mapping[str, Any]) -> str:
    before, after = data["load"]
    return (
        f"Measured on {data['date']}, {data['machine']}; {data['rounds']} interleaved "
        f"rounds, of which the medians are shown; load average {before} before, "
        f"{after} after."
    )


def _versions(versions: Mapping[str, Mapping[str, str]]) -> str:
    rows = (
        (kind, ", ".join(f"{name} {version}" for name, version in names.items()))
        for kind, names in versions.items()
    )
    return _table(("", "versions"), rows)


def _measured(works: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    rows = (
        (f"**{work}**" if first else "", name, _ms(each["median_ms"]), _ratio(each))
        for work, results in works.items()
        for first, (name, each) in _with_first(results.items())
    )
    return _table(("", "", "ms", "ours / it"), rows, numbers=2)


def _verdicts(verdicts: Mapping[str, Mapping[str, Any]]) -> str:
    rows = (
        (race, said["is"], _counted(said["ours"]), _counted(said.get("frontrun", ())))
        for race, said in verdicts.items()
    )
    return _table(("race", "it is", "ours says", "frontrun says"), rows)


def _counted(answers: Sequence[str]) -> str:
    return ", ".join(
        f"{answer} ({count} of {len(answers)})"
        for answer, count in Counter(answers).most_common()
    )


def _ms(value: float) -> str:
    return f"{value:,.1f}"


def _ratio(result: Mapping[str, float]) -> str:
    return f"{result['ratio']:.2f}"


def _with_first(items: Iterable[Any]) -> Iterator[tuple[bool, Any]]:
    return ((number == 0, item) for number, item in enumerate(items))


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: int = 0) -> str:
    """With so many columns of numbers at the right."""
    rule = ["---"] * (len(head) - numbers) + ["---:"] * numbers
    lines = (" | ".join(row) for row in (head, rule, *rows))
    return "\n".join(f"| {line} |" for line in lines)
