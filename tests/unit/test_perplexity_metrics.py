"""Perplexities from scored documents: closed forms, groups, and what has no value."""

import math

import pytest

from a360.benchmarks import Benchmark, GroupSubset, Headline, Texts
from a360.evaluators.perplexity_metrics import Scored, measure_text, perplexity_items, perplexity_records
from a360.records import Metric
from a360.results.items import SCHEMA


def row(texts: Texts) -> Benchmark:
    return Benchmark(
        id="demo-t",
        title="t",
        kind="perplexity",
        evaluator="perplexity",
        task="t",
        folder=None,
        shots=None,
        data=("t",),
        headline=Headline(metric="bits_per_byte", aggregation="micro"),
        direction="lower",
        texts=texts,
        cost=1,
        source="",
    )


def scored(group: str, loglikelihood: float, tokens: int, words: int = 1, size: int = 1) -> Scored:
    return Scored(group, f"{group}.jsonl:1", "0" * 64, loglikelihood, tokens, words, size)


DOCUMENTS = [
    scored("a", -6.0, 3, 2, 10),
    scored("a", -8.0, 2, 2, 20),
    scored("b", -5.0, 5, 1, 50),
]
WHOLE = row(Texts())
DIVIDED = row(Texts(group="g", average_groups=GroupSubset(label="assumed-1", groups=("a",))))


def find(records: tuple[Metric, ...], *wanted: str | None) -> Metric:
    """By metric, task, aggregation and subset."""
    metric, task, aggregation, subset = (*wanted, None)[:4]
    found = [r for r in records if (r.metric, r.task, r.aggregation) == (metric, task, aggregation)]
    [record] = [r for r in found if r.subset == subset]
    return record


def test_pooled_perplexities_weigh_by_length_as_the_closed_form_says() -> None:
    records = perplexity_records(WHOLE, DOCUMENTS)
    expected = {
        "token_perplexity": math.exp(19 / 10),
        "word_perplexity": math.exp(19 / 5),
        "byte_perplexity": math.exp(19 / 80),
        "bits_per_byte": 19 / 80 / math.log(2),
    }
    assert {r.metric: r.value for r in records if r.metric in expected} == pytest.approx(expected, rel=1e-14)
    assert {(r.task, r.aggregation, r.n, r.direction) for r in records} == {("t", "micro", 3, "lower")}
    assert [r.metric for r in records if r.headline] == ["bits_per_byte"]


def test_the_document_perplexity_is_llm360s_mean_over_documents_with_its_standard_error() -> None:
    record = find(perplexity_records(WHOLE, DOCUMENTS), "document_perplexity", "t", "micro")
    values = [math.exp(2), math.exp(4), math.exp(1)]
    mean = sum(values) / 3
    assert record.value == pytest.approx(mean, rel=1e-14)
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / 2)
    assert record.stderr == pytest.approx(deviation / math.sqrt(3), rel=1e-14)


def test_groups_have_their_own_numbers_and_the_macro_mean_does_not_weigh_them() -> None:
    records = perplexity_records(DIVIDED, DOCUMENTS)
    a, b = (find(records, "token_perplexity", group, "item").value for group in "ab")
    assert [a, b] == pytest.approx([math.exp(14 / 5), math.exp(1)])
    macro = find(records, "token_perplexity", "t", "macro")
    assert macro.value == pytest.approx((math.exp(14 / 5) + math.exp(1)) / 2)
    pooled = find(records, "bits_per_byte", "t", "micro")
    assert pooled.headline
    assert pooled.value == pytest.approx(19 / 80 / math.log(2))


def test_the_assumed_subset_averages_over_the_documents_of_its_groups_under_its_label() -> None:
    records = perplexity_records(DIVIDED, DOCUMENTS)
    average = find(records, "document_perplexity", "t", "micro", "assumed-1")
    assert average.value == pytest.approx((math.exp(2) + math.exp(4)) / 2)
    assert average.n == 2
    mean = find(records, "document_perplexity", "t", "macro", "assumed-1")
    assert mean.value == average.value
    assert {r.metric for r in records if r.subset} == {"document_perplexity"}


