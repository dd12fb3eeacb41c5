"""Curves, axes and coverage: what page and figures draw."""

import json
import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from a360.benchmarks.mmlu import GROUPS
from a360.errors import ConfigError, DataError
from a360.publish.axes import make_scale, short_number, x_axes
from a360.publish.coverage import SIGNS, coverage_bytes, in_ranges, make_gaps, make_matrix
from a360.publish.page import last_and_best, lines_in_panel, y_scales
from a360.publish.rows import BenchmarkView
from a360.publish.series import Curve, Place, all_places, evaluated_places, make_curves
from a360.records import CellState, Direction
from a360.results.collect import Collected
from tests.published import SOURCES, Sketch, make_collected, make_views

COLLECTED = make_collected()
CURVES = {curve.benchmark: curve for curve in make_curves(COLLECTED, make_views(COLLECTED))}


def places(*steps: int, tokens: bool = True) -> list[Place]:
    return [
        Place(checkpoint=f"c{i}", phase=1, step=step, tokens=step * 10 if tokens else None)
        for i, step in enumerate(steps)
    ]


def one_curve(direction: Direction, values: list[float], target: float | None = None) -> Curve:
    sketch = Sketch(steps=tuple(range(len(values))), gaps=False, benchmarks=("demo-boolq",))
    collected = make_collected(sketch)
    results = [
        r.model_copy(update={"metrics": (r.metrics[0].model_copy(update={"value": v, "target": target}),)})
        for r, v in zip(collected.results, values, strict=True)
    ]
    view = BenchmarkView(kind="downstream", title="t", chance=None, direction=direction, label="acc")
    changed = Collected(plan=collected.plan, results=tuple(results), coverage=collected.coverage)
    return make_curves(changed, {"demo-boolq": view})[0]


# --- curves -----------------------------------------------------------------------------------------


def test_there_is_a_curve_for_every_benchmark_of_the_plan_in_its_order() -> None:
    assert tuple(CURVES) == COLLECTED.plan.benchmarks


def test_all_curves_share_the_evaluated_checkpoints() -> None:
    evaluated = evaluated_places(COLLECTED.results)
    assert {len(curve.headline.values) for curve in CURVES.values()} == {len(evaluated)}
    assert "step-000004" not in {place.checkpoint for place in evaluated}


def test_quarantined_checkpoints_have_their_place() -> None:
    assert [place.step for place in all_places(COLLECTED)] == [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]


def test_a_failed_pair_is_a_gap_in_its_curve_only() -> None:
    at = [place.step for place in evaluated_places(COLLECTED.results)].index(2)
    assert CURVES["demo-arc-challenge-25shot"].headline.values[at] is None
    assert CURVES["demo-boolq"].headline.values[at] is not None


def test_mmlu_has_its_eleven_groups_as_parts_and_the_micro_mean_beside_the_macro_mean() -> None:
    mmlu = CURVES["demo-mmlu-5shot"]
    assert {series.name for series in mmlu.parts} == {group.replace("_", " ") for group in GROUPS}
    assert [series.name for series in lines_in_panel(mmlu)] == ["acc, micro"]


def test_the_second_filter_of_gsm8k_is_a_line_beside_the_first() -> None:
    gsm8k = CURVES["demo-gsm8k-5shot"]
    assert [series.name for series in gsm8k.variants] == ["exact_match, flexible-extract"]
    assert gsm8k.parts == ()


def test_the_sources_of_a_perplexity_are_lines_of_its_panel() -> None:
    assert [series.name for series in lines_in_panel(CURVES["demo-heldout-perplexity"])] == list(SOURCES)


def test_another_metric_is_no_line_of_the_panel() -> None:
    assert lines_in_panel(CURVES["demo-wikitext"]) == ()


@pytest.mark.parametrize(
    ("direction", "target", "best"), [("higher", None, 1), ("lower", None, 2), ("target", 0.5, 3)]
)
def test_the_best_checkpoint_follows_the_direction(
    direction: Direction, target: float | None, best: int
) -> None:
    curve = one_curve(direction, [0.3, 0.9, 0.1, 0.45, 0.9], target)
    found = curve.best()
    assert found is not None
    assert found.index == best


def test_the_change_is_last_minus_first() -> None:
    [line] = last_and_best([one_curve("higher", [0.25, 0.75, 0.5])])
    assert (line.change(), line.best.value, line.last.value) == (0.25, 0.75, 0.5)


def test_truncated_prompts_of_the_worst_checkpoint_are_shown() -> None:
    lines = {line.curve.benchmark: line.truncated() for line in last_and_best(list(CURVES.values()))}
    assert lines["demo-arc-challenge-25shot"] == "17 of 400"
    assert lines["demo-boolq"] == "none"


def test_a_benchmark_without_a_view_is_an_error() -> None:
    views = make_views(COLLECTED)
    del views["demo-boolq"]
    with pytest.raises(ConfigError, match="no view of benchmark demo-boolq"):
        make_curves(COLLECTED, views)


def test_a_benchmark_without_results_has_an_empty_curve() -> None:
    some = tuple(r for r in COLLECTED.results if r.benchmark != "demo-boolq")
    collected = Collected(plan=COLLECTED.plan, results=some, coverage=COLLECTED.coverage)
    curve = next(c for c in make_curves(collected, make_views(collected)) if c.benchmark == "demo-boolq")
    assert curve.measured() == []
    assert curve.best() is None


# --- axes -------------------------------------------------------------------------------------------


