"""Memorization in a report: the drawing says what the matrix says, the file holds all of it."""

import json
import re

import pytest

from a360.dynamics.memorization import ChunkMatrix
from a360.publish.memorization import matrix_svg, memorization_bytes, thinned
from a360.publish.report import render_report
from a360.records import Metric
from a360.results.collect import Collected
from tests.documents import make_checkpoint, make_result
from tests.published import make_collected, make_views


def matrix(rows: int, columns: int) -> ChunkMatrix:
    """A checkpoint knows as much of a chunk as it has seen after it."""
    return ChunkMatrix(
        metric="full_match",
        checkpoints=tuple(f"ckpt_{row:03d}" for row in range(rows)),
        chunks=tuple(f"chunk-{column:03d}" for column in range(columns)),
        values=tuple(
            tuple((row - column) / rows if column <= row else None for column in range(columns))
            for row in range(rows)
        ),
    )


def test_every_seen_chunk_is_a_square_and_every_other_one_a_frame() -> None:
    drawn = matrix_svg(matrix(4, 4))
    assert (drawn.count('class="known"'), drawn.count('class="unseen"')) == (10, 6)
    assert "<title>ckpt_003, chunk-000: 0.75</title>" in drawn
    assert 'fill-opacity="0.75"' in drawn
    assert re.findall(r'class="below"[^>]*>(\d+)<', drawn) == ["0", "1", "2", "3"]


def test_a_matrix_of_ambers_size_is_drawn_small_and_averages_only_what_was_seen() -> None:
    whole = matrix(360, 360)
    small = thinned(whole)
    assert (len(small.checkpoints), len(small.chunks)) == (40, 40)
    assert small.values[0][0] == pytest.approx(
        sum((row - column) / 360 for row in range(9) for column in range(row + 1)) / 45
    )
    assert small.values[0][1] is None
    assert small.values[39][0] == pytest.approx((359 - 4 - 4) / 360, abs=1e-9)
    assert (small.checkpoints[-1], small.chunks[-1]) == ("ckpt_359", "chunk-351")
    assert len(matrix_svg(whole)) < 300_000


def test_a_small_matrix_is_drawn_as_it_is() -> None:
    assert thinned(matrix(3, 5)) == matrix(3, 5)
    assert thinned(matrix(0, 0)).values == ()


def test_names_from_a_store_are_escaped() -> None:
    hostile = ChunkMatrix(metric="m", checkpoints=("<script>",), chunks=("chunk-0",), values=((0.5,),))
    assert "<script>" not in matrix_svg(hostile)


def collected() -> Collected:
    """A collection with one memorization result of two chunks at each of two checkpoints."""
    base = make_collected()
    results = []
    for step, seen in ((1, 1), (2, 2)):
        shared = {"metric": "full_match", "filter": "none", "aggregation": "item", "stderr": None, "n": 2}
        records = [
            Metric.model_validate({**shared, "task": f"chunk-{n:03d}", "value": 0.5, "direction": "lower"})
            for n in range(seen)
        ]
        made = make_result("mem", make_checkpoint(step), f"{step:016d}")
        results.append(made.model_copy(update={"metrics": tuple(records)}))
    return Collected(plan=base.plan, results=tuple(results), coverage=base.coverage)


def test_the_file_holds_matrix_correlations_and_what_is_foretold() -> None:
    matches = {
        "step_1": {("chunk-000", 1): 32, ("chunk-000", 2): 1},
        "step_2": {("chunk-000", 1): 32, ("chunk-000", 2): 2, ("chunk-001", 1): 32},
    }
    found = json.loads(memorization_bytes(collected(), matches))
    [shown] = found["matrices"]
    assert (shown["checkpoints"], shown["values"]) == (["step_1", "step_2"], [[0.5, None], [0.5, 0.5]])
    assert found["correlations"]["sequences"] == 2
    [foretold] = found["foretold"]
    assert (foretold["precision"], foretold["recall"], foretold["checkpoint"]) == (1.0, 1.0, "step_1")
    assert memorization_bytes(collected(), matches) == memorization_bytes(collected(), matches)


def test_a_report_without_memorization_has_neither_file_nor_section() -> None:
    plain = make_collected()
    files = render_report(plain, make_views(plain))
    assert "memorization.json" not in files
    assert b'id="memorization"' not in files["report.html"]
