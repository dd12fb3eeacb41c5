"""Commit markers -> results and coverage: the state and reason of every expected cell."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from a360.errors import TransientError
from a360.records import Cell, CellState, Checkpoint, Plan, Quarantine, Result
from a360.results.places import CommitName
from a360.results.read import list_commits, read_failures, read_results
from a360.storage import Store

DELETED = "its checkpoint is no longer below the root"


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

    A cell whose commit marker is damaged has failed; the others do not suffer from it.
    A cell whose result had more than ``max_truncated`` of its prompts cut is not applicable, and left out.
    Results of expected checkpoints that were deleted below the root stay, as cells that are done.
    """
    names = [_name(cell) for cell in plan.cells if cell.key]
    found, damaged = read_results(store, plan.model, [*names, *_of_deleted(store, plan)])
    by_name = {_name(result): result for result in found}
    planned = set(names)
    deleted = _one_digest_each(plan, (by_name[name] for name in by_name.keys() - planned))
    keys = {(result.benchmark, result.checkpoint): result.key for result in deleted}
    failures = read_failures(store, plan.model)
    known: list[Checkpoint | Quarantine] = [*plan.quarantined, *plan.checkpoints]
    places = {item.id: item for item in known}
    coverage, results = [], []
    for cell in plan.cells:
        cell = cell.model_copy(update={"key": keys.get((cell.benchmark, cell.checkpoint), cell.key)})
        result = by_name.get(_name(cell))
        failure = failures.get(_name(cell))
        if result is not None:
            cell, counts = _done(cell, result, max_truncated)
            results += [_placed(result, places[result.checkpoint])] if counts else []
        elif _name(cell) in damaged:
            cell = cell.model_copy(update={"state": "failed", "reason": str(damaged[_name(cell)])})
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


def _of_deleted(store: Store, plan: Plan) -> list[CommitName]:
    """Commits of the plan's benchmarks whose checkpoint is expected and not below the root."""
    absent = {item.id for item in plan.quarantined if item.state == "not uploaded"}
    commits = list_commits(store, plan.model) if absent else ()
    return [name for name in commits if name.benchmark in plan.protocols and name.checkpoint in absent]


def _one_digest_each(plan: Plan, results: Iterable[Result]) -> list[Result]:
    """Of deleted checkpoints' results those by the plan's protocols, of the digest that was measured last."""
    comparable = [
        result
        for result in sorted(results, key=lambda result: (result.provenance.finished_at, result.key))
        if (result.protocol, result.grading)
        == (plan.protocols[result.benchmark], plan.gradings.get(result.benchmark))
    ]
    last = {result.checkpoint: result.digest for result in comparable}
    return [result for result in comparable if result.digest == last[result.checkpoint]]


def _placed(result: Result, place: Checkpoint | Quarantine) -> Result:
    """The result at the step and tokens that the suite gives its checkpoint now; they are not in the key."""
    now = {"phase": place.phase, "step": place.step, "tokens": place.tokens}
    return result.model_copy(update=now)


def _done(cell: Cell, result: Result, max_truncated: float) -> tuple[Cell, bool]:
    part = result.truncated_prompts / result.prompts if result.prompts else 0.0
    if part <= max_truncated:
        reason = DELETED if cell.state == "not uploaded" else None
        return cell.model_copy(update={"state": "done", "reason": reason}), True
    cut = f"{result.truncated_prompts} of {result.prompts} prompts truncated"
    reason = f"{cut}, the suite allows {max_truncated:.0%}"
    return cell.model_copy(update={"state": "not applicable", "reason": reason}), False


def _name(of: Cell | Result) -> CommitName:
    return CommitName(of.benchmark, of.checkpoint, of.key or "")