@given(st.lists(st.floats(0, 1e15), min_size=1, max_size=40), st.booleans())
@example([0.0, 5e-324], True)
@example([1e-300, 2e-300], True)
def test_every_point_and_mark_is_on_the_drawn_axis(values: list[float], log: bool) -> None:
    scale = make_scale(values, log=log)
    assert scale.low < scale.high
    for position in (*scale.positions, *(tick.position for tick in scale.ticks)):
        assert position is not None
        assert scale.low <= position <= scale.high
    assert len(scale.ticks) <= 12


@given(st.lists(st.floats(1e-3, 1e12), min_size=2, max_size=40, unique=True))
def test_positions_keep_the_order_of_the_values(values: list[float]) -> None:
    ordered = sorted(values)
    positions = [p for p in make_scale(ordered, log=True).positions if p is not None]
    assert positions == sorted(positions)


def test_untrained_weights_have_a_place_of_their_own_on_a_logarithmic_axis() -> None:
    scale = make_scale([0, 1000, 1_000_000], log=True)
    zero, thousand, million = scale.positions
    assert zero is not None
    assert (thousand, million) == (3, 6)
    assert zero < 3
    assert (zero, "0") in scale.ticks


def test_the_marks_of_a_logarithmic_axis_name_their_values() -> None:
    units = {"k": 1e3, "M": 1e6, "B": 1e9}
    for position, text in make_scale([1e3, 2e9], log=True).ticks:
        assert math.isclose(10**position, float(text.rstrip("kMB")) * units[text[-1]])


def test_a_score_that_stays_at_zero_has_no_negative_marks() -> None:
    assert [tick.text for tick in make_scale([0.0, 0.0], log=False).ticks][:2] == ["0.00", "0.05"]


def test_log_spaced_checkpoints_start_logarithmic_and_even_ones_linear() -> None:
    assert x_axes(places(*(2**i for i in range(12))))[0].starts_log
    assert not x_axes(places(*range(0, 1000, 10)))[0].starts_log


def test_tokens_come_before_steps() -> None:
    assert [axis.name for axis in x_axes(places(1, 2, 3))] == ["tokens", "step"]


def test_unknown_tokens_leave_the_steps() -> None:
    assert [axis.name for axis in x_axes([*places(1, 2), *places(3, tokens=False)])] == ["step"]


def test_steps_that_start_again_leave_the_number_of_the_checkpoint() -> None:
    [axis] = x_axes([*places(1, 2, tokens=False), *places(1, 2, tokens=False)])
    assert axis.name == "checkpoint"
    assert axis.linear.positions == (1, 2, 3, 4)


def test_chance_is_inside_the_drawn_range() -> None:
    for curve in CURVES.values():
        scale = y_scales(curve)["linear"]
        assert curve.view.chance is None or scale.low < curve.view.chance < scale.high


def test_only_perplexity_can_be_drawn_logarithmically() -> None:
    assert {curve.view.kind for curve in CURVES.values() if "log" in y_scales(curve)} == {"perplexity"}


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.25, "0.25"), (12, "12"), (999, "999"), (1000, "1k"), (3.5e9, "3.5B"), (1.2585e12, "1.26T")],
)  # fmt: skip
def test_numbers_are_short(value: float, text: str) -> None:
    assert short_number(value) == text


# --- coverage ---------------------------------------------------------------------------------------


def test_every_cell_has_its_letter_and_its_reason() -> None:
    matrix = make_matrix(COLLECTED)
    index = {place.checkpoint: i for i, place in enumerate(all_places(COLLECTED))}
    for cell in COLLECTED.coverage:
        assert matrix.rows[cell.benchmark][index[cell.checkpoint]] == SIGNS[cell.state].letter
        why = matrix.why[cell.benchmark].get(index[cell.checkpoint])
        assert (why is None) == (cell.state == "done")
        assert why is None or matrix.reasons[why] == (cell.reason or "not evaluated yet")


def test_letters_and_symbols_tell_all_states_apart() -> None:
    states: set[CellState] = {
        "done", "missing", "failed", "quarantined", "not uploaded", "not applicable",
    }  # fmt: skip
    assert set(SIGNS) == states
    assert len({sign.letter for sign in SIGNS.values()}) == len({sign.symbol for sign in SIGNS.values()}) == 6


def test_a_quarantined_checkpoint_is_one_entry_of_the_list() -> None:
    gaps = make_gaps(COLLECTED)
    assert sum(gap.count() for gap in gaps) == sum(cell.state != "done" for cell in COLLECTED.coverage)
    [quarantined] = [gap for gap in gaps if gap.state == "quarantined"]
    assert quarantined.checkpoints == ("step-000004",)
    assert quarantined.benchmarks == COLLECTED.plan.benchmarks


def test_neighbours_are_written_as_a_range() -> None:
    order = {name: i for i, name in enumerate("abcdefg")}
    assert in_ranges(["a", "b", "c", "e", "g"], order) == "a … c, e, g"


def test_a_cell_that_the_plan_does_not_have_is_an_error() -> None:
    stray = COLLECTED.coverage[0].model_copy(update={"benchmark": "unheard-of"})
    with pytest.raises(DataError, match="step-000000/unheard-of in the coverage is not in plan"):
        make_matrix(Collected(plan=COLLECTED.plan, results=(), coverage=(stray,)))


def test_the_coverage_document_holds_every_cell() -> None:
    document = json.loads(coverage_bytes(COLLECTED))
    assert [cell["state"] for cell in document["cells"]] == [cell.state for cell in COLLECTED.coverage]


def test_the_coverage_document_does_not_change_with_what_a_plan_had_to_do() -> None:
    coverage = tuple(cell.model_copy(update={"stages": ("grade",)}) for cell in COLLECTED.coverage)
    planned = Collected(plan=COLLECTED.plan, results=(), coverage=coverage)
    assert coverage_bytes(planned) == coverage_bytes(COLLECTED)
