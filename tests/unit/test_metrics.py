"""Metric records from lm-eval's dictionary: nothing is lost, nothing is 0 or NaN that is not."""

import json
import math

import numpy as np
import pytest

from a360.benchmarks import Benchmark, Headline, Macro
from a360.errors import DataError
from a360.evaluators.metrics import HarnessResults, metric_records
from a360.records import Metric

GROUP = Benchmark(
    id="g", title="g", task="group", folder=None, shots=None, data=("d",), source="https://x", cost=1,
    headline=Headline(metric="acc", aggregation="macro"), macro_metric="acc",
    macros=(Macro(subset=None, tasks=("a", "b")), Macro(subset="one", tasks=("b",))),
)  # fmt: skip
POOLED = Benchmark(
    id="p", title="p", task="texts", folder=None, shots=None, data=("d",), source="https://x", cost=1,
    headline=Headline(metric="bits_per_byte", aggregation="micro"), kind="perplexity", direction="lower",
    pooled=True,
)  # fmt: skip


def samples(count: int, **metrics: object) -> list[dict[str, object]]:
    return [{"filter": "none", "doc_id": n, **metrics} for n in range(count)]


def results() -> HarnessResults:
    return HarnessResults(
        results={
            "a": {"alias": "a", "acc,none": np.float64(0.5), "acc_stderr,none": 0.3},
            "b": {"alias": "b", "acc,none": 0.25, "acc_stderr,none": 0.4, "ppl,none": float("nan")},
            "group": {"acc,none": 0.3, "acc_stderr,none": "N/A", "sample_len": 10},
        },
        groups={"group": {"acc,none": 0.3, "acc_stderr,none": "N/A", "sample_len": 10}},
        higher_is_better={"a": {"acc": True}, "b": {"acc": True, "ppl": False}},
        samples={"a": samples(2), "b": samples(8)},
    )


def find(records: tuple[Metric, ...], task: str, subset: str | None = None, metric: str = "acc") -> Metric:
    [record] = [
        r
        for r in records
        if (r.task, r.subset, r.metric) == (task, subset, metric) and r.aggregation != "micro"
    ]
    return record


def test_the_macro_mean_is_unweighted_and_is_the_headline() -> None:
    records = metric_records(GROUP, results())
    macro = find(records, "group")
    assert macro.value == pytest.approx(0.375)
    assert macro.stderr == pytest.approx(math.hypot(0.3, 0.4) / 2)
    assert (macro.n, macro.headline) == (10, True)
    assert [record for record in records if record.headline] == [macro]
    assert find(records, "group", "one").value == 0.25


def test_the_groups_own_number_is_kept_as_micro_with_all_documents() -> None:
    [micro] = [record for record in metric_records(GROUP, results()) if record.aggregation == "micro"]
    assert (micro.value, micro.stderr, micro.n, micro.task) == (0.3, None, 10, "group")


def test_a_standard_error_of_n_a_is_null_and_numbers_of_numpy_are_written_like_others() -> None:
    records = metric_records(GROUP, results())
    assert {type(record.value) for record in records} == {float, type(None)}
    written = [json.loads(record.model_dump_json()) for record in records]
    [micro] = [metric for metric in written if metric["aggregation"] == "micro"]
    assert (micro["value"], micro["stderr"]) == (0.3, None)
    assert 0.5 in [metric["value"] for metric in written]


def test_a_missing_value_is_null_with_a_reason_also_in_its_mean() -> None:
    broken = results()
    assert find(metric_records(GROUP, broken), "b", metric="ppl").value is None
    broken["results"]["b"]["acc,none"] = float("nan")
    records = metric_records(GROUP, broken)
    assert find(records, "b").value is None
    assert find(records, "b").reason == "the harness reports nan"
    assert find(records, "group").value is None
    assert find(records, "group").reason == "no value for b"


def test_directions_follow_the_harness_and_perplexity_is_lower() -> None:
    records = metric_records(GROUP, results())
    assert find(records, "a").direction == "higher"
    assert find(records, "b", metric="ppl").direction == "lower"


def test_a_task_without_the_metric_of_the_mean_is_named() -> None:
    broken = results()
    del broken["results"]["b"]["acc,none"]
    with pytest.raises(DataError, match="no acc for task b"):
        metric_records(GROUP, broken)


def test_a_result_without_its_headline_is_refused() -> None:
    wrong = Benchmark(**{**GROUP.__dict__, "headline": Headline(metric="acc_norm", aggregation="macro")})
    with pytest.raises(DataError, match=r"has not one headline: found acc,none \(item\)"):
        metric_records(wrong, results())


def test_pooled_perplexity_weighs_by_length_as_the_closed_form_says() -> None:
    def text(loglikelihood: float, words: int, size: int) -> dict[str, object]:
        return {
            "filter": "none", "doc_id": 0, "word_perplexity": (loglikelihood, words),
            "byte_perplexity": (loglikelihood, size), "bits_per_byte": (loglikelihood, size),
        }  # fmt: skip

    per_task: dict[str, object] = {"word_perplexity,none": 1.0}
    made = HarnessResults(
        results={"x": per_task, "y": per_task}, groups={}, higher_is_better={},
        samples={"x": [text(-10.0, 5, 20)], "y": [text(-30.0, 5, 80)]},
    )  # fmt: skip
    pooled = {r.metric: r for r in metric_records(POOLED, made) if r.aggregation == "micro"}
    assert pooled["word_perplexity"].value == pytest.approx(math.exp(4.0))
    assert pooled["byte_perplexity"].value == pytest.approx(math.exp(0.4))
    assert pooled["bits_per_byte"].value == pytest.approx(0.4 / math.log(2))
    assert pooled["bits_per_byte"].headline
    assert pooled["bits_per_byte"].n == 2


def test_perplexities_beyond_the_largest_float_are_null_with_a_reason() -> None:
    """The harness evaluator makes lm-eval's own infinite; the pooled one is computed here."""
    text = {"filter": "none", "doc_id": 0, "word_perplexity": (-9000.0, 1), "byte_perplexity": (-9000.0, 1),
            "bits_per_byte": (-9000.0, 1)}  # fmt: skip
    made = HarnessResults(
        results={"x": {"word_perplexity,none": math.inf}},
        groups={},
        higher_is_better={},
        samples={"x": [text]},
    )
    records = metric_records(POOLED, made)
    words = [(record.value, record.reason) for record in records if record.metric == "word_perplexity"]
    assert words == [(None, "exceeds the largest float")] * 2
    [headline] = [record for record in records if record.headline]
    assert headline.value == pytest.approx(9000 / math.log(2))
