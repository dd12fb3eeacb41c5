"""Commit markers -> results and coverage: the state and reason of every expected cell."""

from collections import Counter
from dataclasses import dataclass

from a360.records import Cell, CellState, Plan, Result
from a360.results.places import CommitName
from a360.results.read import list_commits, read_failures, read_results
from a360.storage import Store


@dataclass(frozen=True, kw_only=True)
class Collected:
    """What the store holds for a plan."""

    plan: Plan
    results: tuple[Result, ...]
    coverage: tuple[Cell, ...]

    def count(self) -> dict[CellState, int]:
        """How many cells are in each state."""
        return dict(Counter(cell.state for cell in self.coverage))

    def is_complete(self) -> bool:
        """Whether every expected cell is done, or cannot apply."""
        return all(cell.state in {"done", "not applicable"} for cell in self.coverage)


def collect_results(store: Store, plan: Plan, *, max_truncated: float = 1.0) -> Collected:
    """The committed results of a plan's cells and the state of each cell now.

    A cell whose result had more than ``max_truncated`` of its prompts cut is not applicable, and left out.
    """
    commits = list_commits(store, plan.model)
    names = [_name(cell) for cell in plan.cells if cell.key]
    found = read_results(store, plan.model, [name for name in names if name in commits])
    by_name = {CommitName(r.benchmark, r.checkpoint, r.key): _placed(r, plan) for r in found}
    failures = read_failures(store, plan.model)
    coverage, results = [], []
    for cell in plan.cells:
        result = by_name.get(_name(cell))
        failure = failures.get(_name(cell))
        if result is not None:
            cell, kept = _done(cell, result, max_truncated)
            results += [result] if kept else []
        elif failure is not None:
            cell = cell.model_copy(update={"state": "failed", "reason": failure.error})
        elif cell.state == "done":
            cell = cell.model_copy(
                update={"state": "missing", "reason": "its commit is no longer in the store"}
            )
        coverage.append(cell)
    return Collected(plan=plan, results=tuple(results), coverage=tuple(coverage))


def _placed(result: Result, plan: Plan) -> Result:
    """The result at the step and tokens that the suite gives its checkpoint now; they are not in the key."""
    now = next((c for c in plan.checkpoints if c.id == result.checkpoint), None)
    place = {"phase": now.phase, "step": now.step, "tokens": now.tokens} if now else {}
    return result.model_copy(update=place)


def _done(cell: Cell, result: Result, max_truncated: float) -> tuple[Cell, bool]:
    part = result.truncated_prompts / result.prompts if result.prompts else 0.0
    if part <= max_truncated:
        return cell.model_copy(update={"state": "done", "reason": None}), True
    cut = f"{result.truncated_prompts} of {result.prompts} prompts truncated"
    reason = f"{cut}, the suite allows {max_truncated:.0%}"
    return cell.model_copy(update={"state": "not applicable", "reason": reason}), False


def _name(cell: Cell) -> CommitName:
    return CommitName(cell.benchmark, cell.checkpoint, cell.key or "")
