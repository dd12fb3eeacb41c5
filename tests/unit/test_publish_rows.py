"""The tidy table and the wide rows, and the names and order that everything else takes from them."""

import csv
import io
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from a360.benchmarks import find_benchmark
from a360.errors import DataError
from a360.publish.rows import (
    SCHEMA,
    benchmark_views,
    csv_bytes,
    headline_of,
    metric_names,
    parquet_bytes,
    tidy_table,
    wide_rows,
)
from a360.records import Metric, Result
from tests.published import DEMO, Sketch, make_collected

COLLECTED = make_collected()
RESULTS = COLLECTED.results
MMLU = next(r for r in RESULTS if r.benchmark == "demo-mmlu-5shot")


def with_metrics(result: Result, *metrics: Metric) -> Result:
    return result.model_copy(update={"metrics": metrics})


def test_the_table_has_one_row_per_metric_of_every_result() -> None:
    table = tidy_table(RESULTS)
    names = ["checkpoint", "benchmark", "metric", "filter", "task", "subset", "aggregation"]
    keys = {tuple(row.values()) for row in table.select(names).to_pylist()}
    assert table.schema.equals(SCHEMA)
    assert len(keys) == table.num_rows == sum(len(r.metrics) for r in RESULTS)


def test_rows_follow_the_training_run_and_the_headline_comes_first() -> None:
    rows = tidy_table(RESULTS).to_pylist()
    places = [(row["phase"], row["step"], row["benchmark"]) for row in rows]
    assert places == sorted(places)
    first = {(row["checkpoint"], row["benchmark"]): row["headline"] for row in reversed(rows)}
    assert set(first.values()) == {True}


def test_the_order_in_which_results_were_found_does_not_matter() -> None:
    shuffled = list(RESULTS)
    random.Random(3).shuffle(shuffled)
    metrics = [with_metrics(r, *reversed(r.metrics)) for r in shuffled]
    assert csv_bytes(tidy_table(metrics)) == csv_bytes(tidy_table(RESULTS))
    assert parquet_bytes(tidy_table(metrics)) == parquet_bytes(tidy_table(RESULTS))


def test_numbers_survive_csv_and_parquet_exactly() -> None:
    third = MMLU.metrics[0].model_copy(update={"value": 1 / 3, "stderr": 1e-17})
    table = tidy_table([with_metrics(MMLU, third)])
    row = next(csv.DictReader(io.StringIO(csv_bytes(table).decode())))
    assert (float(row["value"]), float(row["stderr"])) == (1 / 3, 1e-17)
    assert pq.read_table(pa.BufferReader(parquet_bytes(table))).equals(table)


def test_a_missing_value_is_empty_and_keeps_its_reason() -> None:
    reason = 'the log-likelihood is NaN, "quoted",\nexpected a number'
    missing = MMLU.metrics[0].model_copy(update={"value": None, "stderr": None, "reason": reason})
    row = next(csv.DictReader(io.StringIO(csv_bytes(tidy_table([with_metrics(MMLU, missing)])).decode())))
    assert (row["value"], row["stderr"], row["headline"], row["reason"]) == ("", "", "true", reason)
    [wide] = wide_rows([with_metrics(MMLU, missing)], DEMO)
    assert wide.values == {}


def test_no_results_give_an_empty_table_with_all_columns() -> None:
    assert csv_bytes(tidy_table([])).decode().strip().split(",") == SCHEMA.names


def test_wide_rows_hold_each_checkpoint_once_in_order() -> None:
    rows = wide_rows(RESULTS, DEMO)
    assert [row.step for row in rows] == [0, 1, 2, 8, 16, 32, 64, 128, 256, 512, 1024]
    assert len({row.checkpoint for row in rows}) == len(rows)


def test_a_wide_row_holds_place_values_and_errors() -> None:
    row = next(row for row in wide_rows(RESULTS, ["demo-boolq"]) if row.step == 64)
    result = next(r for r in RESULTS if r.benchmark == "demo-boolq" and r.step == 64)
    headline = headline_of(result)
    flat = row.flat()
    assert flat["checkpoint"] == "step-000064"
    assert (flat["phase"], flat["training_step"], flat["tokens"]) == (1, 64, 64 * 65_536)
    assert flat[f"demo-boolq/{headline.metric}"] == headline.value
    assert flat[f"demo-boolq/{headline.metric}_stderr"] == headline.stderr
    assert not any("mmlu" in key for key in flat)


def test_other_metrics_are_named_by_what_differs_from_the_headline() -> None:
    names = metric_names(RESULTS)
    mmlu = set(names["demo-mmlu-5shot"].values())
    assert {
        "demo-mmlu-5shot/acc",
        "demo-mmlu-5shot/acc_micro",
        "demo-mmlu-5shot/chemistry/acc",
        "demo-mmlu-5shot/mmlu_anatomy/acc",
    } <= mmlu
    assert set(names["demo-gsm8k-5shot"].values()) == {
        "demo-gsm8k-5shot/exact_match",
        "demo-gsm8k-5shot/exact_match,flexible-extract",
    }


def test_no_name_holds_a_dot_which_wandb_would_nest() -> None:
    dotted = MMLU.metrics[1].model_copy(update={"subset": "docs.python"})
    [wide] = wide_rows([with_metrics(MMLU, MMLU.metrics[0], dotted)], DEMO)
    assert "demo-mmlu-5shot/docs_python/acc_micro" in wide.values


def test_two_metrics_of_one_name_are_an_error() -> None:
    twins = [MMLU.metrics[1].model_copy(update={"subset": name}) for name in ("a.b", "a_b")]
    with pytest.raises(DataError, match="share the name demo-mmlu-5shot/a_b/acc_micro"):
        wide_rows([with_metrics(MMLU, MMLU.metrics[0], *twins)], DEMO)


@pytest.mark.parametrize("count", [0, 2])
def test_a_result_needs_exactly_one_headline(count: int) -> None:
    metrics = [
        m.model_copy(update={"headline": i < count, "subset": str(i)}) for i, m in enumerate(MMLU.metrics)
    ]
    with pytest.raises(DataError, match=f"{count} headline metrics in the result of step-000000"):
        wide_rows([with_metrics(MMLU, *metrics)], DEMO)


def test_two_results_of_a_pair_are_an_error() -> None:
    other = MMLU.model_copy(update={"key": "f" * 16})
    with pytest.raises(DataError, match=r"2 results of step-000000 on demo-mmlu-5shot \(.*ffff"):
        tidy_table([*RESULTS, other])


def test_a_checkpoint_at_two_places_is_an_error() -> None:
    moved = RESULTS[1].model_copy(update={"tokens": 5})
    with pytest.raises(DataError, match="expected one place") as caught:
        tidy_table([RESULTS[0], moved])
    assert "naming" in str(caught.value.hint)


def test_every_benchmark_of_the_catalogue_has_a_view() -> None:
    views = benchmark_views(map(find_benchmark, DEMO))
    assert views["demo-mmlu-5shot"].label == "acc, macro"
    assert views["demo-gsm8k-5shot"].label == "exact_match, strict-match"
    assert (views["demo-wikitext"].kind, views["demo-wikitext"].direction) == ("perplexity", "lower")


def test_tokens_may_be_unknown() -> None:
    sketch = make_collected(Sketch(steps=(1, 2), gaps=False, benchmarks=("demo-boolq",)))
    rows = wide_rows([r.model_copy(update={"tokens": None}) for r in sketch.results], ["demo-boolq"])
    assert all("tokens" not in row.flat() for row in rows)
