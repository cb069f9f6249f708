"""Contenders measured in turn, round after round; medians as a table and as JSON."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

__all__ = ["Contender", "Report", "Result", "arguments", "measure"]


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to do some work.

    `run` does it once and returns milliseconds. `over` names a contender of this run,
    as (work, name), whose time of the same round is taken off. Exactly one contender of
    a work is `ours`.
    """

    work: str
    name: str
    run: Callable[[], float]
    ours: bool = False
    over: tuple[str, str] | None = None

    @property
    def key(self) -> tuple[str, str]:
        """Work and name."""
        return self.work, self.name


@dataclass(frozen=True, slots=True)
class Result:
    """The median of a contender, and how ours compares: below 1 ours is faster."""

    median_ms: float
    ratio: float


Report: TypeAlias = "Mapping[str, Mapping[str, Result]]"
Samples: TypeAlias = "Mapping[tuple[str, str], Sequence[float]]"


def arguments(description: str, *, rounds: int) -> argparse.ArgumentParser:
    """Parser with the options that every benchmark has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write results there")
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument(
        "--rounds", type=int, default=rounds, help=f"rounds to take, default {rounds}"
    )
    return parser


def measure(
    contenders: Sequence[Contender], options: argparse.Namespace, *, title: str
) -> Report:
    """Run every contender once per round, print the table, write the JSON."""
    rounds = 1 if options.quick else options.rounds
    before = _load()
    samples = _rounds(contenders, rounds)
    report = _compare(contenders, samples)
    _print(report, f"{title}, medians of {rounds} interleaved rounds")
    print(f"load average {before} before, {_load()} after; {os.cpu_count()} cores")
    if options.json:
        options.json.write_text(_json(report), encoding="utf-8")
    return report


def _rounds(contenders: Sequence[Contender], rounds: int) -> Samples:
    samples: dict[tuple[str, str], list[float]] = {each.key: [] for each in contenders}
    for number in range(rounds):
        for contender in contenders:
            _progress(f"round {number + 1} of {rounds}: {' '.join(contender.key)}")
            samples[contender.key].append(contender.run())
    _progress("")
    return samples


def _compare(contenders: Iterable[Contender], samples: Samples) -> Report:
    contenders = list(contenders)
    medians = {each.key: _median(each, samples) for each in contenders}
    ours = {each.work: medians[each.key] for each in contenders if each.ours}
    report: dict[str, dict[str, Result]] = {}
    for (work, name), median in medians.items():
        result = Result(round(median, 3), round(ours[work] / median, 3))
        report.setdefault(work, {})[name] = result
    return report


def _median(contender: Contender, samples: Samples) -> float:
    own = samples[contender.key]
    if contender.over is None:
        return statistics.median(own)
    pairs = zip(own, samples[contender.over], strict=True)
    return statistics.median(one - base for one, base in pairs)


def _print(report: Report, title: str) -> None:
    print(title)
    for work, results in report.items():
        print(f"\n{work:<32}{'ms':>10}{'ours / it':>12}")
        for name, result in results.items():
            print(f"  {name:<30}{result.median_ms:>10.3f}{result.ratio:>12.2f}")
    print()


def _json(report: Report) -> str:
    plain = {
        work: {
            name: {"median_ms": result.median_ms, "ratio": result.ratio}
            for name, result in results.items()
        }
        for work, results in report.items()
    }
    return json.dumps(plain, indent=2) + "\n"


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def _load() -> str:
    return " ".join(f"{value:.2f}" for value in os.getloadavg())
