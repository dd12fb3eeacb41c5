"""Memorization along a training run, against numbers computed by hand."""

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from a360.dynamics.memorization import Matches, chunk_matrix, correlate, foretell
from a360.records import Metric, Result
from tests.documents import make_checkpoint, make_result

FIRST, MIDDLE, LAST = "step_9", "step_10", "step_200"
ORDER = (FIRST, MIDDLE, LAST)
"""In the order of training; sorted as texts, step_10 would come first."""
A, B, C, D = ("chunk-000", 1), ("chunk-000", 2), ("chunk-000", 3), ("chunk-001", 1)
CONTROL = ("control", 1)
MATCHES: Matches = {
    LAST: {A: 32, B: 32, C: 5, D: 32, CONTROL: 32},
    FIRST: {A: 32, B: 4, C: 32, CONTROL: 0},
    MIDDLE: {A: 32, B: 20, C: 8, D: 32},
}


def result(step: int, **values: float) -> Result:
    made = make_result("mem", make_checkpoint(step), "k" * 16)
    shared = {"metric": "full_match", "filter": "none", "aggregation": "item", "stderr": None, "n": 1}
    records = [
        Metric.model_validate(
            {**shared, "task": task.replace("_", "-"), "value": value, "direction": "lower"}
        )
        for task, value in values.items()
    ]
    return made.model_copy(update={"metrics": tuple(records)})


def test_the_matrix_has_checkpoints_in_the_order_of_training_and_a_gap_for_what_is_not_seen() -> None:
    results = [result(10, chunk_000=0.2), result(10, chunk_001=0.1), result(9, chunk_000=0.0, control=0.5)]
    found = chunk_matrix(results, ORDER, "full_match")
    assert found.checkpoints == (FIRST, MIDDLE)
    assert found.chunks == ("chunk-000", "chunk-001")
    assert found.values == ((0.0, None), (0.2, 0.1))
    assert chunk_matrix(results, ORDER, "token_match").values == ()


def test_correlations_are_over_the_sequences_that_the_least_trained_checkpoint_has_seen() -> None:
    found = correlate(MATCHES, ORDER)
    assert (found.checkpoints, found.sequences) == (ORDER, 3)
    assert found.values[0][1] == pytest.approx(statistics.correlation([32, 4, 32], [32, 20, 8]))
    assert found.values[0][2] == pytest.approx(statistics.correlation([32, 4, 32], [32, 32, 5]))
    for row in range(3):
        assert found.values[row][row] == pytest.approx(1)
        for column in range(3):
            assert found.values[row][column] == pytest.approx(found.values[column][row])


def test_equal_values_have_no_correlation_and_no_nan() -> None:
    flat: Matches = {FIRST: {A: 3, B: 3}, LAST: {A: 3, B: 9}}
    assert correlate(flat, ORDER).values[0] == (None, None)
    assert correlate({}, ORDER).values == ()
    assert correlate({FIRST: {("chunk-000", 1): 3}}, ORDER).values == ((None,),)


def test_precision_and_recall_of_memorized_here_for_memorized_at_the_end() -> None:
    first, middle = foretell(MATCHES, ORDER, 32)
    assert (first.checkpoint, first.sequences) == (FIRST, 3)
    assert (first.precision, first.recall) == (1 / 2, 1 / 2)
    assert (middle.sequences, middle.precision, middle.recall) == (4, 1.0, 2 / 3)


def test_nothing_memorized_has_neither_precision_nor_recall() -> None:
    none: Matches = {FIRST: {("chunk-000", 1): 31}, LAST: {("chunk-000", 1): 31}}
    [found] = foretell(none, ORDER, 32)
    assert (found.precision, found.recall) == (None, None)
    assert foretell({}, ORDER, 32) == ()


def test_the_control_is_no_chunk() -> None:
    only: Matches = {FIRST: {("control", 1): 32}, LAST: {("control", 1): 32}}
    assert foretell(only, ORDER, 32) == ()
    assert correlate(only, ORDER).sequences == 0


COUNTS = st.lists(st.integers(0, 32), min_size=3, max_size=12)


@given(COUNTS, st.integers(1, 5), st.randoms())
def test_correlations_lie_between_minus_one_and_one_and_foretelling_oneself_is_perfect(
    counts: list[int], scale: int, random: object
) -> None:
    known = {("chunk-000", line): count for line, count in enumerate(counts)}
    shuffled = list(counts)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    other = {("chunk-000", line): count * scale for line, count in enumerate(shuffled)}
    for row in correlate({FIRST: known, MIDDLE: other}, ORDER).values:
        assert all(value is None or -1 - 1e-9 <= value <= 1 + 1e-9 for value in row)
    [same] = foretell({FIRST: known, LAST: known}, ORDER, max(counts))
    assert (same.precision, same.recall) == (1.0, 1.0)
