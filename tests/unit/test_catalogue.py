"""Rows of the catalogue: ids, twins, groups and the lock."""

import re

import pytest

from a360.benchmarks import CATALOGUE, Benchmark, UnknownBenchmarkError, find_benchmark, locked_task_hash
from a360.benchmarks.mmlu import GROUPS, SUBJECTS

ROWS = tuple(CATALOGUE.values())


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_every_row_is_locked_and_complete(row: Benchmark) -> None:
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]*", row.id)
    assert len(locked_task_hash(row)) == 16
    assert row.data
    assert row.source.startswith("https://")
    assert row.stand_in == row.id.startswith("demo-")


@pytest.mark.parametrize("row", [row for row in ROWS if not row.stand_in], ids=lambda row: row.id)
def test_every_row_has_a_demo_twin_with_the_same_task(row: Benchmark) -> None:
    twin = find_benchmark(f"demo-{row.id}")
    assert (twin.task, twin.shots, twin.data, twin.headline) == (row.task, row.shots, row.data, row.headline)


def test_the_eleven_groups_hold_each_of_the_57_subjects_once() -> None:
    assert len(GROUPS) == 11
    assert len(SUBJECTS) == len(set(SUBJECTS)) == 57
    assert "high_school_geography" in GROUPS["other"]


def test_mmlu_has_the_mean_over_all_subjects_and_one_for_each_group() -> None:
    macros = find_benchmark("mmlu-5shot").macros
    assert [macro.subset for macro in macros] == [None, *GROUPS]
    assert len(macros[0].tasks) == 57


def test_an_unknown_id_names_the_nearest() -> None:
    with pytest.raises(UnknownBenchmarkError, match=r"'mmlu-5-shot': did you mean mmlu-5shot"):
        find_benchmark("mmlu-5-shot")
