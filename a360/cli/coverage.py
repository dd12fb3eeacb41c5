"""Coverage for people and for scripts: counts by benchmark and checkpoint, reasons of what is not done."""

from collections import Counter
from collections.abc import Iterable, Mapping

from a360.cli.output import note, print_table, print_title
from a360.plan import pair_id
from a360.publish.axes import short_number
from a360.publish.coverage import Gap, in_ranges, make_gaps
from a360.publish.series import Place, all_places
from a360.records import Cell, CellState, Plan
from a360.results.collect import DELETED, Collected

STATES: tuple[CellState, ...] = ("done", "missing", "failed", "quarantined", "not uploaded", "not applicable")


def count_states(cells: Iterable[Cell]) -> dict[str, int]:
    """Number of cells by state, in the order of ``STATES``, without zeros."""
    counts = Counter(cell.state for cell in cells)
    return {state: counts[state] for state in STATES if counts[state]}


def describe_counts(counts: Mapping[str, int]) -> str:
    """Counts in words, e.g. ``88 done, 8 quarantined``."""
    return ", ".join(f"{count:,} {state}" for state, count in counts.items()) or "none"


def describe_pairs(count: int) -> str:
    """``1 pair``, ``2 pairs``."""
    return f"{count:,} pair" + ("" if count == 1 else "s")


def coverage_document(collected: Collected) -> dict[str, object]:
    """What ``--json`` prints of a coverage."""
    plan = collected.plan
    by_checkpoint = _by(collected, "checkpoint")
    return {
        "suite": plan.suite,
        "model": plan.model,
        "plan": plan.id,
        "complete": collected.is_complete(),
        "pairs": len(collected.coverage),
        "counts": count_states(collected.coverage),
        "benchmarks": {name: count_states(cells) for name, cells in _by(collected, "benchmark").items()},
        "checkpoints": [
            {
                "id": place.checkpoint,
                "phase": place.phase,
                "step": place.step,
                "tokens": place.tokens,
                "counts": count_states(by_checkpoint.get(place.checkpoint, [])),
            }
            for place in all_places(collected)
        ],
        "not_done": [gap_document(gap) for gap in make_gaps(collected)],
    }


def gap_document(gap: Gap) -> dict[str, object]:
    """What ``--json`` prints of pairs that are not done for one reason."""
    return {
        "state": gap.state,
        "reason": gap.reason,
        "checkpoints": list(gap.checkpoints),
        "benchmarks": list(gap.benchmarks),
    }


def print_coverage(collected: Collected) -> None:
    """Counts by benchmark and by checkpoint on stdout; neighbours with equal counts share a line."""
    states = list(count_states(collected.coverage))
    rows = []
    for benchmark, cells in _by(collected, "benchmark").items():
        counts = count_states(cells)
        rows.append([benchmark, *(_number(counts.get(state, 0)) for state in states)])
    print_title("by benchmark")
    print_table(["benchmark", *states], rows, numbers=states)
    print_title("by checkpoint")
    print_table(
        ["checkpoint", "tokens", *states], _checkpoint_rows(collected, states), numbers=["tokens", *states]
    )
    print_deleted(collected)


def print_deleted(collected: Collected) -> None:
    """Says on stderr which of the results are of checkpoints that were deleted."""
    deleted = {cell.checkpoint for cell in collected.coverage if cell.reason == DELETED}
    if deleted:
        order = {place.checkpoint: index for index, place in enumerate(all_places(collected))}
        names = in_ranges(sorted(deleted, key=order.__getitem__), order)
        note(f"no longer below the checkpoint root, kept from earlier: {names}")


