"""An average over some groups of a perplexity's documents: its curve, and its label wherever it is shown."""

import csv
import io

from a360.benchmarks import CATALOGUE, GroupSubset
from a360.publish.averages import all_curves
from a360.publish.report import render_report
from a360.publish.rows import benchmark_views
from a360.publish.wandb_payload import make_payloads
from a360.records import Metric, Result
from a360.results.collect import Collected
from tests.published import Sketch, make_collected

STEPS = (1, 2, 4)
SKETCH = Sketch(steps=STEPS, gaps=False, benchmarks=("demo-pile",))
ROW = CATALOGUE["demo-pile"]
VIEWS = benchmark_views([ROW])


def metrics(result: Result, label: str, value: float | None) -> tuple[Metric, ...]:
    """The pooled headline and the two means over a subset's documents, as the evaluator writes them."""
    reason = None if value is not None else "no documents of ArXiv"
    [marked] = [metric for metric in result.metrics if metric.headline]
    headline = marked.model_copy(update={"metric": "bits_per_byte", "task": "pile", "aggregation": "micro"})
    changes: dict[str, object] = {
        "metric": "document_perplexity",
        "subset": label,
        "headline": False,
        "n": 36,
        "reason": reason,
    }
    means = (
        headline.model_copy(update={**changes, "aggregation": way, "value": value, "stderr": None})
        for way in ("micro", "macro")
    )
    return (headline, *means)


def collect(label: str, values: tuple[float | None, ...]) -> Collected:
    made = make_collected(SKETCH)
    results = tuple(
        result.model_copy(update={"metrics": metrics(result, label, value)})
        for result, value in zip(made.results, values, strict=True)
    )
    return Collected(plan=made.plan, results=results, coverage=made.coverage)


def test_the_average_has_a_curve_that_is_named_after_its_subset() -> None:
    curves = all_curves(collect("assumed-18", (9.0, None, 3.0)), VIEWS)
    assert [curve.benchmark for curve in curves] == ["demo-pile", "demo-pile/assumed-18"]
    curve = curves[1]
    assert curve.headline.values == (9.0, None, 3.0)
    assert curve.view.title == "The Pile, test split (demo rows): assumed-18"
    assert curve.view.label == "document_perplexity, assumed-18"
    assert curve.reasons == (None, "no documents of ArXiv", None)
    best = curve.best()
    assert best is not None
    assert (best.index, best.value) == (2, 3.0)


def test_the_label_of_an_assumed_list_is_in_the_table_and_on_the_page_and_no_other_label() -> None:
    assert isinstance(ROW.texts and ROW.texts.average_groups, GroupSubset)
    for label in ("assumed-18", "ours"):
        report = render_report(collect(label, (9.0, 5.0, 3.0)), VIEWS)
        table = csv.DictReader(io.StringIO(report["table.csv"].decode()))
        rows = {
            (row["subset"], row["aggregation"]) for row in table if row["metric"] == "document_perplexity"
        }
        assert rows == {(label, "micro"), (label, "macro")}
        page = report["report.html"].decode()
        assert f"<h3>The Pile, test split (demo rows): {label}</h3>" in page
        assert ("assumed" in page) == (label == "assumed-18")
        assert label in report["figures/perplexity.svg"].decode()


def test_the_matrix_of_coverage_has_one_row_for_the_benchmark_and_its_averages() -> None:
    page = render_report(collect("assumed-18", (9.0, 5.0, 3.0)), VIEWS)["report.html"].decode()
    assert page.count('<th scope="row">The Pile, test split (demo rows)') == 3, (
        "matrix, and twice last and best"
    )


def test_wandb_gets_last_and_best_under_the_key_of_the_rows() -> None:
    [payload] = make_payloads(collect("assumed-18", (9.0, 5.0, 3.0)), VIEWS)
    assert payload.name == "perplexity_eval"
    key = "demo-pile/assumed-18/document_perplexity"
    assert [row[key] for row in payload.rows] == [9.0, 5.0, 3.0]
    assert (payload.summary[f"{key}.last"], payload.summary[f"{key}.min"]) == (3.0, 3.0)
