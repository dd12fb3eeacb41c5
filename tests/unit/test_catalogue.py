"""Rows of the catalogue: ids, twins, groups and the lock."""

import re

import pytest

from a360.benchmarks import CATALOGUE, Benchmark, UnknownBenchmarkError, find_benchmark, locked_task_hash
from a360.benchmarks.mmlu import GROUPS

ROWS = tuple(CATALOGUE.values())


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_every_row_is_locked_and_complete(row: Benchmark) -> None:
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]*", row.id)
    assert len(locked_task_hash(row)) == 16
    assert row.data
    assert row.source.startswith("https://")
    assert row.stand_in == row.id.startswith("demo-")


def test_mmlu_has_the_mean_over_all_subjects_and_one_for_each_group() -> None:
    macros = find_benchmark("mmlu-5shot").macros
    assert [macro.subset for macro in macros] == [None, *GROUPS]
    assert len(macros[0].tasks) == 57


def test_an_unknown_id_names_the_nearest() -> None:
    with pytest.raises(UnknownBenchmarkError, match=r"'mmlu-5-shot': did you mean mmlu-5shot"):
        find_benchmark("mmlu-5-shot")