def print_gaps(collected: Collected, title: str = "not done") -> None:
    """What is not done and why, on stdout; nothing when all is done."""
    gaps = make_gaps(collected)
    if not gaps:
        return
    order = {place.checkpoint: index for index, place in enumerate(all_places(collected))}
    print_title(f"{title}: {describe_pairs(sum(gap.count() for gap in gaps))}")
    rows = [
        [gap.state, in_ranges(gap.checkpoints, order), _benchmarks(gap, collected.plan), gap.reason]
        for gap in gaps
    ]
    print_table(["state", "checkpoints", "benchmarks", "why"], rows)
    if any(gap.state == "quarantined" for gap in gaps):
        note("hint: still uploading? Every plan looks again; otherwise upload the named file anew.")
    if any(gap.state == "failed" for gap in gaps):
        note("hint: what failed is tried again in another environment, or by a360 run SUITE --retry-failed")


def at_planning(plan: Plan) -> Collected:
    """The cells of a plan that it does not run, as they were when it was made."""
    will_run = {pair for group in plan.groups for pair in group}
    cells = tuple(
        _left_over(cell) for cell in plan.cells if pair_id(cell.checkpoint, cell.benchmark) not in will_run
    )
    return Collected(plan=plan, results=(), coverage=cells)


def _left_over(cell: Cell) -> Cell:
    bounded = cell.state == "missing" and not cell.reason
    return cell.model_copy(update={"reason": "left for the next sweep: sweep.max_pairs"}) if bounded else cell


def print_work(plan: Plan) -> None:
    """What a plan will run, one line per benchmark, on stdout."""
    if not plan.groups:
        return
    places = all_places(Collected(plan=plan, results=(), coverage=()))
    order = {place.checkpoint: index for index, place in enumerate(places)}
    work: dict[str, list[str]] = {benchmark: [] for benchmark in plan.benchmarks}
    for pair in (pair for group in plan.groups for pair in group):
        checkpoint, _, benchmark = pair.partition("/")
        work[benchmark].append(checkpoint)
    total = sum(map(len, work.values()))
    groups = f"{len(plan.groups):,} group" + ("" if len(plan.groups) == 1 else "s")
    print_title(f"to run: {describe_pairs(total)} in {groups}")
    rows = [
        [benchmark, f"{len(names):,}", in_ranges(sorted(names, key=order.__getitem__), order)]
        for benchmark, names in work.items()
        if names
    ]
    print_table(["benchmark", "pairs", "checkpoints"], rows, numbers=["pairs"])


def _by(collected: Collected, attribute: str) -> dict[str, list[Cell]]:
    """The cells of each benchmark (in the plan's order) or checkpoint."""
    found: dict[str, list[Cell]] = (
        {b: [] for b in collected.plan.benchmarks} if attribute == "benchmark" else {}
    )
    for cell in collected.coverage:
        found.setdefault(getattr(cell, attribute), []).append(cell)
    return found


def _checkpoint_rows(collected: Collected, states: list[str]) -> list[list[str]]:
    by_checkpoint = _by(collected, "checkpoint")
    runs: list[tuple[dict[str, int], list[Place]]] = []
    for place in all_places(collected):
        counts = count_states(by_checkpoint.get(place.checkpoint, []))
        if runs and runs[-1][0] == counts:
            runs[-1][1].append(place)
        else:
            runs.append((counts, [place]))
    return [
        [_span(places), _token_span(places), *(_number(counts.get(state, 0)) for state in states)]
        for counts, places in runs
    ]


def _span(places: list[Place]) -> str:
    first, last = places[0].checkpoint, places[-1].checkpoint
    return first if len(places) == 1 else f"{first} … {last} ({len(places)})"


def _token_span(places: list[Place]) -> str:
    tokens = [
        None if place.tokens is None else short_number(place.tokens) for place in (places[0], places[-1])
    ]
    return "-" if None in tokens else " … ".join(dict.fromkeys(t for t in tokens if t is not None))


def _benchmarks(gap: Gap, plan: Plan) -> str:
    return "all" if len(gap.benchmarks) == len(plan.benchmarks) > 1 else ", ".join(gap.benchmarks)


def _number(count: int) -> str:
    return f"{count:,}" if count else "·"
