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


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        ("siqa", "did you mean piqa or social-iqa or siqa-llm360"),
        ("truthfulqa_mc", "did you mean truthfulqa-mc"),
        ("hendrycksTest-anatomy", "a360 suites benchmarks lists them"),
        ("mmlu_*", "did you mean "),
        ("arc", "did you mean "),
    ],
)
def test_ids_that_lm_eval_has_no_more_and_globs_are_refused(gone: str, said: str) -> None:
    with pytest.raises(UnknownBenchmarkError, match=re.escape(f"unknown benchmark {gone!r}: {said}")):
        find_benchmark(gone)


def test_variants_have_ids_tasks_and_locks_of_their_own() -> None:
    """What scores otherwise under one name: another prompt or metric, or other rows."""
    variants = ("social-iqa", "siqa-llm360", "pile", "pile-10k", "drop-3shot", "wikitext", "toxigen")
    rows = [find_benchmark(name) for name in variants]
    assert len({row.task for row in rows}) == len(variants)
    assert len({(locked_task_hash(row), row.data) for row in rows}) == len(variants)
    assert len({locked_task_hash(row) for row in rows if row.evaluator == "harness"}) == 5
    assert find_benchmark("drop-3shot").task == "a360_drop"