def test_a_subset_whose_group_has_no_documents_is_null_with_a_reason() -> None:
    records = perplexity_records(DIVIDED, DOCUMENTS[2:])
    for aggregation in ("micro", "macro"):
        record = find(records, "document_perplexity", "t", aggregation, "assumed-1")
        assert (record.value, record.n, record.reason) == (None, 0, "no documents of a")


def test_a_number_beyond_the_largest_float_is_null_with_a_reason() -> None:
    records = perplexity_records(DIVIDED, [*DOCUMENTS, scored("b", -2000.0, 500, 1, 500)])
    word = find(records, "word_perplexity", "b", "item")
    assert (word.value, word.reason) == (None, "exceeds the largest float")
    macro = find(records, "word_perplexity", "t", "macro")
    assert (macro.value, macro.reason) == (None, "no value for b")
    huge = perplexity_records(WHOLE, [scored("t", -2000.0, 1)])
    assert find(huge, "document_perplexity", "t", "micro").value is None


def test_a_sum_beyond_the_largest_float_makes_its_mean_null_and_leaves_the_finite_metrics() -> None:
    """What a diverged checkpoint gives: every document has a number, their mean or its deviation has none."""
    diverged = [scored("a", -709.0, 1), scored("a", -709.5, 1), scored("b", -1.0, 1)]
    records = perplexity_records(DIVIDED, diverged)
    assert [scored.perplexity is not None for scored in diverged] == [True, True, True]
    mean = find(records, "document_perplexity", "a", "item")
    assert (mean.value, mean.stderr, mean.reason) == (None, None, "exceeds the largest float")
    assert find(records, "document_perplexity", "t", "macro").reason == "no value for a"
    finite = [record for record in records if record.metric in ("bits_per_byte", "token_perplexity")]
    assert [record.value for record in finite if record.value is None] == []
    assert find(records, "bits_per_byte", "t", "micro").headline


def test_a_macro_mean_beyond_the_largest_float_is_null_with_a_reason() -> None:
    records = perplexity_records(DIVIDED, [scored("a", -709.5, 1), scored("b", -709.5, 1)])
    assert find(records, "token_perplexity", "a", "item").value == pytest.approx(math.exp(709.5))
    macro = find(records, "token_perplexity", "t", "macro")
    assert (macro.value, macro.reason) == (None, "exceeds the largest float")


def test_squares_beyond_the_largest_float_do_not_cost_the_mean_and_its_standard_error() -> None:
    record = find(
        perplexity_records(WHOLE, [scored("t", -700.0, 1), scored("t", -1.0, 1)]),
        "document_perplexity", "t", "micro",
    )  # fmt: skip
    assert record.value == pytest.approx(math.exp(700) / 2)
    assert record.stderr == pytest.approx(math.exp(700) / 2)


def test_one_document_has_no_standard_error() -> None:
    record = find(perplexity_records(WHOLE, DOCUMENTS[:1]), "document_perplexity", "t", "micro")
    assert record.value == pytest.approx(math.exp(2))
    assert record.stderr is None


def test_items_have_the_schema_of_all_evaluators_with_the_group_as_task() -> None:
    table = perplexity_items(DOCUMENTS)
    assert table.schema == SCHEMA
    rows = table.to_pylist()
    assert [(r["task"], r["doc_id"], r["target"]) for r in rows] == [
        ("a", 0, "a.jsonl:1"), ("a", 1, "a.jsonl:1"), ("b", 0, "b.jsonl:1"),
    ]  # fmt: skip
    assert rows[0]["loglikelihoods"] == [-6.0]
    assert dict(rows[0]["metrics"])["bits_per_byte"] == -6.0
    assert dict(rows[0]["metrics"])["document_perplexity"] == pytest.approx(math.exp(2))
    assert dict(rows[0]["weights"]) == {
        "token_perplexity": 3.0, "word_perplexity": 2.0, "byte_perplexity": 10.0, "bits_per_byte": 10.0,
    }  # fmt: skip


def test_words_and_bytes_are_counted_as_lm_eval_does() -> None:
    sizes = measure_text(" é b\n")
    assert (sizes.words, sizes.bytes) == (4, 6)
