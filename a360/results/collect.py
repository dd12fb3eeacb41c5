"""Commit markers -> results and coverage: the state and reason of every expected cell."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from a360.errors import TransientError
from a360.records import Cell, CellState, Checkpoint, Plan, Quarantine, Result
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
    Results of checkpoints that were deleted below the root stay, as cells that are done.
    """
    commits = list_commits(store, plan.model)
    names = [_name(cell) for cell in plan.cells if cell.key]
    names = [name for name in names if name in commits]
    found = read_results(store, plan.model, [*names, *_of_absent_checkpoints(plan, commits)])
    deleted = _of_deleted_checkpoints(plan, found[len(names) :])
    by_name = {_name(r): _placed(r, plan) for r in (*found[: len(names)], *deleted.values())}
    cells = [cell for cell in plan.cells if (cell.benchmark, cell.checkpoint) not in deleted]
    cells += [_cell_of(result) for result in deleted.values()]
    failures = read_failures(store, plan.model)
    coverage, results = [], []
    for cell in cells:
        result = by_name.get(_name(cell))
        failure = failures.get(_name(cell))
        if result is not None:
            cell, kept = _done(cell, result, max_truncated)
            results += [result] if kept else []
        elif failure is not None:
            # What may succeed when tried again is planned again; anything else waits for somebody.
            state = "missing" if failure.exit_code == TransientError.exit_code else "failed"
            cell = cell.model_copy(update={"state": state, "reason": failure.error})
        elif cell.state == "done":
            cell = cell.model_copy(
                update={"state": "missing", "reason": "its commit is no longer in the store"}
            )
        coverage.append(cell)
    return Collected(plan=plan, results=tuple(results), coverage=tuple(coverage))


def _of_absent_checkpoints(plan: Plan, commits: Iterable[CommitName]) -> list[CommitName]:
    """Commits of the plan's benchmarks whose checkpoint is not below the root."""
    present = {item.id for item in _present(plan)}
    return [name for name in commits if name.benchmark in plan.protocols and name.checkpoint not in present]


def _of_deleted_checkpoints(plan: Plan, results: Iterable[Result]) -> dict[tuple[str, str], Result]:
    """Of results without a checkpoint the newest of each pair that the plan's protocols can stand beside.

    One whose step another checkpoint has now was renamed, not deleted.
    """
    taken = {(item.phase, item.step) for item in _present(plan)}
    newest: dict[tuple[str, str], Result] = {}
    for result in sorted(results, key=lambda r: r.provenance.finished_at):
        asked = (plan.protocols[result.benchmark], plan.gradings.get(result.benchmark))
        if (result.protocol, result.grading) == asked and (result.phase, result.step) not in taken:
            newest[result.benchmark, result.checkpoint] = result
    return newest


def _present(plan: Plan) -> list[Checkpoint | Quarantine]:
    return [*plan.checkpoints, *(item for item in plan.quarantined if item.state != "not uploaded")]


def _cell_of(result: Result) -> Cell:
    return Cell(
        checkpoint=result.checkpoint,
        benchmark=result.benchmark,
        key=result.key,
        generation_key=result.generation_key,
        state="done",
    )


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


def _name(of: Cell | Result) -> CommitName:
    return CommitName(of.benchmark, of.checkpoint, of.key or "")
