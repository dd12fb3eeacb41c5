"""Averages over benchmarks: which there are, what they come to, and where they are shown."""

import csv
import io
import math

import pytest

from a360.benchmarks import CATALOGUE
from a360.benchmarks.averages import AVERAGES, LANGUAGE, Average, averages_of
from a360.publish.averages import all_curves
from a360.publish.report import render_report
from a360.publish.wandb_payload import make_payloads
from a360.records import Result
from a360.results.collect import Collected
from tests.published import DEMO, Sketch, make_collected, make_views

PARTS = LANGUAGE.demo().parts
COLLECTED = make_collected(Sketch(gaps=False))
VIEWS = make_views(COLLECTED)


def headline(result: Result) -> tuple[float, float, int]:
    [metric] = [metric for metric in result.metrics if metric.headline]
    assert metric.value is not None
    assert metric.stderr is not None
    return metric.value, metric.stderr, metric.n


def without(collected: Collected, checkpoint: str, benchmark: str) -> Collected:
    """The pair has no result."""
    results = [r for r in collected.results if (r.checkpoint, r.benchmark) != (checkpoint, benchmark)]
    return Collected(plan=collected.plan, results=tuple(results), coverage=collected.coverage)


def table(collected: Collected) -> list[dict[str, str]]:
    text = render_report(collected, VIEWS)["table.csv"].decode()
    return [row for row in csv.DictReader(io.StringIO(text)) if row["benchmark"] == "demo-average-language"]


def test_the_language_average_is_that_of_the_card() -> None:
    assert LANGUAGE.parts == ("arc-challenge-25shot", "hellaswag-10shot", "mmlu-5shot", "truthfulqa-mc2")


@pytest.mark.parametrize("average", AVERAGES, ids=lambda average: average.id)
def test_the_parts_of_an_average_are_benchmarks_of_one_direction(average: Average) -> None:
    earlier = [each.id for each in AVERAGES[: AVERAGES.index(average)]]
    directions = {"higher" if part in earlier else CATALOGUE[part].direction for part in average.parts}
    assert directions == {"higher"}


def test_an_average_needs_all_its_parts_in_the_plan() -> None:
    assert [average.id for average in averages_of(DEMO)] == ["demo-average-language"]
    assert averages_of(DEMO[1:]) == []


def test_the_mean_is_unweighted_and_its_error_that_of_independent_estimates() -> None:
    curve = all_curves(COLLECTED, VIEWS)[-1]
    for i, checkpoint in enumerate(COLLECTED.plan.checkpoints):
        parts = [
            headline(r) for r in COLLECTED.results if r.checkpoint == checkpoint.id and r.benchmark in PARTS
        ]
        assert curve.headline.values[i] == pytest.approx(sum(p[0] for p in parts) / 4, abs=1e-12)
        assert curve.headline.stderr[i] == pytest.approx(math.sqrt(sum(p[1] ** 2 for p in parts)) / 4)
        assert curve.headline.n[i] == sum(p[2] for p in parts)


def test_the_overall_average_is_the_mean_of_two_means_and_not_of_their_parts() -> None:
    code = ("demo-humaneval-t02", "demo-mbpp-t01")
    collected = make_collected(Sketch(benchmarks=(*DEMO, *code), gaps=False))
    curves = {curve.benchmark: curve for curve in all_curves(collected, make_views(collected))}
    for i, checkpoint in enumerate(collected.plan.checkpoints):
        mine = [result for result in collected.results if result.checkpoint == checkpoint.id]
        of = {result.benchmark: headline(result)[0] for result in mine if result.benchmark in {*PARTS, *code}}
        means = [sum(of[part] for part in parts) / len(parts) for parts in (PARTS, code)]
        assert curves["demo-average-overall"].headline.values[i] == pytest.approx(sum(means) / 2, abs=1e-12)
    assert [average.id for average in averages_of((*PARTS, *code))] == [
        "demo-average-language",
        "demo-average-code",
        "demo-average-overall",
    ]


def test_a_checkpoint_that_lacks_a_part_has_no_average_and_says_which() -> None:
    collected = without(COLLECTED, "step-000064", "demo-hellaswag-10shot")
    curve = all_curves(collected, VIEWS)[-1]
    assert [i for i, value in enumerate(curve.headline.values) if value is None] == [7]
    [row] = [row for row in table(collected) if not row["value"]]
    assert (row["step"], row["reason"]) == ("64", "no value for demo-hellaswag-10shot")
    assert not row["stderr"]


def test_the_table_has_a_row_for_every_checkpoint_and_no_key() -> None:
    rows = table(COLLECTED)
    assert len(rows) == len(COLLECTED.plan.checkpoints)
    assert {(row["metric"], row["aggregation"], row["headline"], row["key"]) for row in rows} == {
        ("mean", "macro", "true", "")
    }


def test_wandb_gets_the_average_with_the_downstream_run() -> None:
    downstream, perplexity = make_payloads(COLLECTED, VIEWS)
    curve = all_curves(COLLECTED, VIEWS)[-1]
    assert [row["demo-average-language/mean"] for row in downstream.rows] == list(curve.headline.values)
    assert "demo-average-language" in downstream.prefixes
    assert "demo-average-language/mean.last" in downstream.summary
    assert "average" not in str(perplexity)


def test_the_figures_have_the_averages_apart() -> None:
    assert "figures/average.svg" in render_report(COLLECTED, VIEWS)
