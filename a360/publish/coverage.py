"""The coverage of a plan as documents and as the page's matrix: states, symbols, reasons. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from a360.errors import DataError
from a360.identity import canonical_json
from a360.publish.series import all_places
from a360.records import CellState
from a360.results.collect import Collected


class Sign(NamedTuple):
    """How a state is written: one letter in the page's data and classes, one symbol for people."""

    letter: str
    symbol: str


SIGNS: Mapping[CellState, Sign] = {
    "done": Sign("d", "✓"),
    "missing": Sign("m", "-"),
    "failed": Sign("f", "✕"),
    "quarantined": Sign("q", "Q"),
    "not uploaded": Sign("u", "U"),
    "not applicable": Sign("n", "∅"),
}


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """One row of letters per benchmark, one letter per checkpoint, and the reasons of what is not done."""

    rows: Mapping[str, str]
    reasons: tuple[str, ...]
    why: Mapping[str, Mapping[int, int]]
    """benchmark -> index of the checkpoint -> index into ``reasons``."""


@dataclass(frozen=True, kw_only=True)
class Gap:
    """Cells that are not done for one reason: these checkpoints times these benchmarks."""

    state: CellState
    reason: str
    checkpoints: tuple[str, ...]
    benchmarks: tuple[str, ...]

    def count(self) -> int:
        """Number of cells."""
        return len(self.checkpoints) * len(self.benchmarks)


def coverage_bytes(collected: Collected) -> bytes:
    """The state and reason of every expected cell as a canonical JSON document."""
    # What a plan had to do is not what is done now: it would change with every plan.
    cells = [cell.model_dump(mode="json", exclude={"stages"}) for cell in collected.coverage]
    document = {
        "schema_name": "a360.coverage/1",
        "model": collected.plan.model,
        "cells": cells,
    }
    return (canonical_json(document) + "\n").encode()


def make_matrix(collected: Collected) -> Matrix:
    """The coverage by benchmark and checkpoint.

    Raises:
        DataError: a cell names a checkpoint or benchmark that the plan does not have.
    """
    index = {place.checkpoint: i for i, place in enumerate(all_places(collected))}
    letters = {benchmark: [" "] * len(index) for benchmark in collected.plan.benchmarks}
    reasons: dict[str, int] = {}
    why: dict[str, dict[int, int]] = {benchmark: {} for benchmark in letters}
    for cell in collected.coverage:
        if cell.checkpoint not in index or cell.benchmark not in letters:
            raise DataError(
                f"cell {cell.checkpoint}/{cell.benchmark} in the coverage is not in plan {collected.plan.id}"
            )
        at = index[cell.checkpoint]
        letters[cell.benchmark][at] = SIGNS[cell.state].letter
        if cell.state != "done":
            why[cell.benchmark][at] = reasons.setdefault(_reason(cell.reason), len(reasons))
    return Matrix(rows={b: "".join(row) for b, row in letters.items()}, reasons=tuple(reasons), why=why)


def make_gaps(collected: Collected) -> tuple[Gap, ...]:
    """What is not done, as few entries as the reasons allow, in the order of the training run."""
    order = {place.checkpoint: i for i, place in enumerate(all_places(collected))}
    by_checkpoint: dict[tuple[CellState, str, str], list[str]] = {}
    for cell in sorted(collected.coverage, key=lambda c: order.get(c.checkpoint, -1)):
        if cell.state != "done":
            by_checkpoint.setdefault((cell.state, _reason(cell.reason), cell.checkpoint), []).append(
                cell.benchmark
            )
    together: dict[tuple[CellState, str, tuple[str, ...]], list[str]] = {}
    for (state, reason, checkpoint), benchmarks in by_checkpoint.items():
        together.setdefault((state, reason, tuple(benchmarks)), []).append(checkpoint)
    return tuple(
        Gap(state=state, reason=reason, checkpoints=tuple(checkpoints), benchmarks=benchmarks)
        for (state, reason, benchmarks), checkpoints in together.items()
    )


def _reason(reason: str | None) -> str:
    return reason or "not evaluated yet"


def in_ranges(names: Sequence[str], order: Mapping[str, int]) -> str:
    """The names with neighbours in ``order`` written as ``first … last``."""
    spans: list[list[str]] = []
    for name in names:
        if spans and order[name] == order[spans[-1][-1]] + 1:
            spans[-1].append(name)
        else:
            spans.append([name])
    return ", ".join(span[0] if len(span) == 1 else f"{span[0]} … {span[-1]}" for span in spans)
